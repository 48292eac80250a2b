"""Every class of instrument through the whole pipeline: stored bars equal the simulator's truth.

The real yfinance library over the simulator; nothing is compared with what passed it.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from marketdata_pipeline.database.home import make_home
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.providers.yahoo import Yahoo
from marketdata_pipeline.providers.yahoo.endpoint import Endpoint, Timeouts
from marketdata_pipeline.simulator.server import Simulator, running
from marketdata_pipeline.simulator.synthetic import SyntheticHistory
from marketdata_pipeline_tests.fakes import FrozenClock, OpenGate
from marketdata_pipeline_tests.ingest.world import World
from marketdata_pipeline_tests.samples import sampled

ZONES = ("UTC", "America/New_York", "Asia/Tokyo")


@dataclass(frozen=True)
class Case:
    """An instrument and a market instant whose last weeks hold what is special to its market."""

    key: str
    now: datetime
    special: str

    @property
    def series(self) -> list[Series]:
        return [Series(Instrument.parse(self.key), frame) for frame in Timeframe]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


CASES = (
    Case("AAPL", at("2024-12-02T15:31"), "summer time ended, Thanksgiving's half day"),
    Case("SPY", at("2025-03-14T21:00"), "summer time began"),
    Case("AZN.L", at("2025-01-10T16:30"), "half days of Christmas and New Year"),
    Case("VOD.L", at("2024-11-15T12:00"), "summer time ended three weeks before"),
    Case("0700.HK", at("2025-01-08T04:30"), "lunch breaks, half days, asked at noon"),
    Case("7203.T", at("2025-01-10T03:00"), "lunch breaks, the days around New Year"),
    Case("^GSPC", at("2024-12-02T21:00"), "an index of New York"),
    Case("^N225", at("2024-12-02T21:00"), "an index of Tokyo"),
    Case("EURUSD=X", at("2024-11-12T13:07"), "London's and New York's clocks apart for a week"),
    Case("JPY=X", at("2025-04-04T20:59"), "the week ends in a minute"),
    Case("BTC-USD", at("2024-11-12T00:00"), "round the clock, the very midnight"),
    Case("ES=F", at("2024-12-03T22:30"), "the break before the next session, a half day"),
    Case("GBPUSD=X", at("2024-11-03T23:30"), "an hour into the week, on a Sunday evening"),
    Case("NQ=F", at("2024-11-11T00:20"), "an hour into Monday's session, on a Sunday evening"),
)
MARKETS = {"AAPL", "AZN.L", "0700.HK", "^N225", "EURUSD=X", "BTC-USD", "ES=F"}
"""One of each kind."""


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running(SyntheticHistory(seed=11), FrozenClock()) as started:
        yield started


def machine_in(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process as on a machine in that zone."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()


@pytest.fixture(autouse=True)
def _zone_of_the_machine() -> Iterator[None]:
    before = os.environ.get("TZ")
    yield
    os.environ.pop("TZ", None) if before is None else os.environ.update(TZ=before)
    time.tzset()


def truth_of(simulator: Simulator, case: Case, series: Series) -> pd.DataFrame:
    """What was traded of a series up to the case's instant, and closed by then."""
    from marketdata_pipeline.domain.calendars import calendar_of

    frame = simulator.history.listing(series.instrument, case.now)
    assert frame is not None
    until = calendar_of(series.instrument).closed_until(series.timeframe, case.now)
    assert until is not None
    return frame.bars[series.timeframe].loc[: until - timedelta(microseconds=1)]


def updated(simulator: Simulator, case: Case, folder: Path) -> World:
    """A home that asked for a year of the coarse timeframes and all there is of the fine ones."""
    clock = FrozenClock(case.now, datetime(2026, 1, 5, tzinfo=UTC))
    simulator.clock = clock
    world = World(make_home(folder / "home"), clock, provider=None)  # type: ignore[arg-type]  # none
    yahoo = Yahoo(OpenGate(), clock, Endpoint.simulator(simulator.url), Timeouts(10, 10))
    updater = world.updater_over(yahoo)
    # (a week that is wanted in part only is not made)
    year = TimeRange(case.now - timedelta(days=370), case.now + timedelta(days=7))
    coarse = [one for one in case.series if one.timeframe.length >= timedelta(hours=1)]
    fine = [one for one in case.series if one not in coarse]
    for outcome in [*updater.update_many(coarse, year), *updater.update_many(fine)]:
        assert outcome.error is None, outcome
        assert outcome.judgement is not None
    return world


def compared(case: Case, zone: str, simulator: Simulator, folder: Path) -> None:
    with updated(simulator, case, folder).home as home:
        from marketdata_pipeline.store.bars import BarStore

        store = BarStore(home.engine, home.bars, home.clock)
        for series in case.series:
            stored, truth = store.read(series), truth_of(simulator, case, series)
            assert len(stored) > 40, series
            within = truth.loc[stored.index[0] :]
            # A native week was put into its basis by a division: equal to the last digits.
            rtol = 1e-12 if series.timeframe is Timeframe.W1 else 0.0
            pd.testing.assert_frame_equal(
                stored, within, rtol=rtol, atol=0, check_freq=False, obj=f"{series} in {zone}"
            )
            weeks = {Timeframe.M1: 4, Timeframe.M5: 8, Timeframe.M15: 8}.get(series.timeframe, 50)
            assert stored.index[-1] - stored.index[0] > timedelta(weeks=weeks) - timedelta(days=3)


@pytest.mark.parametrize(
    ("case", "zone"),
    sampled(
        [(case, ZONES[number % 3]) for number, case in enumerate(CASES) if case.key in MARKETS], 3
    ),
    ids=lambda one: one if isinstance(one, str) else one.key,
)
def test_a_year_of_days_and_a_month_of_minutes_equal_what_was_traded(
    case: Case, zone: str, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_in(zone, monkeypatch)
    compared(case, zone, simulator, tmp_path)


@pytest.mark.proof
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("case", CASES, ids=lambda one: one.key)
def test_every_class_is_the_same_in_every_zone_of_the_machine(
    case: Case, zone: str, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_in(zone, monkeypatch)
    compared(case, zone, simulator, tmp_path)
