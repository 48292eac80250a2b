"""What is in doubt: quarantine, incidents, closures, changed actions, reports, alerts.

Not here: how they work (store, ingest, alerts). Coverage learns of provisional bars and of ranges
without a trade, and since when a hole is known; what was answered until now stays answered.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BEFORE = "'answered', 'hole', 'out_of_depth'"
_NOW = "'answered', 'provisional', 'hole', 'no_trade', 'out_of_depth'"
_RECHECK_BEFORE = "kind <> 'hole' OR recheck_at IS NOT NULL"
_RECHECK_NOW = "kind NOT IN ('hole', 'provisional') OR recheck_at IS NOT NULL"
_KEPT = ("series_id", "start", "end", "kind", "recheck_at", "tries")


def _micros(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _row_id() -> sa.Column[int]:
    return sa.Column("id", _ID, autoincrement=True, nullable=False)


def _refers(table: str, column: str) -> sa.ForeignKeyConstraint:
    target = f"{column.removesuffix('_id')}.id" if column == "series_id" else "instruments.id"
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{table}_{column}"))


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*(columns or ("id",)), name=op.f(f"pk_{table}"))


def _index(
    name: str, table: str, columns: list[str], *, where: str | None = None, unique: bool = False
) -> None:
    only = None if where is None else sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=only, postgresql_where=only)


def upgrade() -> None:
    """New tables; the table of coverage takes two more kinds."""
    if op.get_bind().dialect.name == "postgresql":
        op.add_column("coverage", _micros("since", nullable=True))
        _constrain(_NOW, _RECHECK_NOW)
    else:
        _copy_coverage(_NOW, _RECHECK_NOW, [_micros("since", nullable=True)])
    _index("ix_coverage_due", "coverage", ["recheck_at"], where="kind = 'hole'")
    _create_quarantine()
    _create_incidents()
    _create_closures()
    _create_action_changes()
    _create_reports()
    _create_alerts()


def _constrain(kinds: str, recheck: str) -> None:
    """Postgres changes a table's conditions in place."""
    for name, condition in (("kind", f"kind IN ({kinds})"), ("recheck", recheck)):
        op.drop_constraint(op.f(f"ck_coverage_{name}"), "coverage", type_="check")
        op.create_check_constraint(op.f(f"ck_coverage_{name}"), "coverage", condition)


def _copy_coverage(kinds: str, recheck: str, more: list[sa.Column[int]]) -> None:
    """SQLite cannot: the rows move into a new table."""
    op.create_table(
        "new_coverage",
        _micros("series_id"),
        _micros("start"),
        _micros("end"),
        _text("kind"),
        _micros("recheck_at", nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        *more,
        _refers("coverage", "series_id"),
        _check("coverage", "span", 'start < "end"'),
        _check("coverage", "kind", f"kind IN ({kinds})"),
        _check("coverage", "recheck", recheck),
        _key("coverage", "series_id", "start"),
    )
    named = ", ".join(f'"{name}"' for name in _KEPT)
    op.execute(f"INSERT INTO new_coverage ({named}) SELECT {named} FROM coverage")  # noqa: S608 - names of columns
    op.drop_table("coverage")
    op.rename_table("new_coverage", "coverage")


def _create_quarantine() -> None:
    conditions = {
        "status": "status IN ('held', 'released', 'dropped')",
        "decided": "(status = 'held') = (decided_at IS NULL)",
        "window": "window_start < window_end",
        "counts": "rows >= 0 AND times > 0",
        "data": "(rows > 0) = (data IS NOT NULL)",
        "span": "first_ts <= last_ts",
    }
    op.create_table(
        "quarantine",
        _row_id(),
        _micros("series_id"),
        *(_text(name) for name in ("status", "reason", "detail", "evidence", "fingerprint")),
        _micros("times"),
        _text("provider"),
        _text("origin"),
        _micros("window_start"),
        _micros("window_end"),
        _text("currency", nullable=True),
        _micros("market_at"),
        _micros("fetched_at"),
        _text("run_id", nullable=True),
        _micros("rows"),
        _micros("first_ts", nullable=True),
        _micros("last_ts", nullable=True),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        _text("checksum", nullable=True),
        _text("actions"),
        _micros("held_at"),
        _micros("seen_at"),
        _micros("decided_at", nullable=True),
        _text("decided_why", nullable=True),
        _refers("quarantine", "series_id"),
        *(_check("quarantine", name, condition) for name, condition in conditions.items()),
        _key("quarantine"),
        sqlite_autoincrement=True,
    )
    _index("uq_quarantine_fingerprint", "quarantine", ["fingerprint"], unique=True)
    _index("ix_quarantine_series_id", "quarantine", ["series_id", "status"])
    _index("ix_quarantine_held", "quarantine", ["id"], where="status = 'held'")


def _create_incidents() -> None:
    conditions = {
        "kind": "kind IN ('outage', 'question')",
        "status": "status IN ('open', 'healing', 'closed')",
        "closed": "(status = 'closed') = (closed_at IS NOT NULL)",
        "outcome": "(status = 'closed') = (outcome IS NOT NULL)",
        "counts": "affected >= lacking AND lacking >= 0",
    }
    op.create_table(
        "incidents",
        _row_id(),
        *(_text(name) for name in ("kind", "status", "calendar", "sessions", "timeframes")),
        *(_micros(name) for name in ("affected", "lacking", "expected")),
        _text("detail"),
        _micros("opened_at"),
        _micros("probed_at", nullable=True),
        _micros("probe_at", nullable=True),
        _micros("changed_at"),
        _micros("closed_at", nullable=True),
        _text("outcome", nullable=True),
        *(_check("incidents", name, condition) for name, condition in conditions.items()),
        _key("incidents"),
        sqlite_autoincrement=True,
    )
    _index("ix_incidents_open", "incidents", ["calendar"], where="closed_at IS NULL")


def _create_closures() -> None:
    op.create_table(
        "closures",
        _text("calendar"),
        _text("session"),
        _micros("opens", nullable=True),
        _micros("closes", nullable=True),
        _text("reason"),
        _text("evidence"),
        _micros("made_at"),
        _check("closures", "hours", "(opens IS NULL) = (closes IS NULL)"),
        _check("closures", "span", "opens < closes"),
        _key("closures", "calendar", "session"),
    )


def _create_action_changes() -> None:
    known = "'late', 'restated', 'withdrawn', 'contradicted'"
    conditions = {
        "kind": "kind IN ('split', 'dividend', 'capital_gain')",
        "reason": f"reason IN ({known})",
    }
    op.create_table(
        "action_changes",
        _row_id(),
        _micros("instrument_id"),
        _text("kind"),
        _text("reason"),
        *(
            _text(f"{when}_{name}", nullable=True)
            for when in ("old", "new")
            for name in ("ex_date", "numerator", "denominator")
        ),
        _text("provider"),
        _text("origin"),
        _text("detail"),
        _micros("recorded_at"),
        _refers("action_changes", "instrument_id"),
        *(_check("action_changes", name, condition) for name, condition in conditions.items()),
        _key("action_changes"),
        sqlite_autoincrement=True,
    )
    _index("ix_action_changes_instrument_id", "action_changes", ["instrument_id", "id"])


def _create_reports() -> None:
    op.create_table(
        "reports",
        _row_id(),
        _micros("series_id"),
        _micros("judged_at"),
        _micros("market_at"),
        _text("run_id", nullable=True),
        sa.Column("is_valid", sa.Boolean(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        _text("report"),
        _refers("reports", "series_id"),
        _check("reports", "score", "score >= 0 AND score <= 1"),
        _key("reports"),
        sqlite_autoincrement=True,
    )
    _index("ix_reports_series_id", "reports", ["series_id", "id"])
    _index("ix_reports_judged_at", "reports", ["judged_at"])


def _create_alerts() -> None:
    op.create_table(
        "alerts",
        _row_id(),
        *(_text(name) for name in ("key", "kind", "severity", "title", "body")),
        sa.Column("weight", sa.Float(), nullable=False),
        _micros("raised_at"),
        _micros("seen_at"),
        _micros("told_at", nullable=True),
        _micros("ended_at", nullable=True),
        _micros("ended_told_at", nullable=True),
        _micros("attempts"),
        _micros("retry_at", nullable=True),
        _check("alerts", "severity", "severity IN ('info', 'warning', 'critical')"),
        _check("alerts", "counts", "attempts >= 0"),
        _key("alerts"),
        sqlite_autoincrement=True,
    )
    _index("uq_alerts_key", "alerts", ["key"], where="ended_at IS NULL", unique=True)
    _index("ix_alerts_raised_at", "alerts", ["raised_at"])


def downgrade() -> None:
    """Quarantine, closures, incidents, reports, alerts are lost; provisional is answered."""
    for table in ("alerts", "reports", "action_changes", "closures", "incidents", "quarantine"):
        op.drop_table(table)
    op.drop_index("ix_coverage_due", "coverage")
    answered = "UPDATE coverage SET kind = 'answered', recheck_at = NULL, tries = 0"
    op.execute(f"{answered} WHERE kind IN ('provisional', 'no_trade')")
    if op.get_bind().dialect.name == "postgresql":
        _constrain(_BEFORE, _RECHECK_BEFORE)
        op.drop_column("coverage", "since")
    else:
        _copy_coverage(_BEFORE, _RECHECK_BEFORE, [])
