import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, func, insert, select, text

from marketdata_pipeline.database.doubting import action_changes, quarantine, reports
from marketdata_pipeline.database.engine import open_engine, reading, writing
from marketdata_pipeline.database.metadata import metadata, retired_files
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.coverage import Span, SpanKind
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.errors import WriteConflict
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.chunks import MOST_INLINE
from marketdata_pipeline.store.release import Released, Releaser
from marketdata_pipeline.store.tracking import Tracked, Tracking
from marketdata_pipeline.store.verdicts import Verdicts
from marketdata_pipeline.store.verify import Verifier
from marketdata_pipeline_tests.database.test_metadata import CHANGE, QUARANTINED, REPORT
from marketdata_pipeline_tests.store.writes import (
    COIN,
    STOCK,
    bars_at,
    minutes,
    range_of,
    settle,
    write_of,
)

HOURLY = Series(COIN.instrument, Timeframe.H1)
LARGE = MOST_INLINE + 1
OF_A_SERIES = ("chunks", "coverage", "fetches", "quality", "restatements", "series")


@pytest.fixture
def tracking(engine: Engine) -> Tracking:
    return Tracking(engine, SystemClock())


@pytest.fixture
def releaser(engine: Engine) -> Releaser:
    return Releaser(engine, SystemClock(), kept=timedelta(0))


@pytest.fixture
def filled(store: BarStore, tracking: Tracking, engine: Engine) -> BarStore:
    """Two series of a coin that was tracked and is no more, one of a stock that never was."""
    tracking.put(Tracked(COIN.instrument, (Timeframe.M1, Timeframe.H1)))
    for series in (COIN, HOURLY, STOCK):
        settle(store, write_of(bars_at(minutes(0, LARGE)), series))
        Verdicts(engine, SystemClock()).put(series, {})
    tracking.remove(COIN.instrument)
    return store


def _doubt(engine: Engine) -> None:
    """A row of each table of doubt for each series and its instrument."""
    with writing(engine) as connection:
        for one in connection.execute(select(series_table)).all():
            mark = {"series_id": one.id, "fingerprint": str(one.id)}
            connection.execute(insert(quarantine).values({**QUARANTINED, **mark}))
            connection.execute(insert(reports).values({**REPORT, "series_id": one.id}))
            change = {**CHANGE, "instrument_id": one.instrument_id}
            connection.execute(insert(action_changes).values(change))


def test_whatever_refers_to_a_series_or_its_instrument_goes_with_it(
    filled: BarStore, releaser: Releaser, engine: Engine
) -> None:
    del filled
    _doubt(engine)
    assert releaser.remove(COIN.instrument)
    with reading(engine) as connection:
        kept = connection.execute(select(series_table)).all()
        for table in metadata.sorted_tables:
            for column, known in (
                ("series_id", {one.id for one in kept}),
                ("instrument_id", {one.instrument_id for one in kept}),
            ):
                if column in table.c:
                    found = set(connection.execute(select(table.c[column])).scalars())
                    assert found <= known, table.name
    assert [one.key for one in kept] == [str(STOCK)]


def rows(engine: Engine) -> dict[str, int]:
    with reading(engine) as connection:
        return {
            name: connection.execute(
                select(func.count()).select_from(metadata.tables[name])
            ).scalar_one()
            for name in OF_A_SERIES
        }


def test_what_is_long_tracked_no_more_is_removed_whole(
    filled: BarStore, releaser: Releaser, engine: Engine, folder: Path
) -> None:
    assert releaser.due() == [Released(COIN.instrument, 2, 2 * LARGE)]
    assert releaser.remove(COIN.instrument)
    assert releaser.due() == []
    assert filled.read(COIN).empty
    assert filled.coverage([COIN])[COIN].spans == ()
    assert len(filled.read(STOCK)) == LARGE
    assert rows(engine)["series"] == rows(engine)["fetches"] == rows(engine)["chunks"] == 1
    with reading(engine) as connection:
        retired = connection.execute(select(retired_files.c.path)).scalars().all()
    assert {Path(path).parts[0] for path in retired} == {COIN.slug, HOURLY.slug}
    assert all((folder / path).is_file() for path in retired), "readers may have them open"
    assert Verifier(engine, folder, SystemClock()).everywhere() == []


def test_what_was_removed_begins_anew_when_it_is_written_again(
    filled: BarStore, releaser: Releaser, engine: Engine, folder: Path
) -> None:
    releaser.remove(COIN.instrument)
    settle(filled, write_of(bars_at(minutes(0, 5))))
    assert filled.versions([COIN]) == {COIN: 1}
    assert Verifier(engine, folder, SystemClock()).faults(COIN) == []


def test_within_its_time_or_tracked_again_it_stays(
    filled: BarStore, tracking: Tracking, releaser: Releaser, engine: Engine
) -> None:
    patient = Releaser(engine, SystemClock(), kept=timedelta(days=30))
    assert patient.due() == []
    assert not patient.remove(COIN.instrument)
    tracking.put(Tracked(COIN.instrument, (Timeframe.M1,)))
    assert releaser.due() == []
    assert not releaser.remove(COIN.instrument)
    assert len(filled.read(COIN)) == LARGE


def test_what_was_never_tracked_is_never_removed(filled: BarStore, releaser: Releaser) -> None:
    assert not releaser.remove(STOCK.instrument)
    assert not releaser.remove(Instrument.parse("MSFT"))
    assert len(filled.read(STOCK)) == LARGE


ON_POSTGRES = pytest.mark.parametrize("catalog_url", ["postgres"], indirect=True)
"""SQLite has one writer at a time: nobody is ever in the middle of two."""
PATIENCE = 10.0


class HeldOpen:
    """An engine whose next transaction does all its work, then waits before its COMMIT."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        self.reached, self.let_go = threading.Event(), threading.Event()
        event.listen(self.engine, "commit", self._wait)

    def _wait(self, _connection: Connection) -> None:
        self.reached.set()
        assert self.let_go.wait(PATIENCE)

    def close(self) -> None:
        self.let_go.set()
        self.engine.dispose()


@pytest.fixture
def held(catalog_url: str) -> Iterator[HeldOpen]:
    made = HeldOpen(catalog_url)
    yield made
    made.close()


def _waits_for_a_lock(engine: Engine) -> bool:
    """Whether a transaction in this database waits for another one; soon, or never."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    until = time.monotonic() + PATIENCE / 2
    while time.monotonic() < until:
        with reading(engine) as connection:
            if connection.execute(waiting).scalar_one():
                return True
    return False


def _meeting(
    held: HeldOpen, engine: Engine, first: Callable[[], object], second: Callable[[], object]
) -> Future[object]:
    """What comes of ``second``, which met ``first`` in the middle of its transaction."""
    with ThreadPoolExecutor(2) as pool:
        try:
            ahead = pool.submit(first)
            assert held.reached.wait(PATIENCE)
            behind = pool.submit(second)
            assert _waits_for_a_lock(engine)
        finally:
            held.let_go.set()
    assert ahead.exception() is None
    return behind


@ON_POSTGRES
def test_what_is_being_tracked_again_is_not_removed(
    filled: BarStore, tracking: Tracking, releaser: Releaser, engine: Engine, held: HeldOpen
) -> None:
    again = Tracked(COIN.instrument, (Timeframe.M1,))
    slow = Tracking(held.engine, SystemClock())
    done = _meeting(held, engine, lambda: slow.put(again), lambda: releaser.remove(COIN.instrument))
    assert done.result() is False
    assert len(filled.read(COIN)) == LARGE
    assert tracking.get(COIN.instrument) is not None


@ON_POSTGRES
def test_what_is_tracked_again_while_it_is_removed_begins_anew(
    filled: BarStore, tracking: Tracking, engine: Engine, held: HeldOpen
) -> None:
    slow = Releaser(held.engine, SystemClock(), kept=timedelta(0))
    again = Tracked(COIN.instrument, (Timeframe.M1,))
    done = _meeting(held, engine, lambda: slow.remove(COIN.instrument), lambda: tracking.put(again))
    assert done.exception() is None
    assert filled.read(COIN).empty
    assert tracking.get(COIN.instrument) == done.result()


@ON_POSTGRES
@pytest.mark.parametrize("kind", ["coverage", "a verdict"])
def test_what_is_told_of_a_series_while_it_is_removed_is_not_kept(
    filled: BarStore, engine: Engine, held: HeldOpen, kind: str
) -> None:
    slow = Releaser(held.engine, SystemClock(), kept=timedelta(0))
    verdicts = Verdicts(engine, SystemClock())
    answered = Span(range_of(bars_at(minutes(0, 5))), SpanKind.ANSWERED)
    tell: dict[str, Callable[[], object]] = {
        "coverage": lambda: filled.cover(COIN, [answered]),
        "a verdict": lambda: verdicts.put(
            COIN, {"rule": Verdict(passed=True, score=1.0, detail="fine")}
        ),
    }
    done = _meeting(held, engine, lambda: slow.remove(COIN.instrument), tell[kind])
    with pytest.raises(WriteConflict, match=r"^BTC-USD\|1m was removed meanwhile; run the same"):
        done.result()
    assert rows(engine)["series"] == 1
