"""Genuine recorded replies, asked again of a history that is made of their own rows."""

import json
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marketdata_pipeline.domain import bars
from marketdata_pipeline.domain.actions import Action, ActionKind, raw_from_split_adjusted
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.simulator.history import Listing
from marketdata_pipeline_tests.simulator.histories import asked, at, listing, quote, seconds

SPLITS = {
    "NVDA": ((date(2021, 7, 20), 4), (date(2024, 6, 10), 10)),
    "TSLA": ((date(2020, 8, 31), 5), (date(2022, 8, 25), 3)),
    "GOOG": ((date(2022, 7, 18), 20),),
}
# The simulator's own choices: it knows no exchange of a single stock, and no name in words.
FREE = {"exchangeName", "fullExchangeName", "longName", "shortName", "firstTradeDate"}
# What hangs on rows that the recording does not show.
UNSEEN = {
    "regularMarketTime", "regularMarketPrice", "fiftyTwoWeekHigh", "fiftyTwoWeekLow",
    "regularMarketDayHigh", "regularMarketDayLow", "regularMarketVolume", "chartPreviousClose",
}  # fmt: skip


def replies(shared: Path) -> list[dict[str, Any]]:
    """The genuine 1d chart replies of 2025 that have rows, each with its ``result``."""
    folder = shared / "recordings"
    found = []
    for entry in json.loads((folder / "index.json").read_text()):
        if entry["provider"] == "yahoo" and entry["kind"] == "chart" and entry["genuine"]:
            results = json.loads((folder / entry["file"]).read_text())["chart"]["result"]
            if results and "timestamp" in results[0] and results[0]["meta"].get("longName"):
                found.append({**entry, "result": results[0]})
    return found


def made_of(reply: dict[str, Any]) -> Listing:
    """A history of one reply's rows, as traded."""
    result = reply["result"]
    instrument = Instrument.parse(reply["symbol"])
    offset = result["meta"]["gmtoffset"]
    days = (np.array(result["timestamp"]) + offset) // 86_400 * 86_400_000_000
    shown = bars.frame(days, quote(result))
    splits = [
        Action(day, ActionKind.SPLIT, Fraction(ratio))
        for day, ratio in SPLITS.get(reply["symbol"], ())
    ]
    raw = raw_from_split_adjusted(shown, Series(instrument, Timeframe.D1), splits)
    return Listing(instrument, result["meta"]["currency"], {Timeframe.D1: raw}, tuple(splits))


def untold(meta: dict[str, Any]) -> set[str]:
    """What the spelling of an instrument does not tell."""
    over_the_counter = {"hasPrePostMarketData"} if meta["exchangeName"] == "PNK" else set()
    etf = {"instrumentType"} if meta["instrumentType"] == "ETF" else set()
    fund = {"validRanges"} if meta["instrumentType"] == "MUTUALFUND" else set()
    return over_the_counter | etf | fund


def asked_again(reply: dict[str, Any]) -> dict[str, Any]:
    now = parsedate_to_datetime(reply["recorded_at"]).astimezone(UTC)
    return asked(made_of(reply), now, **reply["params"])


def test_rows_stamps_and_splits_are_those_of_the_recording(shared: Path) -> None:
    found = replies(shared)
    assert len(found) > 10
    for reply in found:
        again, result = asked_again(reply), reply["result"]
        assert again["timestamp"] == result["timestamp"], reply["file"]
        assert quote(again) == quote(result), reply["file"]
        if "split" in reply["params"].get("events", ""):
            splits = again.get("events", {}).get("splits")
            assert splits == result.get("events", {}).get("splits"), reply["file"]


def test_meta_says_what_the_recording_says(shared: Path) -> None:
    for reply in replies(shared):
        again, meta = asked_again(reply)["meta"], reply["result"]["meta"]
        optional = {"longName"} | {name for name in UNSEEN if "Day" in name or "Volume" in name}
        assert set(again) - optional == set(meta) - optional, reply["file"]
        for name in set(meta) - FREE - UNSEEN - untold(meta):
            assert again[name] == meta[name], (reply["file"], name)


def test_keys_come_in_the_order_of_the_recordings(shared: Path) -> None:
    reply = next(one for one in replies(shared) if one["symbol"] == "NVDA")
    again = asked_again(reply)
    assert list(again) == list(reply["result"])
    assert list(again["meta"]) == list(reply["result"]["meta"])
    assert list(again["events"]["splits"]["1626787800"]) == list(
        reply["result"]["events"]["splits"]["1626787800"]
    )


def test_a_quiet_intraday_range_is_answered_like_the_recorded_weekend(shared: Path) -> None:
    file = "chart__AAPL__chart-AAPL-2025-02-01-to-2025-02-02-includePrePost-false-interval-1m.json"
    recorded = json.loads((shared / "recordings/yahoo" / file).read_text())["chart"]["result"][0]
    again = asked(
        listing("AAPL", Timeframe.D1, Timeframe.M1),
        at("2024-03-18T12:00Z"),
        interval="1m",
        period1=seconds("2024-03-16T00:00Z"),
        period2=seconds("2024-03-17T00:00Z"),
    )
    assert again["indicators"] == recorded["indicators"]
    assert list(again) == list(recorded)
    assert list(again["meta"]) == list(recorded["meta"])


@pytest.mark.parametrize(("prepost", "kind"), [("true", "dict"), ("false", "list")])
def test_trading_periods_have_the_recorded_shape(shared: Path, prepost: str, kind: str) -> None:
    file = "chart__TSLA__chart-TSLA-2021-11-22-to-2021-11-23-interval-30m.json"
    recorded = json.loads((shared / "recordings/yahoo" / file).read_text())["chart"]["result"][0]
    periods = recorded["meta"]["tradingPeriods"]
    again: Any = asked(
        listing("TSLA", Timeframe.H1),
        at("2024-03-18T12:00Z"),
        interval="1h",
        includePrePost=prepost,
        period1=seconds("2024-03-13T00:00Z"),
        period2=seconds("2024-03-14T00:00Z"),
    )["meta"]["tradingPeriods"]
    assert type(again).__name__ == kind
    regular: list[list[dict[str, Any]]] = again["regular"] if prepost == "true" else again
    assert [list(day[0]) for day in regular] == [list(day[0]) for day in periods["regular"]]
    opened = datetime.fromtimestamp(regular[0][0]["start"], UTC)
    assert opened == at("2024-03-13T13:30Z")
    if prepost == "true":
        assert list(again) == list(periods)
        assert again["pre"][0][0]["end"] == again["regular"][0][0]["start"]
        assert again["post"][0][0]["start"] == again["regular"][0][0]["end"]
