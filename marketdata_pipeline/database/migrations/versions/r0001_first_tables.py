"""The first tables.

Not here: what they mean (database.metadata).
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table."""
    _home()
    _instruments()
    _series()
    _fetches()
    _chunks()
    _actions()


def downgrade() -> None:
    """There is nothing before the first tables; an empty database is the way back."""
    for name in (
        "action_coverage",
        "actions",
        "chunks",
        "fetches",
        "coverage",
        "quality",
        "series",
        "tracked_instruments",
        "instruments",
        "governor",
        "home",
    ):
        op.drop_table(name)


def _home() -> None:
    op.create_table(
        "home",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("history", sa.Text(), nullable=True),
        sa.Column("market_start", sa.BigInteger(), nullable=True),
        sa.Column("wall_start", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(mode = 'live' AND history IS NULL AND market_start IS NULL AND wall_start IS NULL) "
            "OR (mode = 'replay' AND history IN ('recorded', 'synthetic') "
            "AND market_start IS NOT NULL AND wall_start IS NOT NULL)",
            name=op.f("ck_home_mode"),
        ),
        sa.CheckConstraint("id = 1", name=op.f("ck_home_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_home")),
    )
    op.create_table(
        "governor",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("tat", sa.BigInteger(), nullable=False),
        sa.Column("cooldown_until", sa.BigInteger(), nullable=False),
        sa.Column("interval", sa.BigInteger(), nullable=False),
        sa.Column("tau", sa.BigInteger(), nullable=False),
        sa.CheckConstraint('"interval" > 0 AND tau >= 0', name=op.f("ck_governor_rate")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_governor")),
    )


def _instruments() -> None:
    op.create_table(
        "instruments",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("asset_class", sa.Text(), nullable=False),
        sa.Column("venue", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("first_trade", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instruments")),
        sa.UniqueConstraint("key", name=op.f("uq_instruments_key")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tracked_instruments",
        sa.Column("instrument_id", sa.BigInteger(), nullable=False),
        sa.Column("timeframes", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=True),
        sa.Column("tracked_at", sa.BigInteger(), nullable=False),
        sa.Column("untracked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instruments.id"], name=op.f("fk_tracked_instruments_instrument_id")
        ),
        sa.PrimaryKeyConstraint("instrument_id", name=op.f("pk_tracked_instruments")),
    )


def _series() -> None:
    op.create_table(
        "series",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("instrument_id", sa.BigInteger(), nullable=False),
        sa.Column("timeframe", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rows", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("first_ts", sa.BigInteger(), nullable=True),
        sa.Column("last_ts", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.Column("error_category", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("first_ts <= last_ts", name=op.f("ck_series_span")),
        sa.CheckConstraint("rows >= 0 AND version >= 0", name=op.f("ck_series_counts")),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instruments.id"], name=op.f("fk_series_instrument_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
        sa.UniqueConstraint("key", name=op.f("uq_series_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_series_instrument_id"), "series", ["instrument_id"], unique=False)
    op.create_table(
        "quality",
        sa.Column("series_id", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("judged_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_quality_series_id")),
        sa.PrimaryKeyConstraint("series_id", "rule", name=op.f("pk_quality")),
    )
    op.create_index(op.f("ix_quality_rule_passed"), "quality", ["rule", "passed"], unique=False)
    op.create_table(
        "coverage",
        sa.Column("series_id", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("recheck_at", sa.BigInteger(), nullable=True),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "kind <> 'hole' OR recheck_at IS NOT NULL", name=op.f("ck_coverage_recheck")
        ),
        sa.CheckConstraint(
            "kind IN ('answered', 'hole', 'out_of_depth')", name=op.f("ck_coverage_kind")
        ),
        sa.CheckConstraint('start < "end"', name=op.f("ck_coverage_span")),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_coverage_series_id")),
        sa.PrimaryKeyConstraint("series_id", "start", name=op.f("pk_coverage")),
    )


def _fetches() -> None:
    op.create_table(
        "fetches",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("series_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("window_end", sa.BigInteger(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("market_at", sa.BigInteger(), nullable=False),
        sa.Column("fetched_at", sa.BigInteger(), nullable=False),
        sa.Column("committed_at", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.Text(), nullable=False),
        sa.Column("base_version", sa.BigInteger(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(kind = 'derived') = (base_version IS NOT NULL)", name=op.f("ck_fetches_base")
        ),
        sa.CheckConstraint("kind IN ('reply', 'derived')", name=op.f("ck_fetches_kind")),
        sa.CheckConstraint("rows >= 0 AND requests >= 0", name=op.f("ck_fetches_counts")),
        sa.CheckConstraint("window_start < window_end", name=op.f("ck_fetches_window")),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_fetches_series_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fetches")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_fetches_series_id_id"), "fetches", ["series_id", "id"], unique=False)


def _chunks() -> None:
    op.create_table(
        "chunks",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("series_id", sa.BigInteger(), nullable=False),
        sa.Column("fetch_id", sa.BigInteger(), nullable=True),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("ts_min", sa.BigInteger(), nullable=False),
        sa.Column("ts_max", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("schema", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=True),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("checksum", sa.Text(), nullable=False),
        sa.CheckConstraint("(data IS NULL) <> (path IS NULL)", name=op.f("ck_chunks_place")),
        sa.CheckConstraint("rows > 0", name=op.f("ck_chunks_rows")),
        sa.CheckConstraint("ts_min <= ts_max", name=op.f("ck_chunks_span")),
        sa.ForeignKeyConstraint(["fetch_id"], ["fetches.id"], name=op.f("fk_chunks_fetch_id")),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_chunks_series_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chunks")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_chunks_series_id_seq"), "chunks", ["series_id", "seq"], unique=False)
    op.create_index(
        op.f("ix_chunks_series_id_ts_max"), "chunks", ["series_id", "ts_max"], unique=False
    )


def _actions() -> None:
    op.create_table(
        "actions",
        sa.Column("instrument_id", sa.BigInteger(), nullable=False),
        sa.Column("ex_date", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("numerator", sa.Text(), nullable=False),
        sa.Column("denominator", sa.Text(), nullable=False),
        sa.Column("fetch_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('split', 'dividend', 'capital_gain')", name=op.f("ck_actions_kind")
        ),
        sa.ForeignKeyConstraint(["fetch_id"], ["fetches.id"], name=op.f("fk_actions_fetch_id")),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instruments.id"], name=op.f("fk_actions_instrument_id")
        ),
        sa.PrimaryKeyConstraint("instrument_id", "ex_date", "kind", name=op.f("pk_actions")),
    )
    op.create_table(
        "action_coverage",
        sa.Column("instrument_id", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.CheckConstraint('start < "end"', name=op.f("ck_action_coverage_span")),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instruments.id"], name=op.f("fk_action_coverage_instrument_id")
        ),
        sa.PrimaryKeyConstraint("instrument_id", "start", name=op.f("pk_action_coverage")),
    )
