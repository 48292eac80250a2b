"""What compaction, reads as of an instant, and the restatement journal need.

Not here: how they work (store). A fetch says itself which version it made and which labels it
brought, since its chunks are merged sooner or later.
"""

import sqlalchemy as sa
from alembic import op

from marketdata_pipeline.database.claim import new_name
from marketdata_pipeline.errors import HomeError

revision = "0004"
down_revision = "0003"

_LABELS = "ix_chunks_series_id_ts_max"
_ADDED = {
    "chunks": ("superseded_at",),
    "fetches": ("version", "first_ts", "last_ts"),
    "series": ("history_from",),
}
_REFERENCES = {
    "chunks": ("fetch_id",),
    "actions": ("fetch_id",),
    "restatements": ("old_fetch_id", "new_fetch_id"),
}
_PRICES = ("open", "high", "low", "close", "volume")
_FETCHES_OF_CHUNKS = """
    UPDATE fetches SET version = made.version, first_ts = made.first_ts, last_ts = made.last_ts
    FROM (
        SELECT fetch_id, max(seq) AS version, min(ts_min) AS first_ts, max(ts_max) AS last_ts
        FROM chunks WHERE fetch_id IS NOT NULL GROUP BY fetch_id
    ) AS made
    WHERE made.fetch_id = fetches.id
"""
_TAILS = """
    UPDATE series
    SET tail = 512 * (SELECT count(*) FROM chunks WHERE chunks.series_id = series.id)
"""


def upgrade() -> None:
    """Every chunk there is holds what counts; each series is compacted at its next write."""
    for table, names in _ADDED.items():
        for name in names:
            op.add_column(table, sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("home", sa.Column("catalog", sa.Text(), nullable=True))
    home = sa.table("home", sa.column("catalog"))
    op.execute(sa.update(home).values(catalog=new_name()))
    tail = sa.Column("tail", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("series", tail)
    op.execute(_FETCHES_OF_CHUNKS)
    op.execute(_TAILS)
    op.create_index("ix_fetches_series_id_version", "fetches", ["series_id", "version"])
    op.drop_index(_LABELS, "chunks")
    live = sa.text("superseded_at IS NULL")
    op.create_index(
        _LABELS, "chunks", ["series_id", "ts_max"], sqlite_where=live, postgresql_where=live
    )
    _create_restatements()
    op.create_table(
        "retired_files",
        sa.Column("path", sa.Text(), primary_key=True, nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=False),
    )
    for table, names in _REFERENCES.items():
        for name in names:
            op.create_index(f"ix_{table}_{name}", table, [name])


def _create_restatements() -> None:
    wide = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    values = [
        sa.Column(f"{when}_{name}", sa.Float(), nullable=False)
        for when in ("old", "new")
        for name in _PRICES
    ]
    op.create_table(
        "restatements",
        sa.Column("id", wide, primary_key=True, autoincrement=True),
        sa.Column("series_id", sa.BigInteger(), sa.ForeignKey("series.id"), nullable=False),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.Column("old_fetch_id", sa.BigInteger(), sa.ForeignKey("fetches.id"), nullable=False),
        sa.Column("new_fetch_id", sa.BigInteger(), sa.ForeignKey("fetches.id"), nullable=False),
        *values,
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_restatements_series_id_ts", "restatements", ["series_id", "ts"])


def downgrade() -> None:
    """Superseded values and the journal of restatements are lost; the bars that count stay."""
    newer = sa.text("SELECT count(*) FROM chunks WHERE schema > 1 OR checksum LIKE 's8:%'")
    count = op.get_bind().execute(newer).scalar_one()
    if count:
        raise HomeError(
            f"{count} chunks of bars were written since the upgrade, which an earlier version "
            "cannot read; restore the backup that the upgrade took (docs/recover.md)"
        )
    op.execute("ALTER TABLE home DROP COLUMN catalog")
    for table in ("chunks", "actions"):
        op.drop_index(f"ix_{table}_fetch_id", table)
    op.drop_table("retired_files")
    op.drop_table("restatements")
    op.execute("DELETE FROM chunks WHERE superseded_at IS NOT NULL")
    op.drop_index(_LABELS, "chunks")
    op.create_index(_LABELS, "chunks", ["series_id", "ts_max"])
    op.drop_index("ix_fetches_series_id_version", "fetches")
    for table, names in {**_ADDED, "series": ("history_from", "tail")}.items():
        for name in names:
            op.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
