"""Catalogs with many small series, and what the first read of each costs.

Not here: the series of a year (_kept). The rows are those that as many commits would leave, each of
60 daily bars; of the bars there are fewer kinds than series, since they are only to be read.
"""

import time
from collections.abc import Sequence
from itertools import islice

import numpy as np
from _kept import fetched
from _walk import SEED, days
from sqlalchemy import Table, insert, select, text

from marketdata_pipeline.database import metadata as tables
from marketdata_pipeline.database.engine import open_engine, reading, writing
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.write import Write

BARS = 60
"""Daily bars of a series."""
_KINDS = 50
_AT_ONCE = 5_000
_IDS = ("id", "instrument_id", "series_id", "fetch_id")
Row = dict[str, object]


def series(number: int) -> Series:
    """The series of a number."""
    return Series.parse(f"D{number}|1d")


def fill(home: Home, size: int) -> None:
    """Give an empty catalog so many series: some by commits, the rest as copies of their rows."""
    store = BarStore(home.engine, home.bars, home.clock)
    kinds = min(_KINDS, size)
    for number in range(kinds):
        store.commit(_write(number), expected_version=None)
    for table in (
        tables.instruments,
        tables.series,
        tables.fetches,
        tables.chunks,
        tables.coverage,
    ):
        _multiply(home, table, kinds, size)
    if home.engine.dialect.name == "postgresql":  # its autovacuum would, a minute later
        with home.engine.connect() as connection:
            connection.execute(text("ANALYZE"))
            connection.commit()


def first_reads(home: Home, numbers: Sequence[int]) -> float:
    """Seconds that an engine of its own takes to open the catalog and read these series."""
    engine = open_engine(home.engine.url)
    try:
        started = time.perf_counter()
        store = BarStore(engine, home.bars, home.clock)
        rows = sum(len(store.read(series(number))) for number in numbers)
        took = time.perf_counter() - started
    finally:
        engine.dispose()
    if rows != BARS * len(numbers):
        raise RuntimeError(f"{len(numbers)} series have {rows} bars, not {BARS} each")
    return took


def sampled(size: int, count: int, turn: int) -> list[int]:
    """Numbers of different series in no order, others in each turn."""
    dice = np.random.default_rng((SEED, size, turn))
    chosen: list[int] = dice.choice(size, min(size, count), replace=False).tolist()
    return chosen


def _write(number: int) -> Write:
    return fetched(series(number), days(BARS, number))


def _multiply(home: Home, table: Table, kinds: int, size: int) -> None:
    """Copy the rows of the first series until each has some: ids and keys count on."""
    with reading(home.engine) as connection:
        order = table.c.series_id if "series_id" in table.c else table.c.id
        asked = select(table).order_by(order)
        rows = [dict(one) for one in connection.execute(asked).mappings()]
    if len(rows) != kinds:
        raise RuntimeError(f"{kinds} series left {len(rows)} rows in {table.name}")
    fresh = (_copy(table, rows[number % kinds], number) for number in range(kinds, size))
    while batch := list(islice(fresh, _AT_ONCE)):
        with writing(home.engine) as connection:
            connection.execute(insert(table), batch)


def _copy(table: Table, row: Row, number: int) -> Row:
    """The row that the series of this number has: in each table the ids count from one."""
    own = series(number)
    keys = {tables.instruments: own.instrument.key, tables.series: str(own)}
    fresh = row | ({"key": keys[table]} if table in keys else {})
    return fresh | {name: number + 1 for name in _IDS if row.get(name) is not None}
