from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import metadata, retired_files
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.chunks import MOST_INLINE
from marketdata_pipeline.store.release import Released, Releaser
from marketdata_pipeline.store.tracking import Tracked, Tracking
from marketdata_pipeline.store.verdicts import Verdicts
from marketdata_pipeline.store.verify import Verifier
from marketdata_pipeline_tests.store.writes import COIN, STOCK, bars_at, minutes, settle, write_of

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
