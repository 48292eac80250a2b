"""Every genuine recorded chart reply, through the real yfinance, gives contract-true bars."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import Action, ActionKind, raw_from_split_adjusted
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Basis, Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.providers.yahoo.canned import Canned, serving

YEAR_2020 = "2020-01-01-to-2020-01-03"
SKIPPED = {
    "TSLA__chart-TSLA-2021-11-22-to-2021-11-23-interval-30m": "30m is resampled, never fetched",
    "TSLA__chart-TSLA-2021-11-22-to-2021-11-23-interval-30m-2": "30m is resampled, never fetched",
}
"""Genuine replies that are not replayed, and why. Every venue among them has a calendar."""


@dataclass(frozen=True)
class Expected:
    """Bars after un-splitting: how many, the first one's date and close, the currency."""

    rows: int
    first: str = ""
    close: float = 0.0
    currency: str = "USD"


NOTHING = Expected(0)
ABBV = Expected(1, "2020-01-02", 89.55)
AFRAF = Expected(1, "2020-01-02", 11.27)
EURUSD = Expected(2, "2020-01-01", 1.1220826)
GOLD = Expected(1, "2020-01-02", 1524.5)
GOOG = Expected(1, "2020-01-02", 1367.37)
FUND = Expected(1, "2020-01-02", 73.72, "CAD")
ORSTED = Expected(1, "2020-01-02", 681.0, "DKK")
QQQ = Expected(1, "2020-01-02", 216.16)
UNIR = Expected(1, "2020-01-02", 13.46, "EUR")
REPLAYED = {
    f"0P000071W8.TO__chart-0P000071W8.TO-{YEAR_2020}": FUND,
    f"0P000071W8.TO__historical-via-chart-0P000071W8.TO-{YEAR_2020}": FUND,
    "0P0000XTS7__historical-via-chart-0P0000XTS7-2024-09-12-to-2024-09-16": Expected(
        2, "2024-09-12", 11887.1
    ),
    # a Saturday: Yahoo writes an empty quote
    "AAPL__chart-AAPL-2025-02-01-to-2025-02-02-includePrePost-false-interval-1m": NOTHING,
    f"ABBV__chart-ABBV-{YEAR_2020}": ABBV,
    f"ABBV__historical-via-chart-ABBV-{YEAR_2020}": ABBV,
    f"AFRAF__chart-AFRAF-{YEAR_2020}": AFRAF,
    f"AFRAF__historical-via-chart-AFRAF-{YEAR_2020}": AFRAF,
    f"APS.AX__chart-APS.AX-{YEAR_2020}": Expected(0, currency="AUD"),
    # not listed yet: 400 "Data doesn't exist for startDate"
    f"BEKE__chart-BEKE-{YEAR_2020}": Expected(0, currency=""),
    f"BEKE__chart-BEKE-{YEAR_2020}-2": Expected(0, currency=""),
    f"BRKS__chart-BRKS-{YEAR_2020}": Expected(1, "2020-01-02", 42.9),
    # a third row, the price after the end, was not asked for
    f"EURUSD=X__chart-EURUSD=X-{YEAR_2020}": EURUSD,
    f"EURUSD=X__chart-EURUSD=X-{YEAR_2020}-2": EURUSD,
    f"EURUSD=X__chart-EURUSD=X-{YEAR_2020}-3": EURUSD,
    f"EURUSD=X__historical-via-chart-EURUSD=X-{YEAR_2020}": EURUSD,
    f"GC=F__chart-GC=F-{YEAR_2020}": GOLD,
    f"GC=F__historical-via-chart-GC=F-{YEAR_2020}": GOLD,
    f"GOOG__chart-GOOG-{YEAR_2020}": GOOG,
    f"GOOG__historical-via-chart-GOOG-{YEAR_2020}": GOOG,
    "MSFT__historical-via-chart-MSFT-dividends-2021-02-01-to-2022-01-31.csv": Expected(
        252, "2021-02-01", 239.65
    ),
    "NVDA__historical-via-chart-NVDA-split-2021-02-01-to-2022-01-31.csv": Expected(
        252, "2021-02-01", 529.48
    ),
    f"ORSTED.CO__chart-ORSTED.CO-{YEAR_2020}": ORSTED,
    f"ORSTED.CO__historical-via-chart-ORSTED.CO-{YEAR_2020}": ORSTED,
    f"QQQ__chart-QQQ-{YEAR_2020}": QQQ,
    f"QQQ__historical-via-chart-QQQ-{YEAR_2020}": QQQ,
    "TSLA__chart-TSLA-2021-11-23-to-2021-11-23-interval-1h": NOTHING,
    "TSLA__historical-via-chart-dividends-TSLA-no-dividends": Expected(3303, "2010-06-29", 23.89),
    f"UNIR.MI__chart-UNIR.MI-{YEAR_2020}": UNIR,
    f"UNIR.MI__chart-UNIR.MI-{YEAR_2020}-2": UNIR,
    f"^VXAPL__chart-^VXAPL-{YEAR_2020}": NOTHING,
    f"^VXAPL__chart-^VXAPL-{YEAR_2020}-2": NOTHING,
}


KINDS = {
    "0P000071W8.TO": AssetClass.FUND,
    "0P0000XTS7": AssetClass.FUND,
    "BEKE": None,  # not listed yet: there is no chart
    "EURUSD=X": AssetClass.FX,
    "GC=F": AssetClass.FUTURE,
    "QQQ": AssetClass.ETF,
    "^VXAPL": AssetClass.INDEX,
}
"""What Yahoo says that an instrument is; the others are equities."""


def split(day: date, ratio: int) -> Action:
    return Action(day, ActionKind.SPLIT, Fraction(ratio))


SPLITS = {
    "NVDA": [split(date(2021, 7, 20), 4), split(date(2024, 6, 10), 10)],
    "TSLA": [split(date(2020, 8, 31), 5), split(date(2022, 8, 25), 3)],
    "GOOG": [split(date(2022, 7, 18), 20)],
}
"""Those up to the day of the recording, which no reply tells on its own."""


def name_of(entry: dict[str, Any]) -> str:
    return Path(entry["file"]).name.removeprefix("chart__").removesuffix(".json")


@pytest.fixture(scope="module")
def genuine(shared: Path) -> dict[str, dict[str, Any]]:
    index = json.loads((shared / "recordings" / "index.json").read_text())
    return {
        name_of(entry): entry
        for entry in index
        if (entry["provider"], entry["kind"], entry["genuine"]) == ("yahoo", "chart", True)
    }


def replayed(shared: Path, entry: dict[str, Any]) -> Reply:
    """What the adapter makes of a recorded reply, at the moment of its recording."""
    now = parsedate_to_datetime(entry["recorded_at"])
    period1, period2 = (
        datetime.fromtimestamp(int(entry["params"][name]), UTC) for name in ("period1", "period2")
    )
    window = TimeRange(period1, max(period2, period1 + timedelta(days=1)))
    body = (shared / "recordings" / entry["file"]).read_bytes()
    with serving(Canned(body, entry["status"])) as server:
        return server.yahoo(FrozenClock(now, now)).fetch(
            Series.parse(f"{entry['symbol']}|{entry['interval']}"), window
        )


def raw_of(reply: Reply) -> pd.DataFrame:
    splits = SPLITS.get(reply.series.instrument.key, [])
    return raw_from_split_adjusted(reply.bars, reply.series, splits)


def test_every_genuine_reply_is_replayed_or_has_a_reason(genuine: dict[str, Any]) -> None:
    assert set(genuine) == {*REPLAYED, *SKIPPED}


@pytest.mark.parametrize("name", REPLAYED)
def test_a_recorded_reply_gives_bars_that_keep_the_contract(
    shared: Path, genuine: dict[str, Any], name: str
) -> None:
    reply, expected = replayed(shared, genuine[name]), REPLAYED[name]
    raw = raw_of(reply)
    contract.validate(raw, reply.series, reply.market_at)
    assert (len(raw), reply.currency) == (expected.rows, expected.currency)
    assert reply.basis is Basis.SPLIT_ADJUSTED
    assert reply.requests == 1
    assert reply.asset_class is KINDS.get(reply.series.instrument.key, AssetClass.EQUITY)
    if expected.rows:
        assert f"{raw.index[0]:%Y-%m-%d}" == expected.first
        assert raw["close"].iloc[0] == pytest.approx(expected.close, rel=3e-7)


def test_nvidias_prices_of_2021_are_those_that_were_traded(
    shared: Path, genuine: dict[str, Any]
) -> None:
    """The reply lists the 4:1 split of 2021 and is divided by the 10:1 of 2024 as well."""
    name = "NVDA__historical-via-chart-NVDA-split-2021-02-01-to-2022-01-31.csv"
    reply = replayed(shared, genuine[name])
    assert reply.actions == (split(date(2021, 7, 20), 4),)
    assert reply.first_trade == date(1999, 1, 22)
    raw = raw_of(reply)
    first = raw.loc[pd.Timestamp("2021-02-01", tz="UTC")]
    assert list(first) == [522.13, 530.83, 516.11, 529.48, 5_430_100.0]
    before, after = (pd.Timestamp(day, tz="UTC") for day in ("2021-07-19", "2021-07-20"))
    assert raw.loc[before, "close"] == 751.19
    assert raw.loc[after, "close"] == 186.12


def test_a_reply_without_later_splits_is_as_traded(shared: Path, genuine: dict[str, Any]) -> None:
    name = "MSFT__historical-via-chart-MSFT-dividends-2021-02-01-to-2022-01-31.csv"
    reply = replayed(shared, genuine[name])
    raw = raw_of(reply)
    cents = raw[list(contract.PRICES)]
    assert cents.equals(cents.round(2))
    assert raw["volume"].equals(reply.bars["volume"])
    assert [(one.ex_date, one.value) for one in reply.actions] == [
        (date(2021, 2, 17), Fraction(56, 100)),
        (date(2021, 5, 19), Fraction(56, 100)),
        (date(2021, 8, 18), Fraction(56, 100)),
        (date(2021, 11, 17), Fraction(62, 100)),
    ]
