"""Real, unpatched yfinance over its public ``session`` argument against a running simulator."""

from collections.abc import Iterator
from concurrent.futures import Executor
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.simulator.fault import Fault
from marketdata_pipeline.simulator.recorded import recorded_history, replay_start
from marketdata_pipeline.simulator.server import Simulator, running
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.simulator import yfinance_client
from marketdata_pipeline_tests.simulator.histories import at, history, listing
from marketdata_pipeline_tests.simulator.yfinance_client import Outcome, fresh_process

pytestmark = pytest.mark.proof

D1, H1, M1 = Timeframe.D1, Timeframe.H1, Timeframe.M1
SPLIT = Action(date(2024, 3, 13), ActionKind.SPLIT, Fraction(4))
DIVIDEND = Action(date(2024, 3, 12), ActionKind.DIVIDEND, Fraction("0.53"))
WEEK = {"start": "2024-03-11", "end": "2024-03-16"}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    with fresh_process(tmp_path_factory.mktemp("yfinance")) as pool:
        yield pool


@pytest.fixture(scope="module")
def recorded() -> Iterator[Simulator]:
    history_ = recorded_history()
    with running(history_, FrozenClock(market=replay_start(history_))) as simulator:
        yield simulator


def outcome(process: Executor, simulator: Simulator, symbol: str, **asked: Any) -> Outcome:
    return process.submit(yfinance_client.history, simulator.port, symbol, **asked).result(60)


def frame(process: Executor, simulator: Simulator, symbol: str, **asked: Any) -> pd.DataFrame:
    found = outcome(process, simulator, symbol, **asked)
    assert isinstance(found, pd.DataFrame), found
    return found


def test_all_of_a_stocks_days_come_with_its_actions(process: Executor, recorded: Simulator) -> None:
    found = frame(process, recorded, "AAPL", period="max")
    days = pd.DatetimeIndex(found.index)
    assert (days[0].date(), days[-1].date()) == (date(2000, 3, 1), date(2013, 2, 15))
    assert str(days.tz) == "America/New_York"
    splits = found["Stock Splits"][found["Stock Splits"] != 0]
    assert [(str(day)[:10], ratio) for day, ratio in splits.items()] == [
        ("2000-06-21", 2),
        ("2005-02-28", 2),
    ]
    assert found["Dividends"].loc["2012-08-09"] == 2.65
    of = recorded.history.listing(Instrument.parse("AAPL"), recorded.clock.market_now())
    assert of
    raw = of.bars[D1]["close"].iloc[0]
    assert found["Close"].iloc[0] == np.float32(raw / 4)


def test_start_is_kept_and_end_is_not(process: Executor, recorded: Simulator) -> None:
    found = frame(process, recorded, "MSFT", start="2004-11-12", end="2004-11-16")
    assert [day.date().day for day in found.index] == [12, 15]
    assert found["Dividends"].tolist() == [0, 3.03]


@pytest.mark.parametrize(("interval", "timeframe"), [("1h", H1), ("1m", M1)])
def test_closed_intraday_bars_come_as_they_are(
    process: Executor, interval: str, timeframe: Timeframe
) -> None:
    of = listing("AAPL", D1, timeframe, actions=[SPLIT])
    with running(history(of), FrozenClock(market=at("2024-03-16T12:00Z"))) as simulator:
        found = frame(process, simulator, "AAPL", interval=interval, **WEEK)
    raw = of.bars[timeframe]
    assert (pd.DatetimeIndex(found.index).tz_convert("UTC") == raw.index).all()
    ratio = np.where(raw.index < at("2024-03-13T00:00Z"), 4, 1)
    prices = (raw["open"].to_numpy() / ratio).astype(np.float32)
    assert found["Open"].tolist() == prices.tolist()
    assert (found["Volume"].to_numpy() == (raw["volume"] * ratio).to_numpy()).all()


def test_the_forming_hour_is_there_and_not_yet_whole(process: Executor) -> None:
    of = listing("AAPL", D1, H1)
    with running(history(of), FrozenClock(market=at("2024-03-12T15:12:13Z"))) as simulator:
        found = frame(process, simulator, "AAPL", interval="1h", start="2024-03-12", end=None)
    assert [f"{one:%H:%M:%S}" for one in found.index] == ["09:30:00", "10:30:00"]
    assert found["Volume"].iloc[-1] < of.bars[H1]["volume"].loc[at("2024-03-12T14:30Z")]


def test_a_year_of_days_ends_with_todays_row(process: Executor) -> None:
    with running(history(listing()), FrozenClock(market=at("2024-03-13T15:00Z"))) as simulator:
        found = frame(process, simulator, "AAPL", period="1y")
    assert [day.day for day in found.index] == [11, 12, 13]


def test_crypto_and_fx_days_have_their_own_midnights(process: Executor) -> None:
    both = history(listing("BTC-USD"), listing("EURUSD=X"))
    with running(both, FrozenClock(market=at("2024-03-20T00:00Z"))) as simulator:
        crypto = frame(process, simulator, "BTC-USD", **WEEK)
        fx = frame(process, simulator, "EURUSD=X", **WEEK)
    assert str(pd.DatetimeIndex(crypto.index).tz) == "UTC"
    assert [day.day for day in crypto.index] == [11, 12, 13, 14, 15]
    assert str(pd.DatetimeIndex(fx.index).tz) == "Europe/London"
    assert [day.day for day in fx.index] == [11, 12, 13, 14, 15]


def test_a_first_call_asks_for_cookie_crumb_zone_and_chart(tmp_path: Path) -> None:
    clock = FrozenClock(market=at("2024-03-16T12:00Z"))
    with running(history(listing()), clock) as simulator, fresh_process(tmp_path) as process:
        frame(process, simulator, "AAPL", **WEEK)
        assert [(seen.host, seen.path, seen.status) for seen in simulator.requests] == [
            ("fc.yahoo.com", "/", 404),
            ("query1.finance.yahoo.com", "/v1/test/getcrumb", 200),
            ("query2.finance.yahoo.com", "/v8/finance/chart/AAPL", 200),
            ("query2.finance.yahoo.com", "/v8/finance/chart/AAPL", 200),
        ]
        assert simulator.charts()[0].params["range"] == "1d"
        assert simulator.charts()[0].params["crumb"]
        frame(process, simulator, "AAPL", **WEEK)
        assert len(simulator.requests) == 5, "cookie, crumb and zone are kept"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"interval": "7m"}, "Invalid input - interval=7m is not supported."),
        ({"interval": "1h", "start": "2020-01-02", "end": "2020-01-03"}, "last 730 days"),
        ({"interval": "1m", "start": "2024-03-01", "end": "2024-03-12"}, "Only 8 days worth"),
        ({"start": "2020-01-02", "end": "2020-01-03"}, "Data doesn't exist for startDate"),
    ],
)
def test_yahoos_refusals_arrive_in_its_own_words(
    process: Executor, asked: dict[str, str], said: str
) -> None:
    clock = FrozenClock(market=at("2024-03-16T12:00Z"))
    with running(history(listing("AAPL", D1, H1, M1)), clock) as simulator:
        found = outcome(process, simulator, "AAPL", **{**WEEK, **asked})
    assert isinstance(found, tuple)
    assert found[0] == "YFPricesMissingError"
    assert said in found[1]


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (Fault("status", status=429, retry_after=13), "YFRateLimitError"),
        (Fault("status", status=503), "JSONDecodeError"),
        (Fault("truncated"), "IncompleteRead"),
        (Fault("invalid_json"), "JSONDecodeError"),
        (Fault("html"), "JSONDecodeError"),
        (Fault("empty"), "JSONDecodeError"),
        (Fault("reset"), "ConnectionError"),
    ],
)
def test_faults_reach_yfinance(process: Executor, fault: Fault, raised: str) -> None:
    clock = FrozenClock(market=at("2024-03-16T12:00Z"))
    with running(history(listing()), clock) as simulator:
        frame(process, simulator, "AAPL", **WEEK)
        simulator.faults.add(fault)
        found = outcome(process, simulator, "AAPL", **WEEK)
        assert isinstance(found, tuple), fault
        assert found[0] == raised
        simulator.faults.clear()
        assert len(frame(process, simulator, "AAPL", **WEEK)) == 5


def test_a_slow_answer_runs_into_the_timeout(process: Executor) -> None:
    clock = FrozenClock(market=at("2024-03-16T12:00Z"))
    with running(history(listing()), clock) as simulator:
        frame(process, simulator, "AAPL", **WEEK)
        simulator.faults.add(Fault("slow", seconds=timedelta(seconds=1.5).total_seconds()))
        found = outcome(process, simulator, "AAPL", timeout=0.3, **WEEK)
    assert isinstance(found, tuple)
    assert found[0] == "Timeout"


def test_a_paid_dividend_is_seen_split_adjusted(process: Executor) -> None:
    clock = FrozenClock(market=at("2024-03-16T12:00Z"))
    with running(history(listing(actions=[SPLIT, DIVIDEND])), clock) as simulator:
        found = frame(process, simulator, "AAPL", **WEEK)
    assert found["Dividends"].tolist() == [0, 0.1325, 0, 0, 0]
    assert found["Stock Splits"].tolist() == [0, 0, 4, 0, 0]
