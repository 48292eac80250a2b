"""Copying all rows between databases of either kind, and telling whether two catalogs are equal."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, text, update
from sqlalchemy.exc import IntegrityError

from marketdata_pipeline.database.engine import open_engine, reading, writing
from marketdata_pipeline.database.metadata import REVISIONS, instruments, metadata
from marketdata_pipeline.database.migrate import move_within, upgrade
from marketdata_pipeline.database.rows import copy_rows, ours_within, sum_up, tables_at
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline_tests.database.filled import GIVEN, NAME, ROWS, fill
from marketdata_pipeline_tests.samples import sampled

NEWEST = REVISIONS[-1]


@pytest.fixture
def other(tmp_path: Path) -> Engine:
    """An empty catalog in a file."""
    engine = open_engine(f"sqlite:///{tmp_path}/other.sqlite")
    upgrade(engine)
    return engine


@pytest.fixture(autouse=True)
def _one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalog gets the same name at each upgrade, so that its tables can be compared."""
    monkeypatch.setattr("marketdata_pipeline.database.claim.new_name", lambda: NAME)


def sums(engine: Engine, revision: str = NEWEST) -> dict[str, Any]:
    with reading(engine) as connection:
        return dict(sum_up(connection, tables_at(revision)))


def copy(source: Engine, target: Engine) -> dict[str, Any]:
    with reading(source) as left, writing(target) as right:
        return dict(copy_rows(left, right, tables_at(NEWEST)))


def test_every_table_has_rows_to_copy() -> None:
    assert set(ROWS) == set(metadata.tables)
    assert {one.name for one in tables_at(NEWEST).all} == set(metadata.tables)


def test_the_tables_of_a_revision_come_after_those_they_refer_to() -> None:
    names = [one.name for one in tables_at(REVISIONS[0]).all]
    for table in tables_at(REVISIONS[0]).all:
        for key in table.foreign_keys:
            assert names.index(key.column.table.name) < names.index(table.name)
    assert "restatements" not in names


def test_a_copy_holds_the_same_and_goes_back_as_the_same(engine: Engine, other: Engine) -> None:
    with writing(engine) as connection:
        fill(connection, NEWEST)
    told = copy(engine, other)
    assert told == sums(engine) == sums(other)
    assert {name: one.rows for name, one in told.items()} == {
        name: len(rows) for name, rows in ROWS.items()
    }
    with writing(engine) as connection:
        for table in reversed(tables_at(NEWEST).all):
            connection.execute(table.delete())
    assert copy(other, engine) == told == sums(engine)
    other.dispose()


def test_an_id_that_was_given_is_not_given_again_after_a_copy(
    engine: Engine, other: Engine, tmp_path: Path
) -> None:
    with writing(engine) as connection:
        fill(connection, NEWEST)
    told = copy(engine, other)
    assert told["instruments"].last_id == GIVEN
    assert told["home"].last_id is None
    third = open_engine(f"sqlite:///{tmp_path}/third.sqlite")
    upgrade(third)
    copy(other, third)
    for target in (other, third):
        with writing(target) as connection:
            assert _next_instrument(connection) == GIVEN + 1
        target.dispose()


def test_ids_of_a_table_without_rows_start_after_the_last_one_on_postgres(
    postgres_url: str, other: Engine
) -> None:
    engine = open_engine(postgres_url)
    upgrade(engine)
    assert copy(other, engine)["instruments"].last_id == 0
    with writing(engine) as connection:
        assert _next_instrument(connection) == 1
    engine.dispose()
    other.dispose()


def _next_instrument(connection: Connection) -> int:
    row = {"key": "NEXT", "asset_class": "equity", "venue": "XNYS"}
    wanted = insert(instruments).values(row).returning(instruments.c.id)
    return int(connection.execute(wanted).scalar_one())


def test_a_digest_sees_each_value_and_no_order(engine: Engine) -> None:
    with writing(engine) as connection:
        fill(connection, NEWEST)
    before, seen = sums(engine), set()
    for table in tables_at(NEWEST).all:
        for column in table.c:
            changed = _changed(engine, table.name, column.name, ROWS[table.name][0][column.name])
            if changed is not None:
                assert changed != before[table.name].digest, column
                seen.add(column.name)
    assert len(seen) > 40


def _changed(engine: Engine, table: str, column: str, value: object) -> str | None:
    """The digest of a table in which one value differs; None: the database refuses that."""
    if not isinstance(value, int | float | bytes) or isinstance(value, bool):
        return None
    other = b"other" if isinstance(value, bytes) else value + 1
    rows = tables_at(NEWEST)[table]
    first = next(iter(rows.primary_key.columns))
    connection = engine.connect().execution_options(catalog_writes=True)
    transaction = connection.begin()
    try:
        wanted = update(rows).where(first == ROWS[table][0][first.name]).values({column: other})
        connection.execute(wanted)
        return sum_up(connection, tables_at(NEWEST))[table].digest
    except IntegrityError:
        return None
    finally:
        transaction.rollback()
        connection.close()


def test_a_row_that_cannot_be_copied_is_a_store_error(engine: Engine, other: Engine) -> None:
    with writing(other) as connection:
        connection.execute(text("PRAGMA ignore_check_constraints = ON"))
        fill(connection, NEWEST)
        connection.execute(text("UPDATE meters SET tau = -1"))
    with pytest.raises(StoreError, match="ck_meters_rate"):
        copy(other, engine)
    other.dispose()


def test_tables_that_are_there_are_named(engine: Engine, tmp_path: Path) -> None:
    with reading(engine) as connection:
        assert "series" in ours_within(connection, tables_at(NEWEST))
    empty = open_engine(f"sqlite:///{tmp_path}/empty.sqlite")
    with writing(empty) as connection:
        connection.execute(text("CREATE TABLE strange (id integer)"))
        assert ours_within(connection, tables_at(NEWEST)) == []
    empty.dispose()


@pytest.mark.parametrize("earlier", sampled(REVISIONS[:-1], 3))
def test_rows_of_every_earlier_revision_go_up_and_back_and_up_again(
    database_url: str, earlier: str
) -> None:
    engine = open_engine(database_url)
    with writing(engine) as connection:
        move_within(connection, earlier)
        fill(connection, earlier)
    before = sums(engine, earlier)
    _to(engine, NEWEST)
    above = sums(engine)
    _to(engine, earlier)
    assert sums(engine, earlier) == before
    _to(engine, NEWEST)
    assert sums(engine) == above
    for revision in reversed(REVISIONS[REVISIONS.index(earlier) : -1]):  # step by step
        _to(engine, revision)
    assert sums(engine, earlier) == before
    engine.dispose()


@pytest.mark.parametrize("earlier", sampled(REVISIONS[:-1], 3))
def test_rows_of_this_revision_keep_on_the_way_back_what_the_earlier_one_knows(
    engine: Engine, earlier: str
) -> None:
    with writing(engine) as connection:
        fill(connection, NEWEST)
    _to(engine, earlier)
    once = sums(engine, earlier)
    same = {"home", "instruments", "series", "fetches", "coverage", "actions", "quality"}
    for name in same:
        assert once[name].rows == len(ROWS[name]), name
    kept = [one for one in ROWS["chunks"] if earlier >= "0004" or not one["superseded_at"]]
    assert once["chunks"].rows == len(kept)
    assert once["instruments"].last_id == once["fetches"].last_id == GIVEN
    _to(engine, NEWEST)
    _to(engine, earlier)
    assert sums(engine, earlier) == once


def _to(engine: Engine, revision: str) -> None:
    with writing(engine) as connection:
        move_within(connection, revision)
