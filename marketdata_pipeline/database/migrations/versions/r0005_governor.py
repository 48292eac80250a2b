"""What the governor needs beyond a rate: several limits, a breaker, a log; and single flight.

Not here: how they work (governor). Turns that were taken and cooldowns outlast the upgrade: until
now every limit was one of requests in an hour.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_HOUR = 3_600_000_000
_HELD = "cooldown_until"
_STATE = (
    "tat", "spacing", "epoch", _HELD, "refusals", "refused_at", "granted", "granted_at",
    "ceiling", "age", "failures", "eased_at", "opened_until", "probe_until",
)  # fmt: skip


def _micros(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    """The only limit of each provider becomes its first meter."""
    before = _taken_out()
    _create_meters()
    op.create_table(
        "governor",
        _text("key"),
        *(_micros(name) for name in _STATE),
        sa.CheckConstraint(
            "spacing >= 0 AND ceiling >= 0 AND age >= 0", name=op.f("ck_governor_rate")
        ),
        sa.CheckConstraint(
            "refusals >= 0 AND granted >= 0 AND failures >= 0", name=op.f("ck_governor_counts")
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_governor")),
    )
    for one in before:
        meter = {name: one[name] for name in ("key", "tat", "interval", "tau")}
        _insert("meters", {"window": _HOUR, **meter})
        _insert("governor", {**dict.fromkeys(_STATE, 0), "key": one["key"], _HELD: one[_HELD]})
    _create_budgets()
    _create_requests()
    _create_flights()


def _taken_out() -> list[sa.RowMapping]:
    """The rows of the governor, whose table is gone then: its key's name cannot be given twice."""
    found = op.get_bind().execute(sa.text("SELECT * FROM governor")).mappings().all()
    op.drop_table("governor")
    return list(found)


def _insert(table: str, row: dict[str, object]) -> None:
    columns: list[sa.ColumnClause[object]] = [sa.column(name) for name in row]
    op.execute(sa.table(table, *columns).insert().values(row))


def _create_meters() -> None:
    op.create_table(
        "meters",
        _text("key"),
        *(_micros(name) for name in ("window", "tat", "interval", "tau")),
        sa.CheckConstraint('"interval" > 0 AND tau >= 0', name=op.f("ck_meters_rate")),
        sa.PrimaryKeyConstraint("key", "window", name=op.f("pk_meters")),
    )


def _create_budgets() -> None:
    op.create_table(
        "budgets",
        _text("key"),
        _text("zone"),
        *(_micros(name) for name in ("credits", "used", "until")),
        sa.CheckConstraint("credits > 0 AND used >= 0", name=op.f("ck_budgets_counts")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_budgets")),
    )


def _create_requests() -> None:
    op.create_table(
        "requests",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        _text("key"),
        _text("series", nullable=True),
        _text("priority"),
        sa.Column("attempt", sa.Integer(), nullable=False),
        _text("run_id", nullable=True),
        _text("ending"),
        sa.Column("status", sa.Integer(), nullable=False),
        _micros("ended_at"),
        _micros("took"),
        sa.CheckConstraint("took >= 0 AND attempt >= 1", name=op.f("ck_requests_counts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_requests_key_id", "requests", ["key", "id"])
    op.create_index("ix_requests_ended_at", "requests", ["ended_at"])


def _create_flights() -> None:
    op.create_table(
        "flights",
        _text("instrument"),
        _text("holder"),
        _micros("until"),
        _micros("ended_at"),
        sa.PrimaryKeyConstraint("instrument", name=op.f("pk_flights")),
    )


def downgrade() -> None:
    """The log of requests and used credits are lost; turns taken and cooldowns stay."""
    meters = op.get_bind().execute(sa.text("SELECT * FROM meters")).mappings().all()
    before = _taken_out()
    op.create_table(
        "governor",
        _text("key"),
        *(_micros(name) for name in ("tat", "cooldown_until", "interval", "tau")),
        sa.CheckConstraint('"interval" > 0 AND tau >= 0', name=op.f("ck_governor_rate")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_governor")),
    )
    for one in before:
        own = [meter for meter in meters if meter["key"] == one["key"]]
        if own:
            slowest = max(own, key=lambda meter: int(meter["interval"]))
            kept = {name: slowest[name] for name in ("key", "tat", "interval", "tau")}
            _insert("governor", {**kept, _HELD: max(one[_HELD], one["opened_until"])})
    for table in ("meters", "budgets", "requests", "flights"):
        op.drop_table(table)
