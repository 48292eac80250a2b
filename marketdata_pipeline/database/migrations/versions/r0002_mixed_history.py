"""Replay homes of made-up history: its seed, and the mixture of recorded and made-up bars.

Not here: what they mean (database.home).
"""

import sqlalchemy as sa
from alembic import op

from marketdata_pipeline.errors import HomeError

revision = "0002"
down_revision = "0001"

_HISTORIES = "'recorded', 'synthetic', 'mixed'"
_EARLIER = "'recorded', 'synthetic'"
_SEED = "(seed IS NOT NULL) = (history IS NOT NULL AND history <> 'recorded')"


def upgrade() -> None:
    """Earlier homes replay recorded bars; nothing served synthetic ones yet."""
    op.execute("UPDATE home SET history = 'recorded' WHERE history = 'synthetic'")
    with op.batch_alter_table("home") as table:
        table.drop_constraint(op.f("ck_home_mode"), type_="check")
        table.add_column(sa.Column("seed", sa.BigInteger(), nullable=True))
        table.create_check_constraint(op.f("ck_home_mode"), _mode(_HISTORIES))
        table.create_check_constraint(op.f("ck_home_seed"), _SEED)


def downgrade() -> None:
    """Nothing is lost of a home of recorded bars; one of made-up bars has no earlier form."""
    if op.get_bind().execute(sa.text("SELECT seed FROM home")).scalar() is not None:
        raise HomeError("a home of made-up bars has no form before 0002; nothing was changed")
    with op.batch_alter_table("home") as table:
        table.drop_constraint(op.f("ck_home_seed"), type_="check")
        table.drop_constraint(op.f("ck_home_mode"), type_="check")
        table.drop_column("seed")
        table.create_check_constraint(op.f("ck_home_mode"), _mode(_EARLIER))


def _mode(histories: str) -> str:
    return (
        "(mode = 'live' AND history IS NULL AND market_start IS NULL AND wall_start IS NULL) "
        f"OR (mode = 'replay' AND history IN ({histories}) "
        "AND market_start IS NOT NULL AND wall_start IS NOT NULL)"
    )
