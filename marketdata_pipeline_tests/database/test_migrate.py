import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, TextClause, insert, inspect, text

from marketdata_pipeline.database.engine import open_engine, reading, writing
from marketdata_pipeline.database.metadata import REVISIONS, metadata
from marketdata_pipeline.database.migrate import (
    MIGRATIONS,
    check_schema,
    revision,
    upgrade,
)
from marketdata_pipeline.errors import HomeError
from marketdata_pipeline_tests.conftest import ROOT


def shape_of(connection: Connection, schema: str | None = None) -> dict[str, Any]:
    """Everything that a database tells of our tables."""
    look = inspect(connection)
    return {
        table: {
            "columns": [
                (one["name"], str(one["type"]), one["nullable"], one["default"])
                for one in look.get_columns(table, schema)
            ],
            "primary key": look.get_pk_constraint(table, schema),
            "unique": _sorted(look.get_unique_constraints(table, schema)),
            "foreign": _sorted(
                one | {"referred_schema": None} for one in look.get_foreign_keys(table, schema)
            ),
            "checks": _sorted(look.get_check_constraints(table, schema)),
            "indexes": _sorted(look.get_indexes(table, schema)),
        }
        for table in sorted(look.get_table_names(schema))
        if table != "alembic_version"
    }


def _sorted(found: Any) -> list[str]:
    return sorted(
        str(sorted((name, _plain(value)) for name, value in one.items())) for one in found
    )


def _plain(value: Any) -> Any:
    """A condition of an index as its text: the object says where in memory it lies."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return str(value) if isinstance(value, TextClause) else value


def test_the_revisions_make_exactly_the_tables_of_the_metadata_on_sqlite(tmp_path: Path) -> None:
    migrated = open_engine(f"sqlite:///{tmp_path}/migrated.sqlite")
    created = open_engine(f"sqlite:///{tmp_path}/created.sqlite")
    upgrade(migrated)
    with writing(created) as connection:
        metadata.create_all(connection)
    with reading(migrated) as left, reading(created) as right:
        assert shape_of(left) == shape_of(right)
        assert _autoincrementing(left) == _autoincrementing(right) != set()
    migrated.dispose()
    created.dispose()


def _autoincrementing(connection: Connection) -> set[str]:
    found = text("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'")
    return set(connection.execute(found).scalars())


def test_the_revisions_make_exactly_the_tables_of_the_metadata_on_postgres(
    postgres_url: str,
) -> None:
    engine = open_engine(postgres_url)
    upgrade(engine)
    with writing(engine) as connection:
        connection.execute(text("CREATE SCHEMA created"))
        metadata.create_all(connection.execution_options(schema_translate_map={None: "created"}))
    with reading(engine) as connection:
        created = str(shape_of(connection, "created")).replace("created.", "")
        assert str(shape_of(connection)) == created
    engine.dispose()


def test_the_list_of_revisions_is_the_one_of_the_files() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    found = [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(found)) == REVISIONS


def test_upgrading_twice_changes_nothing(engine: Engine) -> None:
    with reading(engine) as connection:
        before = shape_of(connection)
    upgrade(engine)
    check_schema(engine)
    with reading(engine) as connection:
        assert revision(connection) == REVISIONS[-1]
        assert shape_of(connection) == before


def test_two_upgrades_at_once_take_turns(database_url: str) -> None:
    engines = [open_engine(database_url) for _ in range(4)]
    failed: list[BaseException] = []

    def run(engine: Engine) -> None:
        try:
            upgrade(engine)
        except BaseException as error:  # noqa: BLE001 - it is reported by the test's thread
            failed.append(error)

    threads = [threading.Thread(target=run, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    check_schema(engines[0])
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize(
    ("stored", "said"),
    [("0000", "written by a newer version"), ("9999", "written by a newer version")],
)
def test_an_unknown_revision_is_a_newer_version(engine: Engine, stored: str, said: str) -> None:
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": stored})
    for use in (check_schema, upgrade):
        with pytest.raises(HomeError, match=said):
            use(engine)


def test_an_older_revision_is_told_to_run_init(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = (*REVISIONS, "later")
    monkeypatch.setattr("marketdata_pipeline.database.migrate.REVISIONS", newer)
    with pytest.raises(HomeError, match="older version; run marketdata init"):
        check_schema(engine)


def test_a_catalog_without_tables_is_told_to_run_init(database_url: str) -> None:
    engine = open_engine(database_url)
    with pytest.raises(HomeError, match="empty; run marketdata init"):
        check_schema(engine)
    engine.dispose()


def test_an_upgrade_that_fails_leaves_no_table(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from marketdata_pipeline.database.migrations.versions import r0001_first_tables as first

    monkeypatch.setattr("alembic.op.create_index", _refuse)
    assert first.revision == REVISIONS[0]
    engine = open_engine(database_url)
    with pytest.raises(ZeroDivisionError):
        upgrade(engine)
    with reading(engine) as connection:
        assert inspect(connection).get_table_names() == []
    engine.dispose()


def _refuse(*_arguments: object, **_named: object) -> None:
    raise ZeroDivisionError


def test_alembic_is_imported_by_an_upgrade_only() -> None:
    code = (
        "import sys\n"
        "from marketdata_pipeline.database import home, migrate, retry\n"
        "print('alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_the_way_back_drops_every_table(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with reading(engine) as connection:
        assert shape_of(connection) == {}


def _to(engine: Engine, target: str) -> None:
    """Bring the tables to a revision, upwards or back."""
    from alembic import command
    from alembic.config import Config

    with writing(engine) as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        found = revision(connection)
        down = found is not None and target < found
        (command.downgrade if down else command.upgrade)(config, target)


_SERIES = (
    "INSERT INTO instruments (key, asset_class, venue) VALUES ('AAPL', 'equity', 'XNYS')",
    "INSERT INTO series (key, instrument_id, timeframe) VALUES ('AAPL|1d', 1, '1d')",
)
_HOME = (
    "INSERT INTO home (id, mode, history, market_start, wall_start, created_at) "
    "VALUES (1, 'replay', 'recorded', 10, 20, 30)"
)


def test_a_home_of_the_first_version_keeps_what_it_replays(database_url: str) -> None:
    engine = open_engine(database_url)
    _to(engine, "0001")
    with writing(engine) as connection:
        connection.execute(text(_HOME))
    upgrade(engine)
    with reading(engine) as connection:
        row = connection.execute(text("SELECT * FROM home")).one()
    assert (row.history, row.market_start, row.wall_start, row.created_at) == (
        "recorded",
        10,
        20,
        30,
    )
    assert row.seed is None
    engine.dispose()


@pytest.mark.parametrize("version", REVISIONS[1:])
def test_each_version_has_a_way_back_to_the_one_before(database_url: str, version: str) -> None:
    engine, before = open_engine(database_url), REVISIONS[REVISIONS.index(version) - 1]
    _to(engine, before)
    with reading(engine) as connection:
        shape = shape_of(connection)
        counted = _autoincrementing(connection) if "sqlite" in database_url else set()
    _to(engine, version)
    with writing(engine) as connection:
        connection.execute(text(_HOME))
        connection.execute(text(_SERIES[0]))
        connection.execute(text(_SERIES[1]))
    _to(engine, before)
    with reading(engine) as connection:
        assert shape_of(connection) == shape
        if counted:
            assert _autoincrementing(connection) == counted
        assert connection.execute(text("SELECT history FROM home")).scalar() == "recorded"
        assert connection.execute(text("SELECT key FROM series")).scalar() == "AAPL|1d"
    engine.dispose()


_FETCH = (
    "INSERT INTO fetches (series_id, kind, provider, origin, window_start, window_end, basis, "
    "market_at, fetched_at, committed_at, rows, requests, dropped) "
    "VALUES (1, 'reply', 'yahoo', 'yahoo', 0, 10, 'raw', 0, 0, 0, 1, 1, '[]')"
)
_CHUNK = (
    "INSERT INTO chunks (series_id, fetch_id, part, seq, ts_min, ts_max, rows, schema, state, "
    "path, checksum) VALUES (1, :fetch, :part, :seq, :first, :last, 1, 1, 0, 'x', 'y')"
)


def test_fetches_of_the_third_version_say_which_version_they_made(database_url: str) -> None:
    """One brought bars of two parts, one none, one bars of one part."""
    engine = open_engine(database_url)
    _to(engine, "0003")
    made = [(1, "2023", 1, 5, 9), (1, "2024", 1, 10, 14), (3, "2024", 2, 12, 13)]
    with writing(engine) as connection:
        for statement in (*_SERIES, _FETCH, _FETCH, _FETCH):
            connection.execute(text(statement))
        for row in made:
            told = dict(zip(("fetch", "part", "seq", "first", "last"), row, strict=True))
            connection.execute(text(_CHUNK), told)
    upgrade(engine)
    with reading(engine) as connection:
        found = connection.execute(
            text("SELECT id, version, first_ts, last_ts FROM fetches ORDER BY id")
        )
        assert found.all() == [(1, 1, 5, 14), (2, None, None, None), (3, 2, 12, 13)]
        assert connection.execute(text("SELECT tail FROM series")).scalar() == 3 * 512
    engine.dispose()


_HOUR, _MINUTE = 3_600_000_000, 60_000_000


def test_turns_and_cooldowns_of_the_fourth_version_outlast_the_upgrade(database_url: str) -> None:
    """Its only limit is one of requests in an hour; nothing else is known of it yet."""
    engine = open_engine(database_url)
    _to(engine, "0004")
    with writing(engine) as connection:
        for key, tat, cooldown in (("yahoo", 2**53 + 1, 2**53 + 9), ("fmp", 1, 0)):
            row = {"key": key, "tat": tat, "cooldown": cooldown}
            connection.execute(
                text("INSERT INTO governor VALUES (:key, :tat, :cooldown, 7, 8)"), row
            )
    upgrade(engine)
    with reading(engine) as connection:
        assert _rows(connection, "meters") == [
            {"key": "fmp", "window": _HOUR, "tat": 1, "interval": 7, "tau": 8},
            {"key": "yahoo", "window": _HOUR, "tat": 2**53 + 1, "interval": 7, "tau": 8},
        ]
        fmp, yahoo = _rows(connection, "governor")
        unknown = {
            name: value for name, value in yahoo.items() if value not in {"yahoo", 2**53 + 9}
        }
        assert yahoo == {**fmp, "key": "yahoo", "cooldown_until": 2**53 + 9}
        assert set(unknown.values()) == {0}
        assert len(unknown) == len(metadata.tables["governor"].columns) - 2
        for table in ("budgets", "requests", "flights"):
            assert _rows(connection, table) == []
    engine.dispose()


def test_the_way_back_to_the_fourth_version_keeps_the_slowest_limit_and_the_later_end(
    engine: Engine,
) -> None:
    held = {"cooled": (30, 20), "broken": (20, 30), "without": (1, 1)}
    with writing(engine) as connection:
        for key, (cooldown, opened) in held.items():
            state: dict[str, Any] = dict.fromkeys(metadata.tables["governor"].columns.keys(), 0)
            row = {**state, "key": key, "cooldown_until": cooldown, "opened_until": opened}
            connection.execute(insert(metadata.tables["governor"]).values(row))
        for key in ("cooled", "broken", "gone"):
            for window, tat, interval in ((_MINUTE, 5, 9), (_HOUR, 6, 11), (2 * _HOUR, 7, 10)):
                row = {"key": key, "window": window, "tat": tat, "interval": interval, "tau": tat}
                connection.execute(insert(metadata.tables["meters"]).values(row))
    _to(engine, "0004")
    with reading(engine) as connection:
        kept = {"tat": 6, "cooldown_until": 30, "interval": 11, "tau": 6}
        assert _rows(connection, "governor") == [
            {"key": "broken", **kept},
            {"key": "cooled", **kept},
        ]
        tables = inspect(connection).get_table_names()
        assert not {"meters", "budgets", "requests", "flights"} & set(tables)


def _rows(connection: Connection, table: str) -> list[dict[str, Any]]:
    found = connection.execute(text(f"SELECT * FROM {table}")).mappings()  # noqa: S608 - a constant
    return sorted((dict(row) for row in found), key=lambda row: str(row.get("key")))
