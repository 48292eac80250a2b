import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, insert, make_url, select, text

from marketdata_pipeline.database.engine import Busy, open_engine, reading, shown, writing
from marketdata_pipeline.database.governing import meters
from marketdata_pipeline.errors import BadInput, StoreError

ROW = {"key": "yahoo", "window": 60, "tat": 0, "interval": 1, "tau": 0}


def rows(engine: Engine) -> int:
    with reading(engine) as connection:
        return connection.execute(select(func.count()).select_from(meters)).scalar_one()


def impatient(url: str) -> Engine:
    """An engine that waits 50 ms for a lock."""
    query = {"timeout": "0.05"} if url.startswith("sqlite") else {"options": "-c lock_timeout=50ms"}
    return open_engine(make_url(url).update_query_dict(query))


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:secret@host/name",
        "postgresql:/me:secret@host",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite://folder/catalog.sqlite",
        "not a url with secret",
        "",
    ],
)
def test_a_url_that_is_no_catalog_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        open_engine(url)
    assert "sqlite:///" in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_every_spelling_of_postgres_means_psycopg2(scheme: str) -> None:
    assert open_engine(f"{scheme}://me@host/name").dialect.driver == "psycopg2"


def test_sqlite_keeps_acknowledged_commits_over_a_power_cut(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/catalog.sqlite")
    with reading(engine) as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
    }


def test_what_is_written_is_read_and_what_raises_is_rolled_back(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(insert(meters).values(ROW))
    with pytest.raises(KeyError), writing(engine) as connection:  # noqa: PT012 - one transaction
        connection.execute(insert(meters).values(ROW | {"key": "other"}))
        raise KeyError
    assert rows(engine) == 1


def test_a_reader_sees_one_state_while_others_write(engine: Engine) -> None:
    count = select(func.count()).select_from(meters)
    with reading(engine) as connection:
        assert connection.execute(count).scalar_one() == 0
        with writing(engine) as other:
            other.execute(insert(meters).values(ROW))
        assert connection.execute(count).scalar_one() == 0
    assert rows(engine) == 1


def test_a_reader_cannot_write_on_postgres(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    with pytest.raises(StoreError, match="read-only"), reading(engine) as connection:
        connection.execute(text("CREATE TABLE forbidden (id integer)"))
    with writing(engine) as connection:  # the same connection of the pool may write again
        connection.execute(text("CREATE TABLE allowed (id integer)"))
    engine.dispose()


def test_a_held_lock_is_busy_and_not_a_broken_catalog(engine: Engine, catalog_url: str) -> None:
    other = impatient(catalog_url)
    with writing(engine) as connection:
        connection.execute(insert(meters).values(ROW))
        with pytest.raises(Busy, match="busy"), writing(other) as second:
            second.execute(insert(meters).values(ROW))
    other.dispose()


def test_a_second_sqlite_writer_waits_at_its_start_so_that_none_fails_half_way(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/catalog.sqlite"
    first, second = open_engine(url), impatient(url)
    with writing(first), pytest.raises(Busy), writing(second):
        pytest.fail("two writers were let in")
    first.dispose()
    second.dispose()


def test_an_unreachable_server_is_one_sentence_without_the_password() -> None:
    engine = open_engine("postgresql://me:hunter2@127.0.0.1:1/name?sslpassword=hunter3")
    with pytest.raises(StoreError) as refused, reading(engine):
        pytest.fail("connected to nothing")
    said = str(refused.value)
    assert said.startswith("the catalog postgresql+psycopg2://me:***@127.0.0.1:1/name cannot be")
    assert "Connection refused" in said
    assert "hunter" not in said
    assert "\n" not in said


def test_a_refusal_that_repeats_the_password_is_redacted(postgres_url: str) -> None:
    engine = open_engine(make_url(postgres_url).set(password="hunter2"))  # noqa: S106 - invented
    with (
        pytest.raises(StoreError, match=r'column "\*\*\*" does not exist') as refused,
        reading(engine) as connection,
    ):
        connection.execute(text("SELECT hunter2"))
    assert "hunter2" not in str(refused.value)
    engine.dispose()


def test_a_file_that_is_no_database_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(b"no database at all" * 100)
    engine = open_engine(f"sqlite:///{tmp_path}/catalog.sqlite")
    with pytest.raises(StoreError, match="not a database"), reading(engine):
        pytest.fail("read rubbish")
    engine.dispose()


def test_a_broken_constraint_is_a_store_error(engine: Engine) -> None:
    with (
        pytest.raises(StoreError, match="ck_meters_rate"),
        writing(engine) as connection,
    ):
        connection.execute(insert(meters).values(ROW | {"interval": 0}))
    assert rows(engine) == 0


def test_after_a_lost_connection_the_next_transaction_succeeds(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE kept (id integer)"))
    with pytest.raises(StoreError), writing(engine) as connection:  # noqa: PT012 - one transaction
        connection.execute(text("INSERT INTO kept VALUES (1)"))
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO kept VALUES (2)"))
        assert connection.execute(text("SELECT id FROM kept")).scalars().all() == [2]
    engine.dispose()


def test_an_idle_connection_that_the_server_closed_is_replaced(postgres_url: str) -> None:
    engine, other = open_engine(postgres_url), open_engine(postgres_url)
    with reading(engine) as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with writing(other) as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    with reading(engine) as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    engine.dispose()
    other.dispose()


def test_the_shown_url_has_no_secret() -> None:
    engine = open_engine("postgresql://me:hunter2@host/name?password=hunter3&sslmode=require")
    assert shown(engine) == "postgresql+psycopg2://me:***@host/name?sslmode=require"


def test_a_catalog_on_a_full_disk_is_a_store_error_and_works_again_with_room(
    tmp_path: Path,
) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/catalog.sqlite")
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE kept (data blob)")
    with pytest.raises(StoreError, match="full"), writing(engine) as connection:  # noqa: PT012
        connection.exec_driver_sql("PRAGMA max_page_count = 10")
        connection.exec_driver_sql("INSERT INTO kept VALUES (randomblob(1000000))")
    engine.dispose()
    plain = sqlite3.connect(tmp_path / "catalog.sqlite")
    assert plain.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    plain.close()
