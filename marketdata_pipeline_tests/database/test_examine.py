"""A catalog from outside: there or not, usable or not, and of which revision."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text

from marketdata_pipeline.database.engine import LOCK_SECONDS, open_engine, writing
from marketdata_pipeline.database.examine import CatalogState, catalog_state
from marketdata_pipeline.database.metadata import REVISIONS
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline_tests.fakes import FrozenClock

CLOCK = SystemClock()


def test_a_catalog_tells_its_revision(engine: Engine) -> None:
    found = catalog_state(engine, FrozenClock())
    assert found == CatalogState(
        where=found.where, server=engine.dialect.name == "postgresql", revision=REVISIONS[-1]
    )
    assert catalog_state(engine, CLOCK).trip > timedelta(0)


def test_a_database_without_tables_has_no_revision(database_url: str) -> None:
    empty = open_engine(database_url)
    with writing(empty):
        pass
    found = catalog_state(empty, CLOCK)
    empty.dispose()
    assert (found.there, found.revision, found.trouble) == (True, None, "")


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    assert not catalog_state(engine, CLOCK).there
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_catalog_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(b"no database at all" * 100)
    engine = open_engine(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    assert "not a database" in catalog_state(engine, CLOCK).trouble
    engine.dispose()


def test_a_server_that_is_gone_says_so_without_the_password() -> None:
    url = "postgresql://me:hunter2@127.0.0.1:1/name"
    found = catalog_state(open_engine(url, hurried=True), CLOCK)
    assert found.where == "postgresql+psycopg2://me:***@127.0.0.1:1/name"
    assert "Connection refused" in found.trouble
    assert "hunter2" not in found.trouble


def test_a_hurried_engine_waits_a_second_for_a_file(tmp_path: Path) -> None:
    url = make_url(f"sqlite:///{tmp_path / 'catalog.sqlite'}").update_query_dict({"timeout": "60"})
    engine = open_engine(url, hurried=True)
    with writing(engine) as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 1000
    engine.dispose()


def test_a_hurried_engine_waits_three_seconds_for_a_server(postgres_url: str) -> None:
    found = []
    for hurried in (False, True):
        engine = open_engine(postgres_url, hurried=hurried)
        with writing(engine) as connection:
            names = ("lock_timeout", "statement_timeout")
            found.append([connection.execute(text(f"SHOW {name}")).scalar() for name in names])
        engine.dispose()
    assert found == [[f"{LOCK_SECONDS}s", "0"], ["3s", "3s"]]


@pytest.mark.parametrize("hurried", [False, True])
def test_a_hurried_engine_is_shown_like_any_other(tmp_path: Path, *, hurried: bool) -> None:
    url = f"sqlite:///{tmp_path / 'catalog.sqlite'}"
    assert catalog_state(open_engine(url, hurried=hurried), CLOCK).where == url
