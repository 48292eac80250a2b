"""What a transaction may say: what no row can hold, and what nothing can follow from."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.transaction import Side, Transaction, refusal, refuse_unstorable
from marketdata_pipeline.errors import BadInput

NOW = datetime(2024, 3, 15, 21, tzinfo=UTC)
GOOD = Transaction("t1", "main", "AAPL", Side.BUY, 10.0, NOW - timedelta(days=30), 180.0, "USD")


@pytest.mark.parametrize("text", ["buy", " Sell ", "TRANSFER_IN", "transfer_out"])
def test_a_side_is_read_in_any_case(text: str) -> None:
    assert str(Side.parse(text)) == text.strip().lower()


def test_another_side_is_refused() -> None:
    with pytest.raises(BadInput, match="use one of buy, sell, transfer_in, transfer_out"):
        Side.parse("short")


def test_a_whole_one_is_neither_unstorable_nor_refused() -> None:
    refuse_unstorable(GOOD)
    refuse_unstorable(replace(GOOD, price=None, currency=None, voided_at=NOW))
    assert refusal(GOOD, NOW) is None
    assert refusal(replace(GOOD, instrument=" nosuchthing "), NOW) is None


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"external_id": ""}, "its id must have"),
        ({"external_id": "a\0b"}, "its id must have"),
        ({"portfolio": "p" * 201}, "its portfolio must have"),
        ({"instrument": ""}, "its instrument must have"),
        ({"quantity": 0.0}, "its quantity is 0"),
        ({"quantity": -1.0}, "its quantity is -1"),
        ({"quantity": math.nan}, "its quantity is nan"),
        ({"quantity": math.inf}, "its quantity is inf"),
        ({"price": -1.0}, "its price is -1"),
        ({"price": math.nan}, "its price is nan"),
        ({"currency": "EURO"}, "its currency must have three letters"),
        ({"executed_at": datetime(2024, 1, 1)}, "need a time zone"),  # noqa: DTZ001 - the point
        ({"voided_at": datetime(2024, 1, 1)}, "need a time zone"),  # noqa: DTZ001 - the point
        ({"executed_at": datetime(1970, 1, 20, tzinfo=UTC)}, "how a lost instant reads"),
    ],
)
def test_what_no_row_can_hold_is_refused_with_its_id(changed: dict[str, object], why: str) -> None:
    with pytest.raises(BadInput, match=why) as caught:
        refuse_unstorable(replace(GOOD, **changed))  # type: ignore[arg-type]  # any field
    assert str(caught.value).startswith("transaction ")


def test_a_spelling_outside_the_grammar_is_refused_with_its_sentence() -> None:
    with pytest.raises(BadInput) as caught:
        Instrument.parse("BRK.B")
    assert refusal(replace(GOOD, instrument="BRK.B"), NOW) == str(caught.value)


def test_more_than_a_day_ahead_is_the_future() -> None:
    assert refusal(replace(GOOD, executed_at=NOW + timedelta(days=1)), NOW) is None
    late = refusal(replace(GOOD, executed_at=NOW + timedelta(days=1, seconds=1)), NOW)
    assert late is not None
    assert "2024-03-16 21:00 UTC, while market time is 2024-03-15 21:00 UTC" in late


def test_an_instant_before_any_exchange_is_refused() -> None:
    why = refusal(replace(GOOD, executed_at=datetime(1899, 12, 31, tzinfo=UTC)), NOW)
    assert why == "it was executed before 1900: 1899-12-31 00:00 UTC"


@pytest.mark.parametrize("currency", ["12$", "€€€", "E R"])
def test_what_is_no_currency_is_refused(currency: str) -> None:
    why = refusal(replace(GOOD, currency=currency), NOW)
    assert why == f"{currency!r} is no currency; write three letters, e.g. EUR"
