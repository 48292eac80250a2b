"""Every fault of the simulator through the whole pipeline: what becomes of it, and no wrong bar.

The real yfinance library over the simulator, once into an empty store and once over stored bars.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from marketdata_pipeline.database.home import make_home
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import (
    Blocked,
    MalformedReply,
    MarketDataError,
    ProviderTimeout,
    RateLimited,
    SplitContradicted,
    Unavailable,
)
from marketdata_pipeline.ingest.outcome import Outcome
from marketdata_pipeline.providers.yahoo import Yahoo
from marketdata_pipeline.providers.yahoo.endpoint import Endpoint, Timeouts
from marketdata_pipeline.simulator.fault import Fault, Page
from marketdata_pipeline.simulator.faults import KINDS
from marketdata_pipeline.simulator.lives import life_of
from marketdata_pipeline.simulator.server import Simulator, running
from marketdata_pipeline.simulator.synthetic import SyntheticHistory
from marketdata_pipeline.store.write import State
from marketdata_pipeline_tests.fakes import FrozenClock, OpenGate
from marketdata_pipeline_tests.ingest.world import World
from marketdata_pipeline_tests.samples import sampled

AAPL = Instrument.parse("AAPL")
SERIES = (Series.parse("AAPL|1d"), Series.parse("AAPL|1h"))
NOW = datetime(2024, 12, 2, 15, 31, tzinfo=UTC)
"""An hour into a Monday's session; the Friday before was a half day."""
WEDNESDAY_NIGHT = datetime(2024, 11, 27, 23, tzinfo=UTC)
ASKED = TimeRange(datetime(2024, 7, 1, tzinfo=UTC), datetime(2024, 12, 9, tzinfo=UTC))
LONGEST_WAIT = 0.2
FRIDAY = (date(2024, 11, 29),)
REPLIED = "replied"
"""No error: what can be trusted of the reply is stored, what it lacks is asked for again."""
WHOLE = "whole"
"""No error, and nothing is lacking."""

Expected = type[MarketDataError] | str
CASES: list[tuple[Fault, Expected]] = [
    (Fault("drop"), REPLIED),
    (Fault("drop", dates=FRIDAY), REPLIED),
    (Fault("null"), REPLIED),
    (Fault("null", dates=FRIDAY), REPLIED),
    (Fault("bad_ohlc"), MalformedReply),
    (Fault("nan"), MalformedReply),
    (Fault("x100"), MalformedReply),
    (Fault("split_not_applied"), SplitContradicted),
    *[(Fault("status", status=status), Unavailable) for status in (418, *range(500, 505))],
    *[(Fault("status", status=status), Blocked) for status in (401, 403, 451, 999)],
    (Fault("status", status=429), RateLimited),
    (Fault("status", status=429, retry_after=60), RateLimited),
    (Fault("block"), Blocked),
    (Fault("block", page=Page.CLOUDFLARE), Blocked),
    (Fault("truncated"), MalformedReply),
    (Fault("reset"), Unavailable),
    (Fault("reset_midway"), Unavailable),
    (Fault("refused", seconds=0.5), Unavailable),
    (Fault("hang"), ProviderTimeout),
    (Fault("slow", seconds=5.0), ProviderTimeout),
    (Fault("drip", seconds=20.0), ProviderTimeout),
    (Fault("invalid_json"), MalformedReply),
    (Fault("html"), Unavailable),
    (Fault("empty"), MalformedReply),
    (Fault("wrong_symbol"), MalformedReply),
    (Fault("duplicate"), WHOLE),
    (Fault("unsorted"), WHOLE),
    (Fault("future"), WHOLE),
    (Fault("forming"), WHOLE),
]
SINGLE = [(Fault(kind, dates=FRIDAY), REPLIED) for kind in ("bad_ohlc", "nan", "x100")]
"""One bad session among many good ones."""
LATER: dict[str, tuple[Expected, Expected]] = {"split_not_applied": (WHOLE, WHOLE)}
"""What the refresh of a few days comes to where that is something else, for days and for hours.

The split was long before.
"""


def named(case: object) -> str | None:
    if not isinstance(case, Fault):
        return case if isinstance(case, str) else getattr(case, "__name__", None)
    return f"{case.kind}-{case.status}" if case.kind == "status" else case.kind


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    life = replace(life_of(AAPL, 11), splits=((date(2024, 9, 9), 4),), delisted=None)
    with running(SyntheticHistory(11, {AAPL: life}), FrozenClock()) as started:
        yield started


class Stage:
    """A home over the simulator, at one clock."""

    def __init__(self, simulator: Simulator, folder: Path, now: datetime) -> None:
        self.simulator = simulator
        self.clock = FrozenClock(now, datetime(2026, 1, 5, tzinfo=UTC))
        simulator.clock = self.clock
        simulator.faults.clear()
        home = make_home(folder / "home")
        self.world = World(home, self.clock, provider=None)  # type: ignore[arg-type]  # none

    def update(self, patience: float = 20.0) -> list[Outcome]:
        endpoint = Endpoint.simulator(self.simulator.url)
        yahoo = Yahoo(OpenGate(), self.clock, endpoint, Timeouts(patience, patience))
        waits = () if patience == LONGEST_WAIT else (0.0, 0.0)
        updater = replace(self.world.updater_over(yahoo), retry_waits=waits)
        return list(updater.update_many(SERIES, ASKED))

    def truth(self, series: Series) -> pd.DataFrame:
        """What was traded in the range and is closed by now."""
        listing = self.simulator.history.listing(AAPL, self.clock.market)
        until = calendar_of(AAPL).closed_until(series.timeframe, self.clock.market)
        assert listing is not None
        assert until is not None
        return listing.bars[series.timeframe].loc[ASKED.start : until - timedelta(microseconds=1)]

    def finals(self) -> list[pd.DataFrame]:
        """The final bars of each series, with their fetches."""
        stored = [self.world.store.read_with_fetches(one) for one in SERIES]
        return [one[one["state"] == State.FINAL] for one in stored]

    def check(self, *, whole: bool) -> None:
        """Every stored bar is true; ``whole``: and none is lacking."""
        for series in SERIES:
            stored, truth = self.world.store.read(series), self.truth(series)
            if not whole:
                assert stored.index.isin(truth.index).all()
                truth = truth.loc[stored.index]
            pd.testing.assert_frame_equal(stored, truth, check_exact=True, check_freq=False)


def befallen(stage: Stage, fault: Fault, *expected: Expected) -> None:
    """One update under the fault comes to what is expected, and one without it mends everything.

    ``expected`` is of each series.
    """
    stage.simulator.faults.add(fault)
    patience = LONGEST_WAIT if ProviderTimeout in expected else 20.0
    for outcome, what in zip(stage.update(patience), expected, strict=True):
        if isinstance(what, str):
            assert outcome.error is None
        else:
            assert type(outcome.error) is what
            assert len(str(outcome.error).splitlines()) == 1
    stage.check(whole=set(expected) == {WHOLE})
    stage.simulator.faults.clear()
    if fault.kind == "refused":
        SystemClock().sleep(fault.seconds + 0.2)
    stage.clock.advance(timedelta(hours=1, minutes=1))
    assert [one.error for one in stage.update()] == [None, None]
    stage.check(whole=True)
    stage.world.home.engine.dispose()


@pytest.mark.parametrize(
    ("fault", "expected"),
    sampled((*CASES, *SINGLE), 6),
    ids=named,
)
def test_into_an_empty_store_a_fault_brings_no_wrong_bar_and_is_mended(
    fault: Fault, expected: Expected, simulator: Simulator, tmp_path: Path
) -> None:
    befallen(Stage(simulator, tmp_path, NOW), fault, expected, expected)


@pytest.mark.proof
@pytest.mark.parametrize(("fault", "expected"), CASES, ids=named)
def test_over_stored_bars_a_fault_brings_no_wrong_bar_and_is_mended(
    fault: Fault, expected: Expected, simulator: Simulator, tmp_path: Path
) -> None:
    stage = Stage(simulator, tmp_path, WEDNESDAY_NIGHT)
    stage.update()
    stage.check(whole=True)
    finals = stage.finals()
    assert all(len(one) > 80 for one in finals)
    stage.clock.advance(NOW - WEDNESDAY_NIGHT)
    befallen(stage, fault, *LATER.get(fault.kind, (expected, expected)))
    for before, after in zip(finals, stage.finals(), strict=True):
        pd.testing.assert_frame_equal(after.loc[before.index], before, check_exact=True)


def test_every_fault_of_the_simulator_is_tried() -> None:
    assert {fault.kind for fault, _ in CASES} == set(KINDS)
