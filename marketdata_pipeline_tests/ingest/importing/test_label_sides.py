"""Real files of both label sides: imported by the right one they resample to the coarser files.

Every bar that differs is explained by one reason of a closed set; one that is not fails the test.
SPY's minutes of 2011 are stamped by their ends, in UTC, with bars before and after hours; MSFT's
files of 2024 by their opens, as their own hours tell.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, from_micros
from marketdata_pipeline.domain.resample import derive
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.importing.frames import importer_of
from marketdata_pipeline.ingest.importing.outcome import Imported
from marketdata_pipeline.ingest.importing.paths import Asked, import_paths
from marketdata_pipeline.ingest.importing.terms import Prices, Side, Terms
from marketdata_pipeline_tests.ingest.world import World, make_world

M1, D1 = Timeframe.M1, Timeframe.D1
MSFT, SPY = Instrument.parse("MSFT"), Instrument.parse("SPY")


class Why(Enum):
    """Why a bar made of finer ones differs from the coarser file's."""

    MISSING_BARS = "the finer file begins or ends inside of it"
    OPENING_PRINTS = "the auction's print, and trades of its seconds, are no part of minute bars"
    CLOSING_PRINT = "the closing auction's print comes after the last minute"
    AUCTION_VOLUME = "shares of auctions and late reports are counted in days only"
    VOLUME_UNTOLD = "Yahoo told less, or no, volume of one of them"
    REVISION = "a price was revised by a few cents between the two downloads"
    OTHER_FEED = "another feed's extremes and volumes"


@dataclass(frozen=True)
class Difference:
    """One column of one bar; ``whole``: the finer file has all of its bars."""

    at: datetime
    column: str
    made: float
    told: float
    whole: bool

    @property
    def off(self) -> float:
        return abs(self.made / self.told - 1) if self.told else np.inf


@dataclass
class Files:
    """The files, imported into one home, and what the import said of each."""

    world: World
    said: dict[str, Imported]

    def bars(self, instrument: Instrument, timeframe: Timeframe) -> pd.DataFrame:
        return self.world.store.read(Series(instrument, timeframe))

    def differences(
        self, instrument: Instrument, finer: Timeframe, coarser: Timeframe, shifted: int = 0
    ) -> list[list[Difference]]:
        """Those of each differing bar that both have; ``shifted`` moves the finer labels first."""
        base = self.bars(instrument, finer)
        if shifted:
            base = base.set_axis(base.index + shifted * finer.length)
        made = derive(base, Series(instrument, coarser), ())
        told = self.bars(instrument, coarser)
        calendar = calendar_of(instrument)
        buckets = calendar.bucket(coarser, contract.labels_of(base))
        have = Counter(buckets.tolist())
        within = TimeRange(made.index[0].to_pydatetime() - timedelta(days=1),
                           made.index[-1].to_pydatetime() + timedelta(days=1))  # fmt: skip
        fine = calendar.grid(finer, within).labels
        want = Counter(calendar.bucket(coarser, fine).tolist())
        found = []
        for label in np.intersect1d(contract.labels_of(made), contract.labels_of(told)).tolist():
            at = from_micros(label)
            one, other = made.loc[at].to_dict(), told.loc[at].to_dict()
            whole = have[label] == want[label]
            pairs = {name: (float(one[name]), float(other[name])) for name in contract.COLUMNS}
            found.append(
                [
                    Difference(at, name, ours, theirs, whole)
                    for name, (ours, theirs) in pairs.items()
                    if abs(ours - theirs) > 1e-6
                ]
            )
        return [bar for bar in found if bar]


@pytest.fixture(scope="module")
def files(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Files]:
    folder = tmp_path_factory.mktemp("sides")
    bars = shared / "bars"
    if not (bars / "market_prices").is_dir():
        pytest.skip(f"no recorded bars: {bars} is absent")
    world = make_world(folder, f"sqlite:///{folder / 'catalog.sqlite'}")
    world.clock.market = world.clock.wall = datetime(2024, 6, 1, tzinfo=UTC)
    made = importer_of(world.home)
    judge = replace(made.judge, store=world.store, clock=world.clock)
    importer = replace(made, store=world.store, clock=world.clock, judge=judge)
    msft = bars / "market_prices" / "MSFT_1d.csv.gz"
    lean = bars / "lean" / "spy_1d_raw.csv.gz"
    sources = [
        *((bars / "market_prices" / f"MSFT_{one}.csv.gz", MSFT, one, Side.OPEN)
          for one in ("1m", "5m", "1h")),
        (_days_of(msft, folder / "MSFT_1d.csv", "2023-12-18", "2024-02-15"), MSFT, "1d", Side.OPEN),
        (bars / "pyalgotrade" / "spy_1m_2011-01.csv.gz", SPY, "1m", Side.CLOSE),
        (_days_of(lean, folder / "SPY_1d.csv", "2011-01-03", "2011-02-01"), SPY, "1d", Side.OPEN),
    ]  # fmt: skip
    said = {}
    for path, instrument, timeframe, side in sources:
        extended = side is Side.CLOSE or None
        terms = Terms(side=side, zone="UTC", basis=Prices.RAW, extended=extended)
        asked = Asked(instrument, Timeframe.parse(timeframe), terms)
        (one,) = import_paths(importer, [path], asked, lambda _: None)
        said[f"{instrument}|{timeframe}"] = one
    yield Files(world, said)
    world.home.engine.dispose()


def _days_of(source: Path, copy: Path, start: str, end: str) -> Path:
    """The days that the finer files are of: older ones were divided by splits."""
    table = pd.read_csv(source)
    table[(table["date"] >= start) & (table["date"] < end)].to_csv(copy, index=False)
    return copy


def explained(bar: list[Difference]) -> dict[str, Why | None]:
    """The reason of each differing column; None: none holds."""
    names = {one.column for one in bar}
    return {one.column: _reason(one, bar, names) for one in bar}


def _reason(one: Difference, bar: list[Difference], names: set[str]) -> Why | None:
    if not one.whole:
        return Why.MISSING_BARS
    if one.column == "volume":
        return Why.AUCTION_VOLUME if 0.6 < one.made / one.told < 1 else None
    if one.column == "open":
        return Why.OPENING_PRINTS if one.off < 0.005 else None
    if one.column == "close":
        return Why.CLOSING_PRINT if one.off < 0.001 else None
    told = {each.column: each.told for each in bar}
    if one.told == told.get("close"):
        return Why.CLOSING_PRINT
    wider = one.told > one.made if one.column == "high" else one.told < one.made
    return Why.OPENING_PRINTS if wider and "open" in names and one.off < 0.0025 else None


def test_each_row_is_stored_and_only_those_outside_of_hours_are_not(files: Files) -> None:
    said = {
        key: (one.counts.read, one.counts.new, one.counts.outside, len(one.dropped))
        for key, one in files.said.items()
        if one.counts is not None
    }
    assert said == {
        "MSFT|1m": (8309, 8309, 0, 0),
        "MSFT|5m": (3065, 3065, 0, 0),
        "MSFT|1h": (274, 274, 0, 0),
        "MSFT|1d": (40, 40, 0, 0),
        "SPY|1m": (14180, 7800, 6380, 0),
        "SPY|1d": (20, 20, 0, 0),
    }


def test_spys_minutes_are_those_of_whole_sessions(files: Files) -> None:
    within = TimeRange(datetime(2011, 1, 3, tzinfo=UTC), datetime(2011, 2, 1, tzinfo=UTC))
    expected = calendar_of(SPY).grid(M1, within).labels
    assert np.array_equal(contract.labels_of(files.bars(SPY, M1)), expected)
    assert len(expected) == 20 * 390


def test_the_stamps_of_both_files_tell_their_side(files: Files, shared: Path) -> None:
    """The session's first minute is a heavy one: by it a file says where its bars begin."""
    table = pd.read_csv(shared / "bars" / "pyalgotrade" / "spy_1m_2011-01.csv.gz")
    by_minute = table.groupby(table["ts"].str[11:16])["volume"].mean()
    assert by_minute["14:31"] > 5 * by_minute["14:30"]  # 09:30 to 09:31, stamped by its end
    # The closing auction's print, moments after 16:00, is in the bar that ends at 16:01.
    assert by_minute["21:01"] > 1.5 * by_minute["21:00"]
    assert by_minute["21:01"] > 5 * by_minute["21:02"]
    minutes = files.bars(MSFT, M1)
    local = pd.DatetimeIndex(minutes.index).tz_convert("America/New_York").strftime("%H:%M")
    assert (local.min(), local.max()) == ("09:30", "15:59")  # opens: no bar begins at 16:00
    by_minute = minutes.groupby(local)["volume"].mean()
    assert by_minute["09:30"] > 5 * by_minute["09:31"]


INTRADAY = {
    (M1, "5m"): {
        "2024-01-16 14:30": {"open": Why.MISSING_BARS, "volume": Why.MISSING_BARS},
        "2024-01-18 20:25": {"volume": Why.VOLUME_UNTOLD},
        "2024-01-23 18:35": {"open": Why.REVISION, "high": Why.REVISION},
        "2024-01-23 20:30": {"volume": Why.VOLUME_UNTOLD},
        "2024-01-24 17:40": {"volume": Why.VOLUME_UNTOLD},
        "2024-02-06 17:55": {"volume": Why.VOLUME_UNTOLD},
    },
    (M1, "1h"): {
        "2024-01-16 14:30": {"open": Why.MISSING_BARS, "volume": Why.MISSING_BARS},
        "2024-01-18 19:30": {"volume": Why.VOLUME_UNTOLD},
        "2024-01-23 20:30": {"volume": Why.VOLUME_UNTOLD},
        "2024-01-24 17:30": {"volume": Why.VOLUME_UNTOLD},
        "2024-02-06 17:30": {"volume": Why.VOLUME_UNTOLD},
    },
    (Timeframe.M5, "1h"): {},
}
"""Every bar of MSFT that differs within a day, of 1,662, 149 and 274."""


@pytest.mark.parametrize(("finer", "coarser"), INTRADAY)
def test_msfts_finer_bars_make_the_coarser_ones(
    files: Files, finer: Timeframe, coarser: str
) -> None:
    found = files.differences(MSFT, finer, Timeframe.parse(coarser))
    expected = INTRADAY[finer, coarser]
    assert {f"{bar[0].at:%Y-%m-%d %H:%M}": {one.column for one in bar} for bar in found} == {
        at: set(reasons) for at, reasons in expected.items()
    }
    for bar in found:
        for one in bar:
            reason = expected[f"{one.at:%Y-%m-%d %H:%M}"][one.column]
            assert one.whole is (reason is not Why.MISSING_BARS), one
            if reason is Why.VOLUME_UNTOLD:
                assert one.told < one.made, one
            if reason is Why.REVISION:
                assert one.off < 0.0002, one


@pytest.mark.parametrize(
    ("finer", "bars", "expected"),
    [
        ("1m", 22, {"open": 6, "high": 3, "low": 1, "close": 20, "volume": 22}),
        ("5m", 40, {"open": 9, "high": 3, "low": 3, "close": 34, "volume": 40}),
        ("1h", 40, {"open": 9, "high": 3, "low": 3, "close": 34, "volume": 40}),
    ],
)
def test_msfts_days_differ_by_their_auctions_only(
    files: Files, finer: str, bars: int, expected: dict[str, int]
) -> None:
    found = files.differences(MSFT, Timeframe.parse(finer), D1)
    reasons = [(one.at, explained(bar)) for bar in found for one in bar[:1]]
    assert [(at, told) for at, told in reasons if None in told.values()] == []
    assert len(found) == bars
    assert Counter(name for _, told in reasons for name in told) == expected
    assert {why for _, told in reasons for why in told.values()} == {
        Why.MISSING_BARS, Why.OPENING_PRINTS, Why.CLOSING_PRINT, Why.AUCTION_VOLUME,
    }  # fmt: skip


def test_spys_days_differ_from_another_feed_by_cents(files: Files) -> None:
    found = files.differences(SPY, M1, D1)
    told: Counter[tuple[str, Why]] = Counter()
    for bar in found:
        for one in bar:
            reason = {"open": Why.OPENING_PRINTS, "close": Why.CLOSING_PRINT}
            bound = 0.15 if one.column == "volume" else 0.0007
            assert one.whole, one
            assert one.off < bound, one
            told[one.column, reason.get(one.column, Why.OTHER_FEED)] += 1
    assert told == {
        ("open", Why.OPENING_PRINTS): 18,
        ("close", Why.CLOSING_PRINT): 14,
        ("high", Why.OTHER_FEED): 4,
        ("low", Why.OTHER_FEED): 5,
        ("volume", Why.OTHER_FEED): 20,
    }


def test_by_the_wrong_side_next_to_nothing_agrees(files: Files) -> None:
    """What would be, had the bars been placed a minute earlier or later."""
    five = Timeframe.M5
    for shifted in (-1, 1):
        prices = [
            bar
            for bar in files.differences(MSFT, M1, five, shifted)
            if {one.column for one in bar} & {"open", "close"}
        ]
        assert len(prices) > 0.9 * 1662
