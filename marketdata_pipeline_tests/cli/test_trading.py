"""`buy`, `sell`, `void`: what is recorded, and what they say that follows."""

import json
import re
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from sqlalchemy import select

from marketdata_pipeline.database.engine import reading, writing
from marketdata_pipeline.database.happening import backfill_queue, transactions
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.store import holdings
from marketdata_pipeline.store.tracking import Standing, Tracking
from marketdata_pipeline_tests.cli.terminal import Terminal
from marketdata_pipeline_tests.conftest import ROOT
from marketdata_pipeline_tests.test_docs import commands

AAPL = Instrument.parse("AAPL")


def _keys(home: Home) -> list[str]:
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        return list(instance.get_dynamic_partitions("instruments"))


def _standing(home: Home, instrument: Instrument = AAPL) -> Standing:
    found = Tracking(home.engine, home.clock).standing(instrument)
    assert found is not None
    return found


def _count(home: Home, table: object) -> int:
    with reading(home.engine) as connection:
        return len(connection.execute(select(table)).all())  # type: ignore[call-overload]  # a table


def test_a_purchase_is_recorded_tracked_and_queued(home: Home, marketdata: Terminal) -> None:
    found = marketdata("buy", "aapl", "10", "--at", "2021-03-01", "--price", "127.79")
    assert (found.code, found.err) == (0, "")
    first, second = found.out.splitlines()
    assert re.fullmatch(
        r"bought 10 AAPL, id [0-9a-f]{12}; AAPL is tracked since 2020-03-01, held in 1 portfolio",
        first,
    )
    assert second == "queued: 1; next: marketdata worker --once, or leave it to marketdata ui"
    assert _keys(home) == ["AAPL"]
    assert _standing(home).since == datetime(2020, 3, 1, tzinfo=UTC)


def test_the_same_id_twice_is_one_purchase(home: Home, marketdata: Terminal) -> None:
    words = ("buy", "AAPL", "0.5", "--id", "7", "--at", "2021-03-01T15:30Z")
    marketdata(*words)
    assert marketdata(*words).out == (
        "id 7 is known already, nothing changed; AAPL is tracked since 2020-03-01, "
        "held in 1 portfolio\n"
    )
    assert _count(home, transactions) == 1
    marketdata(*words, "--portfolio", "other")
    assert (_count(home, transactions), _count(home, backfill_queue)) == (2, 1)


def test_the_commands_of_the_page_do_what_it_says(home: Home, marketdata: Terminal) -> None:
    for words in commands(ROOT / "docs" / "events.md"):
        if words[0] in {"buy", "sell", "void"}:
            assert marketdata(*words).code == 0
    with reading(home.engine) as connection:
        (held,) = holdings.all_of(connection)
    assert (held.instrument, held.quantity) == (AAPL, 10)


def test_without_a_date_it_is_now(home: Home, marketdata: Terminal) -> None:
    told = json.loads(marketdata("buy", "AAPL", "1", "--json").out)
    age = home.clock.market_now() - datetime.fromisoformat(told["executed_at"])
    assert timedelta(0) <= age < timedelta(minutes=1)


def test_a_sale_of_all_says_until_when_it_is_kept(home: Home, marketdata: Terminal) -> None:
    marketdata("buy", "AAPL", "10", "--at", "2021-03-01")
    found = marketdata("sell", "AAPL", "10", "--at", "2021-04-01", "--id", "s")
    until = home.clock.wall_now() + timedelta(days=30)
    assert found.out == (
        f"sold 10 AAPL, id s; AAPL is held no more, and kept up to date until {until:%Y-%m-%d}\n"
    )
    assert _standing(home).holders == 0


def test_a_void_undoes_it(home: Home, marketdata: Terminal) -> None:
    marketdata("buy", "AAPL", "10", "--id", "b")
    found = marketdata("void", "b")
    assert found.out.startswith("void: b; AAPL is held no more")
    assert _standing(home).holders == 0
    assert marketdata("void", "c").sentence() == "portfolio 'main' has no transaction 'c'"
    assert marketdata("void", "b", "--portfolio", "x").code == 2


def test_the_pair_of_currencies_comes_with_it(
    home: Home, marketdata: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETDATA_PORTFOLIO_CURRENCIES", "main=EUR,us=USD")
    found = marketdata("buy", "AAPL", "10", "--at", "2021-03-01", "--json")
    told = json.loads(found.out)
    assert told | {"id": ""} == {
        "id": "", "portfolio": "main", "instrument": "AAPL", "side": "buy", "quantity": 10.0,
        "executed_at": "2021-03-01T00:00:00+00:00", "told": f"bought 10 AAPL, id {told['id']}",
        "holders": 1, "since": "2020-03-01T00:00:00+00:00", "released_at": None,
        "tracked": ["AAPL", "EURUSD=X"], "queued": [1, 2],
    }  # fmt: skip
    assert _keys(home) == ["AAPL", "EURUSD=X"]
    found = marketdata("buy", "MSFT", "1", "--portfolio", "us", "--currency", "usd")
    assert "queued: 3; " in found.out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("buy BRK.B 1", "BRK-B"),
        ("buy AAPL 0", "its quantity is 0, it must be above 0"),
        ("buy AAPL nan", "its quantity is nan"),
        ("sell AAPL 1 --at 2999-01-01", "it was executed in the future: 2999-01-01"),
        ("buy AAPL 1 --at soon", "'soon' is no date"),
        ("buy AAPL 1 --currency euro", "its currency must have three letters"),
        ("buy AAPL 1 --currency 12$", "'12$' is no currency"),
        ("buy AAPL 1 --price -1", "its price is -1"),
    ],
)
def test_what_cannot_be_right_is_refused_and_nothing_recorded(
    home: Home, marketdata: Terminal, words: str, why: str
) -> None:
    found = marketdata(*words.split())
    assert found.code == 2
    assert why in found.sentence()
    assert (_count(home, transactions), _keys(home)) == (0, [])


def test_what_other_programs_sent_is_done_with_it(home: Home, marketdata: Terminal) -> None:
    row = {"external_id": "x", "portfolio": "app", "instrument": "MSFT", "side": "buy",
           "quantity": 1, "executed_at": 1614556800000000, "recorded_at": 0}  # fmt: skip
    with writing(home.engine) as connection:
        connection.execute(transactions.insert(), [row, {**row, "external_id": "y", "side": "buy"}])
    marketdata("buy", "AAPL", "1")
    assert _keys(home) == ["AAPL", "MSFT"]
    assert _standing(home, Instrument.parse("MSFT")).holders == 1


def test_untracking_what_is_held_says_that_it_stays(home: Home, marketdata: Terminal) -> None:
    marketdata("buy", "AAPL", "1")
    marketdata("track", "AAPL", "MSFT")
    assert marketdata("untrack", "AAPL", "MSFT").out.splitlines() == [
        "1 no longer tracked; their bars stay",
        "still tracked, since a portfolio holds it: AAPL",
    ]
    assert [one.instrument for one in Tracking(home.engine, home.clock).all()] == [AAPL]
    assert not _standing(home).by_hand
