"""Rows of transactions: taken in once, voided, read and marked; on both databases."""

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, insert, select, text

from marketdata_pipeline.database import happening
from marketdata_pipeline.database.engine import reading, writing
from marketdata_pipeline.domain.transaction import Side, Transaction
from marketdata_pipeline.store import transactions
from marketdata_pipeline_tests.fakes import FrozenClock

AT = datetime(2021, 3, 1, 15, 30, 0, 7, tzinfo=UTC)
ONE = Transaction("1", "main", "AAPL", Side.TRANSFER_IN, 0.1, AT, 1 / 3, "EUR")
VOID = datetime(2022, 1, 1, tzinfo=UTC)


def add(engine: Engine, *told: Transaction) -> int:
    with writing(engine) as connection:
        return transactions.add_all(connection, FrozenClock(), told)


def unprocessed(engine: Engine, at_most: int = 99) -> list[Transaction]:
    with writing(engine) as connection:
        return [one.transaction for one in transactions.unprocessed(connection, at_most=at_most)]


def mark(engine: Engine, *ids: int) -> None:
    with writing(engine) as connection:
        transactions.mark_processed(connection, FrozenClock(), ids)


def test_what_is_taken_in_is_read_as_it_was(engine: Engine) -> None:
    two = Transaction("2", "main", "Anything", Side.SELL, 1e17, AT, voided_at=VOID)
    assert add(engine, ONE, two) == 2
    assert add(engine) == 0
    assert unprocessed(engine) == [ONE, two]
    assert unprocessed(engine, 1) == [ONE]
    with reading(engine) as connection:
        assert transactions.get(connection, "main", "2") == two
        assert transactions.get(connection, "other", "2") is None
        assert transactions.count_unprocessed(connection) == 2


def test_a_currency_is_written_in_capitals(engine: Engine) -> None:
    add(engine, replace(ONE, currency="usd"))
    assert [one.currency for one in unprocessed(engine)] == ["USD"]


def test_many_are_taken_in_and_counted_once(engine: Engine) -> None:
    many = [replace(ONE, external_id=f"{at % 1500}") for at in range(2500)]
    assert add(engine, *many) == 1500
    assert add(engine, *many, replace(ONE, external_id="new")) == 1


def test_a_known_one_is_voided_once_and_is_to_be_processed_again(engine: Engine) -> None:
    add(engine, ONE)
    mark(engine, 1)
    assert unprocessed(engine) == []
    add(engine, replace(ONE, voided_at=None, quantity=7))
    assert unprocessed(engine) == []
    add(engine, replace(ONE, voided_at=VOID, quantity=7))
    assert unprocessed(engine) == [replace(ONE, voided_at=VOID)]
    mark(engine, 1)
    add(engine, replace(ONE, voided_at=AT))
    assert unprocessed(engine) == []


def test_voiding_by_id_tells_whether_there_is_one(engine: Engine) -> None:
    add(engine, ONE, replace(ONE, portfolio="other"))
    mark(engine, 1, 2)
    with writing(engine) as connection:
        assert transactions.void(connection, FrozenClock(), "main", "1")
        assert not transactions.void(connection, FrozenClock(), "main", "2")
    (found,) = unprocessed(engine)
    assert found.portfolio == "main"
    assert found.voided_at is not None


def test_rejected_ones_are_no_transactions_of_an_instrument(engine: Engine) -> None:
    add(engine, ONE, replace(ONE, external_id="2"), replace(ONE, external_id="3", instrument="x"))
    with writing(engine) as connection:
        transactions.mark_rejected(connection, FrozenClock(), {1: "it is none"})
        transactions.mark_rejected(connection, FrozenClock(), {})
        transactions.respell(connection, {3: "AAPL"})
    with reading(engine) as connection:
        found = transactions.of_instruments(connection, ["AAPL", "MSFT"])
        assert [one.id for one in found] == [2, 3]
        assert transactions.of_instruments(connection, []) == []
        why = select(happening.transactions.c.rejected).order_by(happening.transactions.c.id)
        assert connection.execute(why).scalars().all() == ["it is none", None, None]


def test_a_void_that_comes_while_a_row_is_looked_at_is_not_lost(engine: Engine) -> None:
    add(engine, ONE)
    begun = threading.Event()

    def void() -> None:
        begun.set()
        with writing(engine) as connection:
            transactions.void(connection, FrozenClock(), "main", "1")

    other = threading.Thread(target=void)
    with writing(engine) as connection:
        (row,) = transactions.unprocessed(connection, at_most=9)
        other.start()
        begun.wait(5)
        other.join(0.3)
        transactions.mark_processed(connection, FrozenClock(), [row.id])
    other.join(10)
    assert [one.voided_at is None for one in unprocessed(engine)] == [False]


def test_a_file_takes_anything_for_text_and_it_is_read_all_the_same(
    engine: Engine,
) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("Postgres takes text for text only")
    row = {"external_id": "1", "portfolio": "main", "instrument": "AAPL", "side": "buy",
           "quantity": 1, "executed_at": 1614612600000000, "recorded_at": 0}  # fmt: skip
    with writing(engine) as connection:
        connection.execute(insert(happening.transactions), [row])
        connection.execute(text("UPDATE transactions SET portfolio = x'ff00', voided_at = 'then'"))
    (found,) = unprocessed(engine)
    assert (found.portfolio, found.voided_at is None) == (r"b'\xff\x00'", False)
