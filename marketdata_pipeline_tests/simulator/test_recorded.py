import sys
from datetime import UTC, date, datetime
from fractions import Fraction

import numpy as np
import pytest

from marketdata_pipeline.domain import bars
from marketdata_pipeline.domain.actions import Action, ActionKind, dividend_factor
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.history import FrameHistory
from marketdata_pipeline.simulator.recorded import actions_of, recorded_history, replay_start
from marketdata_pipeline_tests.simulator.histories import history, listing

END = datetime(2013, 3, 2, tzinfo=UTC)
SPECIAL = date(2004, 11, 15)


@pytest.fixture(scope="module")
def recorded() -> FrameHistory:
    return recorded_history()


def actions(recorded: FrameHistory, symbol: str, kind: ActionKind) -> dict[date, Fraction]:
    found = recorded.listing(Instrument.parse(symbol))
    assert found
    return {one.ex_date: one.value for one in found.actions if one.kind is kind}


def test_todays_spellings_are_served(recorded: FrameHistory) -> None:
    assert [str(one) for one in recorded.instruments()] == ["AAPL", "GOOGL", "IBM", "META", "MSFT"]
    assert recorded.listing(Instrument.parse("FB")) is None


def test_its_bars_keep_the_contract(recorded: FrameHistory) -> None:
    for instrument in recorded.instruments():
        found = recorded.listing(instrument)
        assert found
        series = Series(instrument, Timeframe.D1)
        assert len(bars.validate(found.bars[Timeframe.D1], series, END)) > 190


def test_prices_are_raw_across_the_split_of_2005(recorded: FrameHistory) -> None:
    found = recorded.listing(Instrument.parse("AAPL"))
    assert found
    close = found.bars[Timeframe.D1]["close"]
    assert close.loc["2005-02-25"] == 88.99
    assert close.loc["2005-02-28"] == 44.86


def test_its_splits_are_the_three_that_happened(recorded: FrameHistory) -> None:
    splits = {
        (str(one), day, ratio)
        for one in recorded.instruments()
        for day, ratio in actions(recorded, str(one), ActionKind.SPLIT).items()
    }
    assert splits == {
        ("AAPL", date(2000, 6, 21), Fraction(2)),
        ("AAPL", date(2005, 2, 28), Fraction(2)),
        ("MSFT", date(2003, 2, 18), Fraction(2)),
    }


# Apple paid 2.65 a quarter in 2012; Microsoft 0.16 in 2003 and, as its 10-Q says, a special 3.00
# with the usual 0.08 on one day; IBM 0.75 a quarter in 2011.
@pytest.mark.parametrize(
    ("symbol", "day", "paid"),
    [
        ("AAPL", date(2012, 8, 9), "2.65"),
        ("AAPL", date(2012, 11, 7), "2.65"),
        ("MSFT", date(2003, 10, 15), "0.16"),
        ("MSFT", date(2011, 2, 15), "0.16"),
        ("IBM", date(2011, 5, 6), "0.75"),
    ],
)
def test_known_dividends_are_found_to_the_cent(
    recorded: FrameHistory, symbol: str, day: date, paid: str
) -> None:
    assert actions(recorded, symbol, ActionKind.DIVIDEND)[day] == Fraction(paid)


def test_the_special_dividend_of_microsoft_is_found(recorded: FrameHistory) -> None:
    paid = actions(recorded, "MSFT", ActionKind.DIVIDEND)
    assert float(paid[SPECIAL]) == pytest.approx(3.08, rel=0.05)
    assert float(paid[date(2003, 2, 19)]) == 0.08, "the day after the split"


def test_who_paid_nothing_has_no_dividends(recorded: FrameHistory) -> None:
    assert actions(recorded, "GOOGL", ActionKind.DIVIDEND) == {}
    assert actions(recorded, "META", ActionKind.DIVIDEND) == {}


def test_the_actions_explain_the_adjusted_closes_of_the_set(recorded: FrameHistory) -> None:
    from bokeh_sampledata import stocks

    found = recorded.listing(Instrument.parse("MSFT"))
    assert found
    daily = found.bars[Timeframe.D1]
    series = Series(found.instrument, Timeframe.D1)
    ours = dividend_factor(daily, series, found.actions, daily["close"])
    ours[daily.index < "2003-02-18"] /= 2
    theirs = np.array(stocks.MSFT["adj_close"]) / np.array(stocks.MSFT["close"])
    assert np.abs(ours / (theirs / theirs[-1]) - 1).max() < 0.004


def test_a_split_and_a_dividend_on_one_day_are_told_apart() -> None:
    close, paid = [100.0, 23.0], 2.0  # 4:1, and 2 on each new share
    adjusted = [(100 / 4) * (1 - paid / 25), 23.0]
    assert actions_of(["2020-01-02", "2020-01-03"], close, adjusted) == [
        Action(date(2020, 1, 3), ActionKind.DIVIDEND, Fraction(2)),
        Action(date(2020, 1, 3), ActionKind.SPLIT, Fraction(4)),
    ]


def test_a_large_dividend_is_no_split() -> None:
    found = actions_of(["2020-01-02", "2020-01-03"], [100.0, 99.0], [50.0, 99.0])
    assert [one.kind for one in found] == [ActionKind.DIVIDEND]
    assert float(found[0].value) == pytest.approx(50)


def test_noise_of_the_factor_is_no_dividend() -> None:
    close = [100.0, 101.0, 102.0]
    assert actions_of(["2020-01-02", "2020-01-03", "2020-01-06"], close, [50, 50.50001, 51]) == []


def test_a_replay_starts_two_weeks_before_the_last_close(recorded: FrameHistory) -> None:
    assert replay_start(recorded) == datetime(2013, 2, 15, 21, tzinfo=UTC)


def test_a_history_without_daily_bars_cannot_be_replayed() -> None:
    with pytest.raises(BadInput, match="no daily bars"):
        replay_start(history(listing("AAPL", Timeframe.H1)))


def test_without_the_demo_extra_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bokeh_sampledata", None)
    with pytest.raises(BadInput, match="install the demo extra"):
        recorded_history()
