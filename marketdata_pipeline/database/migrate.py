"""Bringing a catalog's tables to this code's revision, and telling when they are not.

Not here: the revisions (migrations), and what is kept of a catalog before its tables change
(upgrade). Alembic is imported only to change them.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, Text, column, inspect, select, table, text

from marketdata_pipeline.database.dialect import is_postgres
from marketdata_pipeline.database.engine import reading, shown, writing
from marketdata_pipeline.database.metadata import REVISIONS
from marketdata_pipeline.errors import HomeError

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
_VERSION = table("alembic_version", column("version_num", Text))
_ADVISORY_KEY = 0x6D61726B6574  # "market"


def upgrade(engine: Engine) -> None:
    """Create or upgrade the tables, in one transaction; two upgrades take turns.

    Raises:
        HomeError: the catalog was written by a newer version.
        StoreError: the catalog is unreachable or refuses.
    """
    with writing(engine) as connection:
        upgrade_within(connection)


def upgrade_within(connection: Connection) -> None:
    """The same in the caller's transaction."""
    if revision_in_turn(connection) != REVISIONS[-1]:
        move_within(connection, REVISIONS[-1])


def revision_in_turn(connection: Connection) -> str | None:
    """The revision, read once no other upgrade or downgrade is under way; None: no tables yet.

    Raises:
        HomeError: the catalog was written by a newer version.
    """
    if is_postgres(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_KEY})
    found = revision(connection)
    if found is not None and found not in REVISIONS:
        raise _newer(connection.engine)
    return found


def move_within(connection: Connection, target: str) -> None:
    """Bring the tables to a revision, upwards or back, in the caller's transaction."""
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    found = revision(connection)
    back = found is not None and REVISIONS.index(target) < REVISIONS.index(found)
    (command.downgrade if back else command.upgrade)(config, target)


def losses(found: str, target: str) -> list[str]:
    """What is lost on the way back from one revision to an earlier one, a sentence each."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config())
    passed = REVISIONS[REVISIONS.index(target) + 1 : REVISIONS.index(found) + 1]
    told = [scripts.get_revision(one).module.downgrade.__doc__ for one in reversed(passed)]
    return [" ".join(one.split()) for one in told if one]


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def check_schema(engine: Engine) -> None:
    """Pass where the tables are of this code's revision.

    Raises:
        HomeError: there are no tables, or older or newer ones; the text says what to do.
        StoreError: the catalog is unreachable.
    """
    with reading(engine) as connection:
        check_schema_within(connection)


def check_schema_within(connection: Connection) -> None:
    """The same on the caller's connection."""
    found = revision(connection)
    if found == REVISIONS[-1]:
        return
    if found is None:
        raise HomeError(f"the catalog {shown(connection.engine)} is empty; run marketdata init")
    if found in REVISIONS:
        raise HomeError(
            f"the catalog {shown(connection.engine)} was written by an older version; "
            "run marketdata init to upgrade it"
        )
    raise _newer(connection.engine)


def revision(connection: Connection) -> str | None:
    """The revision that the catalog is at, or None where it has no tables of ours."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    return connection.execute(select(_VERSION.c.version_num)).scalar()


def _newer(engine: Engine) -> HomeError:
    return HomeError(
        f"the catalog {shown(engine)} of this home was written by a newer version; "
        "update marketdata-pipeline"
    )
