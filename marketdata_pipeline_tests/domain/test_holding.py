"""Positions out of transactions, and the pair that turns one currency into another."""

from datetime import UTC, date, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.holding import Position, currency_of, fx_pair, major, positions
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.transaction import Side, Transaction

AAPL = Instrument.parse("AAPL")
BUY, SELL, IN, OUT = Side
SPLIT = Action(date(2020, 8, 31), ActionKind.SPLIT, Fraction(4))


def moved(
    side: Side, quantity: float, at: str, portfolio: str = "main", **more: object
) -> Transaction:
    instant = datetime.fromisoformat(at).replace(tzinfo=UTC)
    named = f"{portfolio}-{side}-{at}-{quantity}"
    return Transaction(named, portfolio, "AAPL", side, quantity, instant, **more)  # type: ignore[arg-type]  # any field


def test_what_is_bought_before_a_split_is_more_afterwards() -> None:
    told = [moved(BUY, 10, "2020-01-02T15:00"), moved(SELL, 10, "2021-01-04T15:00")]
    (found,) = positions(AAPL, told, [SPLIT])
    assert (found.quantity, found.held) == (30, True)
    (found,) = positions(AAPL, told, [])
    assert (found.quantity, found.held) == (0, False)


def test_a_reverse_split_leaves_less() -> None:
    told = [moved(BUY, 80, "2020-01-02T15:00")]
    reverse = Action(date(2020, 8, 31), ActionKind.SPLIT, Fraction(1, 8))
    (found,) = positions(AAPL, told, [reverse, reverse])
    assert found.quantity == 10


@pytest.mark.parametrize(
    ("at", "quantity"),
    [
        ("2020-08-30T00:00", 40),
        ("2020-08-31T00:00", 10),  # a mere date: that of the split itself
        ("2020-08-31T03:59", 40),  # still the 30th in New York
        ("2020-08-31T13:30", 10),
    ],
)
def test_the_exchanges_date_says_whether_a_split_was_before(at: str, quantity: float) -> None:
    (found,) = positions(AAPL, [moved(BUY, 10, at)], [SPLIT])
    assert found.quantity == quantity


def test_each_portfolio_has_its_own_position_and_its_first_acquisition() -> None:
    told = [
        moved(BUY, 2, "2021-03-01", "b", currency="EUR"),
        moved(SELL, 1, "2020-01-02", "b", currency="chf"),
        moved(IN, 3, "2020-06-01", "b"),
        moved(OUT, 4, "2022-01-01", "a"),
    ]
    assert positions(AAPL, told, []) == [
        Position("a", -4, datetime(2022, 1, 1, tzinfo=UTC)),
        Position("b", 4, datetime(2020, 6, 1, tzinfo=UTC), "EUR"),
    ]


def test_what_is_void_never_was() -> None:
    void = moved(BUY, 2, "2019-03-01", voided_at=datetime(2024, 1, 1, tzinfo=UTC))
    assert positions(AAPL, [void], []) == []
    (found,) = positions(AAPL, [void, moved(BUY, 1, "2020-01-01")], [])
    assert (found.quantity, found.acquired_at.year) == (1, 2020)


@given(st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=30), st.randoms())
def test_what_is_sold_whole_leaves_nothing(parts: list[float], order: object) -> None:
    told = [moved(BUY, one, f"2020-01-02T10:00:{at:02}") for at, one in enumerate(parts)]
    whole = sum(parts)  # rounded at each step, as an application would
    told.append(moved(SELL, whole, "2021-01-02"))
    order.shuffle(told)  # type: ignore[attr-defined]  # a Random
    (found,) = positions(AAPL, told, [])
    assert found.quantity == 0


def test_a_small_rest_is_a_rest() -> None:
    told = [moved(BUY, 1000, "2020-01-02"), moved(SELL, 999.99999, "2021-01-02")]
    (found,) = positions(AAPL, told, [])
    assert found.quantity == pytest.approx(0.00001)


@pytest.mark.parametrize(
    ("one", "other", "pair"),
    [
        ("USD", "EUR", "EURUSD=X"),
        ("EUR", "USD", "EURUSD=X"),
        ("GBp", "EUR", "EURGBP=X"),
        ("GBX", "USD", "GBPUSD=X"),
        ("JPY", "CHF", "CHFJPY=X"),
        ("AUD", "NZD", "AUDNZD=X"),
        ("CAD", "USD", "USDCAD=X"),
        ("SEK", "USD", "USDSEK=X"),
        ("SEK", "EUR", "EURSEK=X"),
        ("SEK", "NOK", "NOKSEK=X"),
        ("ZAc", "USD", "USDZAR=X"),
        ("ILA", "EUR", "EURILS=X"),
        ("BTC", "EUR", "BTC-EUR"),
        ("USD", "USDT", "USDT-USD"),
        ("USD", "usd", None),
        ("GBp", "GBP", None),
        ("BTC", "PLN", None),
        ("EURO", "USD", None),
    ],
)
def test_a_pair_is_the_markets(one: str, other: str, pair: str | None) -> None:
    found = fx_pair(one, other)
    assert (None if found is None else str(found)) == pair
    assert fx_pair(other, one) == found


@pytest.mark.parametrize(
    ("key", "told", "currency"),
    [
        ("AAPL", None, "USD"),
        ("AZN.L", None, "GBP"),
        ("AZN.L", "USD", "USD"),
        ("NPN.JO", "ZAc", "ZAR"),
        ("BTC-EUR", None, "EUR"),
        ("ETH-BTC", "USD", "BTC"),
        ("EURUSD=X", "EUR", "USD"),
        ("JPY=X", None, "JPY"),
    ],
)
def test_an_instrument_has_a_currency(key: str, told: str | None, currency: str) -> None:
    assert currency_of(Instrument.parse(key), told) == currency


def test_hundredths_are_of_their_currency() -> None:
    assert [major(one) for one in ("GBp", "GBX", "ZAc", "ILA", "eur")] == [
        "GBP", "GBP", "ZAR", "ILS", "EUR",
    ]  # fmt: skip
