"""Charts as typed values: actions, dates, and shapes that are refused."""

from datetime import date
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.providers.yahoo.chart import Chart, Envelope, day_labels
from marketdata_pipeline_tests.providers.yahoo.canned import DAY, DAY_1, chart_body

SPLIT, DIVIDEND = ActionKind.SPLIT, ActionKind.DIVIDEND


def read(body: bytes) -> Chart:
    result = Envelope.model_validate_json(body).chart.result
    assert result is not None
    return result[0]


@pytest.mark.parametrize(
    ("spelling", "kind"),
    [
        ("EQUITY", AssetClass.EQUITY),
        ("ETF", AssetClass.ETF),
        ("INDEX", AssetClass.INDEX),
        ("MUTUALFUND", AssetClass.FUND),
        ("CRYPTOCURRENCY", AssetClass.CRYPTO),
        ("CURRENCY", AssetClass.FX),
        ("FUTURE", AssetClass.FUTURE),
        ("OPTION", None),
        ("etf", None),
        ("", None),
        (None, None),
    ],
)
def test_a_kind_that_yahoo_names_is_a_class_of_ours_or_none(
    spelling: str | None, kind: AssetClass | None
) -> None:
    assert read(chart_body(instrumentType=spelling)).asset_class() is kind


def with_events(**events: Any) -> Chart:
    return read(chart_body(events=events))


def test_splits_are_exact_ratios() -> None:
    chart = with_events(
        splits={
            "1": {"date": DAY_1 + DAY, "numerator": 3, "denominator": 2, "splitRatio": "3:2"},
            "2": {"date": DAY_1, "numerator": 1.0, "denominator": 8.0, "splitRatio": "1:8"},
            "3": {"date": DAY_1 + 2 * DAY, "numerator": 1281.0, "denominator": 1000},
        }
    )
    assert chart.actions() == (
        Action(date(2024, 3, 11), SPLIT, Fraction(1, 8)),
        Action(date(2024, 3, 12), SPLIT, Fraction(3, 2)),
        Action(date(2024, 3, 13), SPLIT, Fraction(1281, 1000)),
    )


def test_payments_are_the_decimals_that_yahoo_wrote() -> None:
    chart = with_events(
        dividends={"1": {"amount": 0.221429, "date": DAY_1}},
        capitalGains={"1": {"amount": 1.1, "date": DAY_1}},
    )
    assert chart.actions() == (
        Action(date(2024, 3, 11), ActionKind.CAPITAL_GAIN, Fraction(11, 10)),
        Action(date(2024, 3, 11), DIVIDEND, Fraction(221_429, 1_000_000)),
    )


def test_a_split_and_a_dividend_may_fall_on_one_date() -> None:
    chart = with_events(
        dividends={"1": {"amount": 0.5, "date": DAY_1}},
        splits={"1": {"date": DAY_1, "numerator": 2, "denominator": 1}},
    )
    assert [one.kind for one in chart.actions()] == [DIVIDEND, SPLIT]


def test_an_action_that_is_listed_twice_is_one() -> None:
    paid = {"amount": 0.5, "date": DAY_1}
    (action,) = with_events(dividends={"1": paid, "2": paid}).actions()
    assert action.value == Fraction(1, 2)


def test_two_payments_of_one_day_are_added_up() -> None:
    paid = {"1": {"amount": 0.25, "date": DAY_1}, "2": {"amount": 2.0, "date": DAY_1}}
    (action,) = with_events(dividends=paid).actions()
    assert action.value == Fraction(9, 4)


def test_a_payment_of_nothing_is_none() -> None:
    assert with_events(dividends={"1": {"amount": 0.0, "date": DAY_1}}).actions() == ()


def test_a_payment_in_another_currency_is_left_out_and_counted() -> None:
    chart = with_events(
        dividends={
            "1": {"amount": 0.5, "date": DAY_1, "currency": "EUR"},
            "2": {"amount": 0.6, "date": DAY_1, "currency": "USD"},
            "3": {"amount": 0.7, "date": DAY_1, "currency": ""},
        }
    )
    assert [one.value for one in chart.actions()] == [Fraction(13, 10)]
    assert chart.foreign() == 1


@pytest.mark.parametrize(
    ("stamp", "zone", "day"),
    [
        (DAY_1, "America/New_York", "2024-03-11"),
        (1_577_923_200, "Europe/London", "2020-01-02"),  # an FX day of winter
        (1_594_162_800, "Europe/London", "2020-07-08"),  # one of summer: 23:00 UTC
        (1_577_836_800, "UTC", "2020-01-01"),
        (1_641_171_600, "America/Sao_Paulo", "2022-01-03"),  # 22:00 of the day before
        (1_641_175_200, "America/Sao_Paulo", "2022-01-03"),  # 23:00 of the day before
        (1_641_175_201, "America/Sao_Paulo", "2022-01-02"),  # a trade, no misplaced midnight
        (-86_400, "Asia/Tokyo", "1969-12-31"),
    ],
)
def test_a_days_label_is_the_exchanges_date(stamp: int, zone: str, day: str) -> None:
    assert day_labels((stamp,), zone).astype("datetime64[us]").astype("datetime64[D]") == (
        np.datetime64(day)
    )


def test_the_first_day_is_the_exchanges_date_too() -> None:
    assert read(chart_body(firstTradeDate=345_479_400)).first_trade() == date(1980, 12, 12)
    assert read(chart_body(firstTradeDate=None)).first_trade() is None


def events(kind: str, **event: Any) -> dict[str, Any]:
    return {kind: {"1": event}}


TEXTS = {name: ["1", "2"] for name in ("open", "high", "low", "close", "volume")}
PRICES_ONLY = {name: [1.0, 2.0] for name in ("open", "high", "low", "close")}


@pytest.mark.parametrize(
    "body",
    [
        chart_body(exchangeTimezoneName="Mars/Olympus"),
        chart_body(exchangeTimezoneName=""),
        chart_body(exchangeTimezoneName="../../etc/passwd"),
        chart_body(exchangeTimezoneName=None),
        chart_body(symbol=None),
        chart_body(firstTradeDate="1980"),
        chart_body(firstTradeDate=10**15),
        chart_body([DAY_1, "x"]),
        chart_body([DAY_1, 10**18]),
        chart_body([DAY_1, DAY_1 + 0.5]),
        chart_body([DAY_1], quote={**PRICES_ONLY, "volume": [1, 2]}),
        chart_body(quote={**PRICES_ONLY, "volume": [1]}),
        chart_body(quote=PRICES_ONLY),
        chart_body(quote=TEXTS),
        chart_body(quote={}),
        chart_body(events=events("splits", date=DAY_1, numerator=2, denominator=0)),
        chart_body(events=events("splits", date=DAY_1, numerator=0, denominator=1)),
        chart_body(events=events("splits", date=DAY_1, splitRatio="2:1")),
        chart_body(events=events("dividends", date=DAY_1, amount=-1)),
        chart_body(events=events("dividends", amount=1)),
    ],
)
def test_a_shape_that_cannot_be_trusted_is_refused(body: bytes) -> None:
    with pytest.raises(ValidationError):
        Envelope.model_validate_json(body)


def test_no_rows_are_no_times_and_an_empty_quote() -> None:
    assert read(chart_body([], quote={})).stamps == ()
