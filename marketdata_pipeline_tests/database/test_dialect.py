from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, literal, select

from marketdata_pipeline.database.dialect import (
    greatest,
    insert_missing,
    is_postgres,
    one_of,
    upsert,
    wall_expression,
    wall_micros,
)
from marketdata_pipeline.database.engine import reading, writing
from marketdata_pipeline.database.governing import meters
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline_tests.fakes import FrozenClock


def test_wall_time_is_the_clocks_on_sqlite_and_the_databases_on_postgres(engine: Engine) -> None:
    clock = FrozenClock(wall=datetime(2001, 2, 3, tzinfo=UTC))
    with reading(engine) as connection:
        found = wall_micros(connection, clock)
        again = connection.execute(select(wall_expression(connection, clock))).scalar_one()
        if is_postgres(connection):
            real = to_micros(datetime.now(UTC))
            assert abs(found - real) < timedelta(seconds=10) / timedelta(microseconds=1)
            assert again > found, "it goes on inside a transaction"
        else:
            assert found == again == to_micros(clock.wall)


def test_the_greatest_of_three_values(engine: Engine) -> None:
    with reading(engine) as connection:
        values = literal(2), literal(-5), literal(1)
        wanted = greatest(*values, postgres=is_postgres(connection))
        assert connection.execute(select(wanted)).scalar_one() == 2


def test_any_number_of_keys_is_one_condition(engine: Engine) -> None:
    keys = [f"key '{number}\"" for number in range(100_000)]
    row = {"window": 60, "tat": 0, "interval": 1, "tau": 0}
    with writing(engine) as connection:
        for key in (keys[0], keys[-1], "another"):
            insert_missing(connection, meters, row | {"key": key})
        for wanted, expected in ((keys, {keys[0], keys[-1]}), ([], set())):
            found = select(meters.c.key).where(one_of(connection, meters.c.key, wanted))
            assert set(connection.execute(found).scalars()) == expected


def test_a_row_is_inserted_once_and_upserted_whole(engine: Engine) -> None:
    row = {"key": "yahoo", "window": 60, "tat": 1, "interval": 3, "tau": 4}
    with writing(engine) as connection:
        insert_missing(connection, meters, row)
        insert_missing(connection, meters, row | {"tat": 9})
        assert connection.execute(select(meters.c.tat)).scalars().all() == [1]
        upsert(connection, meters, ("key", "window"), [row | {"tat": 7}, row | {"key": "other"}])
        upsert(connection, meters, ("key", "window"), [])
        found = connection.execute(select(meters.c.key, meters.c.tat)).all()
        assert sorted(map(tuple, found)) == [("other", 1), ("yahoo", 7)]
