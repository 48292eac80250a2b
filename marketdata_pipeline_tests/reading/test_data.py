"""Reading what is stored, and taking actions out of it."""

from dataclasses import replace
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest

from marketdata_pipeline import get_ohlcv
from marketdata_pipeline.domain.actions import Action, ActionKind, Adjust
from marketdata_pipeline.domain.bars import frame
from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.domain.ranges import TimeRange, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput, HomeError
from marketdata_pipeline.ingest.settle import Listing, actions_only
from marketdata_pipeline.ingest.track import track
from marketdata_pipeline.reading.data import DataManager, label_range, parse_adjust
from marketdata_pipeline.reading.opened import data_of, opened
from marketdata_pipeline_tests.ingest.world import World, day, days, make_world

AAPL, WEEKLY = Series.parse("AAPL|1d"), Series.parse("AAPL|1wk")
SPLIT = Action(date(2024, 3, 13), ActionKind.SPLIT, Fraction(4))
PAID = Action(date(2024, 3, 14), ActionKind.DIVIDEND, Fraction(2))
DAYS = [day(f"2024-03-{number}") for number in (11, 12, 13, 14, 15)]
# As traded: 400 a share, four for one before Wednesday, 2 in cash before Thursday.
CLOSES = [400.0, 408.0, 100.0, 98.0, 99.0]
SHARES = [100.0, 200.0, 800.0, 400.0, 500.0]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A home with the week of 2024-03-11 in it, which the settings name."""
    folder = tmp_path / "home"
    monkeypatch.setenv("MARKETDATA_HOME", str(folder))
    made = make_world(tmp_path, f"sqlite:///{folder / 'catalog.sqlite'}")
    columns = {"open": CLOSES, "high": CLOSES, "low": CLOSES, "close": CLOSES, "volume": SHARES}
    made.provider.truth = {AAPL: frame([to_micros(one) for one in DAYS], columns)}
    made.provider.actions = (SPLIT, PAID)
    made.provider.first_trade = date(2024, 3, 11)
    track(made.tracking, made.clock, [AAPL.instrument], timeframes=[Timeframe.D1, Timeframe.H4])
    assert not [one.error for one in made.updater.update_many([AAPL, WEEKLY]) if one.error]
    return made


@pytest.fixture
def data(world: World) -> DataManager:
    return data_of(world.home)


def _closes(bars: pd.DataFrame) -> list[float]:
    return [float(one) for one in bars["close"]]


def test_unadjusted_bars_are_as_traded(data: DataManager) -> None:
    bars = data.bars(AAPL, adjust=Adjust.NONE)
    assert _closes(bars) == CLOSES
    assert bars["volume"].to_list() == SHARES
    assert bars.attrs["basis"] == "raw"


def test_a_split_divides_prices_and_multiplies_volume_before_it(data: DataManager) -> None:
    bars = data.bars(AAPL)
    assert _closes(bars) == [100.0, 102.0, 100.0, 98.0, 99.0]
    assert bars["volume"].to_list() == [400.0, 800.0, 800.0, 400.0, 500.0]
    assert bars.attrs.pop("market_now") <= data.clock.market_now().isoformat()
    assert bars.attrs == {"series": "AAPL|1d", "basis": "splits", "currency": "USD"}


def test_a_dividend_takes_its_share_of_the_close_before_it(data: DataManager) -> None:
    """2 paid on a close of 100: what came before is worth 98 %; volume is not touched."""
    bars = data.bars(AAPL, adjust=Adjust.ALL)
    assert _closes(bars) == pytest.approx([98.0, 99.96, 98.0, 98.0, 99.0])
    assert bars["volume"].to_list() == [400.0, 800.0, 800.0, 400.0, 500.0]
    assert bars.attrs["basis"] == "all"


def test_a_week_over_a_split_is_in_the_basis_of_its_last_session(data: DataManager) -> None:
    (week,) = data.bars(WEEKLY, adjust=Adjust.NONE).itertuples()
    assert (week.open, week.high, week.low, week.close) == (100.0, 102.0, 98.0, 99.0)
    assert week.volume == sum([400.0, 800.0, 800.0, 400.0, 500.0])
    assert week.Index == pd.Timestamp("2024-03-11", tz="UTC")


def test_a_range_is_half_open_and_adjusted_by_what_lies_after_it(data: DataManager) -> None:
    assert _closes(data.bars(AAPL, days("2024-03-11", "2024-03-13"))) == [100.0, 102.0]


def test_only_the_last_bars(data: DataManager) -> None:
    assert _closes(data.bars(AAPL, last=2)) == [98.0, 99.0]
    assert _closes(data.bars(AAPL, days("2024-03-11", "2024-03-13"), last=1)) == [102.0]
    assert len(data.bars(AAPL, last=99)) == 5


@pytest.mark.parametrize("adjust", list(Adjust))
def test_a_kept_series_without_bars_in_a_range_is_empty(data: DataManager, adjust: Adjust) -> None:
    for series, within in (
        (AAPL, days("2024-03-16", "2024-03-18")),
        (Series.parse("AAPL|4h"), None),
    ):
        bars = data.bars(series, within, adjust)
        assert bars.empty
        assert list(bars.columns) == ["open", "high", "low", "close", "volume"]
        assert str(bars.index.dtype) == "datetime64[us, UTC]"
        assert bars.attrs["series"] == str(series)


@pytest.mark.parametrize("series", ["MSFT|1d", "AAPL|1h"])
def test_a_series_that_is_not_kept_says_how_to_keep_it(data: DataManager, series: str) -> None:
    instrument, timeframe = series.split("|")
    with pytest.raises(BadInput) as found:
        data.bars(Series.parse(series))
    assert str(found.value) == (
        f"{series} is not kept here; run: marketdata track {instrument} "
        f"--timeframes {timeframe} && marketdata backfill {instrument}"
    )


def test_what_is_read_is_the_readers_own(data: DataManager) -> None:
    bars = data.bars(AAPL, adjust=Adjust.NONE)
    bars["close"] *= 2
    assert _closes(data.bars(AAPL, adjust=Adjust.NONE)) == CLOSES


def test_actions_are_told_oldest_first(data: DataManager) -> None:
    assert data.actions(AAPL.instrument) == (SPLIT, PAID)
    assert data.actions(Instrument("MSFT")) == ()


def test_overviews_hold_tracked_series_first_then_stored_ones(data: DataManager) -> None:
    found = data.overviews()
    assert [str(one.summary.series) for one in found] == ["AAPL|4h", "AAPL|1d", "AAPL|1wk"]
    assert [one.summary.rows for one in found] == [0, 5, 1]
    assert [one.completeness for one in found] == [None, 1.0, 1.0]
    assert [str(one.instrument) for one in data.tracked()] == ["AAPL"]


def test_overviews_of_named_series_are_those_only(data: DataManager) -> None:
    found = data.overviews([WEEKLY, Series.parse("IBM|1d")])
    assert [(str(one.summary.series), one.summary.rows) for one in found] == [
        ("AAPL|1wk", 1),
        ("IBM|1d", 0),
    ]


def test_overviews_of_instruments_are_their_kept_series_only(
    data: DataManager, world: World
) -> None:
    track(world.tracking, world.clock, [Instrument("MSFT")], timeframes=[Timeframe.D1])
    found = data.overviews_of([Instrument("MSFT"), AAPL.instrument, AAPL.instrument])
    assert [str(one.summary.series) for one in found] == [
        "MSFT|1d",
        "AAPL|4h",
        "AAPL|1d",
        "AAPL|1wk",
    ]
    assert [one.completeness for one in found] == [None, None, 1.0, 1.0]
    assert {one.asset_class for one in found} == {AssetClass.EQUITY}


def test_an_instrument_that_is_not_kept_has_no_overview(data: DataManager) -> None:
    with pytest.raises(BadInput, match="not kept here: IBM MSFT; run: marketdata track IBM MSFT"):
        data.overviews_of([Instrument("MSFT"), AAPL.instrument, Instrument("IBM")])


def test_an_overview_tells_the_class_that_the_provider_told(
    data: DataManager, world: World
) -> None:
    reply = world.provider.fetch(AAPL, days("2024-03-11", "2024-03-16"))
    actions_only(world.store, replace(reply, asset_class=AssetClass.ETF), Listing())
    assert {one.asset_class for one in data.overviews()} == {AssetClass.ETF}


def test_labels_are_bounded_by_dates_or_instants() -> None:
    start, end = day("2024-01-02"), day("2024-02-03")
    assert label_range(None, None) is None
    far = label_range("2300-01-01", None)
    assert far is not None, "nobody typed an end"
    assert far.start.year == 2300
    assert label_range("2024-01-02", date(2024, 2, 3)) == TimeRange(start, end)
    assert label_range(datetime(2024, 1, 2, tzinfo=UTC), "2024-02-03T00:00") == TimeRange(
        start, end
    )
    assert label_range("2024-01-02", None) == TimeRange(start, day("2200-01-01"))
    assert label_range(None, "2024-02-03") == TimeRange(day("1800-01-01"), end)
    with pytest.raises(BadInput, match="the range ends"):
        label_range("2024-02-03", "2024-01-02")


def test_a_basis_is_one_of_three_words() -> None:
    assert [parse_adjust(one) for one in ("none", "splits", "all")] == list(Adjust)
    with pytest.raises(BadInput, match="adjust is 'Splits', it must be none, splits or all"):
        parse_adjust("Splits")


@pytest.mark.usefixtures("world")
def test_get_ohlcv_reads_the_configured_home() -> None:
    bars = get_ohlcv("aapl", "1D", "2024-03-12", date(2024, 3, 14))
    assert _closes(bars) == [102.0, 100.0]
    assert _closes(get_ohlcv("AAPL", adjust="none")) == CLOSES
    assert bars.attrs["basis"] == "splits"


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("A|B",), "'A\\|B' is not an instrument"),
        (("AAPL", "7d"), "'7d' is no timeframe"),
        (("AAPL", "1d", "soon"), "'soon' is no date"),
        (("AAPL", "1d", None, None, "half"), "adjust is 'half'"),
        (("MSFT",), "is not kept here"),
    ],
)
def test_get_ohlcv_refuses_what_cannot_be_right(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        get_ohlcv(*arguments)


def test_a_home_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="no home at"), opened(tmp_path / "none", None):
        pass
    assert list(tmp_path.iterdir()) == []


def test_bars_are_read_as_they_were_known_at_an_instant(world: World) -> None:
    now = world.clock.wall_now()
    found = get_ohlcv("AAPL", adjust="none", as_of=now)
    assert _closes(found) == CLOSES
    assert found.attrs["as_of"] == now.isoformat()
    assert get_ohlcv("AAPL", as_of="2000-01-01").empty
