"""What transactions lead to: holdings, and a queue of backfills.

Not here: how they work (ingest). What was tracked until now was tracked by hand, and nobody holds
it yet.
"""

from collections.abc import Iterable

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_HELD = sa.text("holders > 0")
_NEW = sa.text("processed_at IS NULL")
_KEPT = ("instrument_id", "timeframes", "since", "untracked_at")
_INCOMING = (
    """
    CREATE VIEW incoming_transactions AS
    SELECT external_id, portfolio, instrument, side, quantity, price, currency,
        to_timestamp(executed_at / 1e6) AS executed_at, to_timestamp(voided_at / 1e6) AS voided_at
    FROM transactions
    """,
    # It runs as its owner, so that whoever inserts needs no right on the table. The table is named
    # with its schema, and temporary ones come last: else one of the same name, which the role may
    # make with a trigger of its own, would be taken for it, and that trigger run as the owner.
    """
    CREATE FUNCTION take_incoming_transaction() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, pg_temp AS $$
    BEGIN
        INSERT INTO {schema}.transactions AS known (
            external_id, portfolio, instrument, side, quantity, price, currency, executed_at,
            recorded_at, voided_at
        ) VALUES (
            NEW.external_id, NEW.portfolio, NEW.instrument, lower(NEW.side), NEW.quantity,
            NEW.price, upper(NEW.currency),
            floor(extract(epoch FROM NEW.executed_at) * 1000000)::bigint,
            floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
            floor(extract(epoch FROM NEW.voided_at) * 1000000)::bigint
        )
        ON CONFLICT (portfolio, external_id) DO UPDATE
        SET voided_at = EXCLUDED.voided_at, processed_at = NULL
        WHERE known.voided_at IS NULL AND EXCLUDED.voided_at IS NOT NULL;
        RETURN NEW;
    END
    $$
    """,
    """
    CREATE TRIGGER take_incoming_transaction INSTEAD OF INSERT ON incoming_transactions
    FOR EACH ROW EXECUTE FUNCTION take_incoming_transaction()
    """,
)
"""Where other programs insert on Postgres: instants as it has them, an id that comes twice does
nothing, and one that comes again with ``voided_at`` is voided."""


def _micros(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    """The tracked instruments are copied into a wider table."""
    before = _taken_out()
    _create_tracked()
    _insert(
        {name: one[name] for name in _KEPT}
        | {"first_tracked_at": one["tracked_at"], "last_tracked_at": one["tracked_at"]}
        | {"by_hand": True, "holders": 0, "released_at": None, "last_update": None}
        for one in before
    )
    _create_transactions()
    _create_holdings()
    _create_queue()
    if op.get_bind().dialect.name == "postgresql":
        schema = _current_schema()
        for statement in _INCOMING:
            op.execute(statement.replace("{schema}", schema))


def _current_schema() -> str:
    """Where the tables are made, as SQL writes it."""
    bind = op.get_bind()
    named = bind.execute(sa.text("SELECT current_schema()")).scalar_one()
    return bind.dialect.identifier_preparer.quote_identifier(named).replace(":", "\\:")


def _taken_out() -> list[sa.RowMapping]:
    """The rows, whose table is gone then: its key's name cannot be given twice."""
    found = op.get_bind().execute(sa.text("SELECT * FROM tracked_instruments")).mappings().all()
    op.drop_table("tracked_instruments")
    return list(found)


def _insert(rows: Iterable[dict[str, object]]) -> None:
    for row in rows:
        columns: list[sa.ColumnClause[object]] = [sa.column(name) for name in row]
        op.execute(sa.table("tracked_instruments", *columns).insert().values(row))


def _reference() -> sa.Column[int]:
    named = op.f("fk_tracked_instruments_instrument_id")
    target = sa.ForeignKey("instruments.id", name=named)
    return sa.Column("instrument_id", sa.BigInteger(), target, nullable=False)


def _create_tracked() -> None:
    op.create_table(
        "tracked_instruments",
        _reference(),
        _text("timeframes"),
        _micros("since", nullable=True),
        _micros("first_tracked_at"),
        _micros("last_tracked_at"),
        _micros("untracked_at", nullable=True),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        _micros("holders"),
        _micros("released_at", nullable=True),
        _micros("last_update", nullable=True),
        sa.CheckConstraint("holders >= 0", name=op.f("ck_tracked_instruments_holders")),
        sa.PrimaryKeyConstraint("instrument_id", name=op.f("pk_tracked_instruments")),
    )
    op.create_index(
        "ix_tracked_instruments_held",
        "tracked_instruments",
        ["instrument_id"],
        sqlite_where=_HELD,
        postgresql_where=_HELD,
    )


def _create_transactions() -> None:
    op.create_table(
        "transactions",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        _text("external_id"),
        _text("portfolio"),
        _text("instrument"),
        _text("side"),
        sa.Column("quantity", sa.Float(), nullable=False),
        sa.Column("price", sa.Float(), nullable=True),
        _text("currency", nullable=True),
        _micros("executed_at"),
        _micros("recorded_at"),
        _micros("voided_at", nullable=True),
        _micros("processed_at", nullable=True),
        _text("rejected", nullable=True),
        sa.CheckConstraint(
            "side IN ('buy', 'sell', 'transfer_in', 'transfer_out')",
            name=op.f("ck_transactions_side"),
        ),
        sa.CheckConstraint(
            "quantity > 0 AND quantity < 1e18", name=op.f("ck_transactions_quantity")
        ),
        sa.CheckConstraint("price >= 0 AND price < 1e18", name=op.f("ck_transactions_price")),
        sa.CheckConstraint(
            "abs(executed_at) > 10000000000000", name=op.f("ck_transactions_executed_at")
        ),
        sa.CheckConstraint(
            "length(external_id) BETWEEN 1 AND 200 AND length(portfolio) BETWEEN 1 AND 200 "
            "AND length(instrument) BETWEEN 1 AND 200",
            name=op.f("ck_transactions_names"),
        ),
        sa.CheckConstraint("length(currency) = 3", name=op.f("ck_transactions_currency")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transactions")),
        sqlite_autoincrement=True,
    )
    named = ["portfolio", "external_id"]
    op.create_index("uq_transactions_external_id", "transactions", named, unique=True)
    op.create_index("ix_transactions_instrument", "transactions", ["instrument"])
    op.create_index(
        "ix_transactions_new", "transactions", ["id"], sqlite_where=_NEW, postgresql_where=_NEW
    )


def _create_holdings() -> None:
    op.create_table(
        "holdings",
        _text("portfolio"),
        _text("instrument"),
        sa.Column("quantity", sa.Float(), nullable=False),
        _micros("acquired_at"),
        _text("pair", nullable=True),
        sa.PrimaryKeyConstraint("portfolio", "instrument", name=op.f("pk_holdings")),
    )
    for name in ("instrument", "pair"):
        op.create_index(f"ix_holdings_{name}", "holdings", [name])


def _create_queue() -> None:
    op.create_table(
        "backfill_queue",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        _text("instrument"),
        _text("timeframes"),
        _micros("start", nullable=True),
        _micros("end", nullable=True),
        _text("status"),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        _micros("retry_after"),
        _number("attempts"),
        _number("setbacks"),
        _number("launch"),
        _text("batch", nullable=True),
        _micros("asked_at", nullable=True),
        _text("run_id", nullable=True),
        _micros("lease_until", nullable=True),
        _text("error_category", nullable=True),
        _text("error_message", nullable=True),
        _micros("created_at"),
        _micros("updated_at"),
        _micros("completed_at", nullable=True),
        *_checks_of_queue(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backfill_queue")),
        sqlite_autoincrement=True,
    )
    indexed = {
        "status": ["status", "retry_after"],
        "instrument": ["instrument", "status"],
        "batch": ["batch"],
        "run_id": ["run_id"],
    }
    for name, columns in indexed.items():
        op.create_index(f"ix_backfill_queue_{name}", "backfill_queue", columns)


def _checks_of_queue() -> list[sa.CheckConstraint]:
    known = "'pending', 'in_progress', 'rate_limited', 'completed', 'failed'"
    texts = {
        "status": f"status IN ({known})",
        "span": 'start < "end"',
        "priority": "priority BETWEEN 0 AND 3",
        "counts": "attempts >= 0 AND setbacks >= 0 AND launch >= 0",
        "lease": "(status = 'in_progress') = (lease_until IS NOT NULL)",
        "completed": "(status = 'completed') = (completed_at IS NOT NULL)",
    }
    return [
        sa.CheckConstraint(condition, name=op.f(f"ck_backfill_queue_{name}"))
        for name, condition in texts.items()
    ]


def downgrade() -> None:
    """Transactions, holdings and the queue are lost; what is tracked stays tracked."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP VIEW incoming_transactions")
        op.execute("DROP FUNCTION take_incoming_transaction()")
    for table in ("backfill_queue", "holdings", "transactions"):
        op.drop_table(table)
    before = _taken_out()
    op.create_table(
        "tracked_instruments",
        _reference(),
        _text("timeframes"),
        _micros("since", nullable=True),
        _micros("tracked_at"),
        _micros("untracked_at", nullable=True),
        sa.PrimaryKeyConstraint("instrument_id", name=op.f("pk_tracked_instruments")),
    )
    _insert(
        {name: one[name] for name in _KEPT} | {"tracked_at": one["first_tracked_at"]}
        for one in before
    )
