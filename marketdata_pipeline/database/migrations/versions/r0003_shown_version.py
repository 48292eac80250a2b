"""The version of each series that Dagster was last told of.

Not here: telling it (defs). Series of earlier catalogs are told of once more.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Nothing was noted so far."""
    shown = sa.Column("shown_version", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("series", shown)


def downgrade() -> None:
    """Dagster is told of every series once more."""
    op.execute("ALTER TABLE series DROP COLUMN shown_version")
