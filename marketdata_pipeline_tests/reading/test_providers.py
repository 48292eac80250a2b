"""How providers stand, read from both databases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, delete, make_url, select

from marketdata_pipeline.database.engine import open_engine, reading, writing
from marketdata_pipeline.database.governing import budgets, governor, meters, requests
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.gate import Attempt, Budget, Circuit, Ending, Limits, RateLimit
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.governor.health import Condition, Volume
from marketdata_pipeline.reading.providers import read_providers, read_requests

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
LIMITS = Limits((RateLimit(2000, HOUR, 200),))
AAPL = Series.parse("AAPL|1d")


@pytest.fixture
def asked(engine: Engine) -> Governor:
    """Yahoo answered two requests and is out of order since; of tiingo a key was never used."""
    made = Governor(engine, SystemClock())
    made.register("yahoo", LIMITS)
    made.register("tiingo/second", replace(LIMITS, budget=Budget(50)))
    gate = made.gate("yahoo", max_wait=timedelta(0))
    for ending in (Ending.ANSWERED, Ending.ANSWERED, Ending.BLOCKED):
        gate.report(gate.turn(Errand(), AAPL), Attempt(ending, 403, SECOND))
    return made


def rows_of(engine: Engine) -> list[list[object]]:
    with reading(engine) as connection:
        tables = (governor, meters, budgets, requests)
        return [[tuple(row) for row in connection.execute(select(one))] for one in tables]


def test_each_provider_has_its_turns_and_its_health(asked: Governor) -> None:
    found = read_providers(asked)
    assert abs(found.at - datetime.now(UTC)) < timedelta(minutes=1)
    assert [one.key for one in found.all] == ["tiingo/second", "yahoo"]
    tiingo, yahoo = found.all
    assert tiingo.turns is not None
    assert tiingo.turns.budget_left == 50
    assert tiingo.health.condition is Condition.UNKNOWN
    assert yahoo.turns is not None
    assert yahoo.turns.circuit is Circuit.OPEN
    assert yahoo.health.condition is Condition.DOWN
    assert yahoo.health.why.startswith("it failed too often (blocked); no turn until ")
    assert yahoo.health.hour == Volume(3, 2)
    assert yahoo.health.served_at is not None
    assert yahoo.health.latency is not None
    assert yahoo.health.latency.p50 == SECOND


@pytest.mark.parametrize(("spacing", "share"), [(0.0, 0.9), (0.8, 1.0), (4.0, 0.9)])
def test_a_refusal_eases_what_bounds_the_rate(engine: Engine, spacing: float, share: float) -> None:
    """Of a turn every two seconds nothing is lost where only the distance in a burst grows."""
    made = Governor(engine, SystemClock())
    made.register("yahoo", replace(LIMITS, spacing=timedelta(seconds=spacing)))
    gate = made.gate("yahoo", max_wait=timedelta(0))
    gate.report(gate.turn(Errand()), Attempt(Ending.RATE_LIMITED, 429, SECOND))
    (one,) = read_providers(made).all
    assert one.turns is not None
    assert one.turns.eased == pytest.approx(share, abs=0.001)
    assert one.health.condition is Condition.LIMITED
    configured = 60 / max(spacing, 2)
    assert one.per_minute == pytest.approx(configured * share, abs=0.1)


def test_providers_that_were_never_asked_are_named(asked: Governor) -> None:
    found = read_providers(asked, ["yahoo", "tiingo", "binance"]).all
    assert [one.key for one in found] == ["binance", "tiingo/second", "yahoo"]
    assert (found[0].turns, found[0].health.why) == (None, "it was never asked")


def test_before_any_request_there_is_nothing_but_names(engine: Engine) -> None:
    empty = Governor(engine, SystemClock())
    assert read_providers(empty).all == ()
    assert [one.key for one in read_providers(empty, ["yahoo"]).all] == ["yahoo"]
    assert read_requests(empty, 5) == []


def test_looking_takes_no_turn_and_writes_nothing(asked: Governor) -> None:
    before = rows_of(asked.engine)
    read_providers(asked, ["binance"])
    read_requests(asked, 100)
    assert rows_of(asked.engine) == before
    assert len(before[3]) == 3


def test_a_catalog_that_takes_no_writes_can_be_looked_at(asked: Governor, catalog_url: str) -> None:
    url = make_url(catalog_url)
    if asked.engine.dialect.name == "postgresql":
        url = url.update_query_dict({"options": "-c default_transaction_read_only=on"})
    else:
        url = url.set(database=f"file:{url.database}", query={"mode": "ro", "uri": "true"})
    sealed = open_engine(url)
    with pytest.raises(StoreError, match=r"read-?only"), writing(sealed) as connection:
        connection.execute(delete(requests))
    found = read_providers(Governor(sealed, SystemClock()), ["binance"])
    assert [str(one.health.condition) for one in found.all] == ["unknown", "unknown", "down"]
    assert len(read_requests(Governor(sealed, SystemClock()), 2)) == 2
    sealed.dispose()


def test_the_newest_requests_come_first(asked: Governor) -> None:
    found = read_requests(asked, 2)
    assert [one.ending for one in found] == [Ending.BLOCKED, Ending.ANSWERED]
    assert (found[0].key, found[0].series, found[0].status) == ("yahoo", "AAPL|1d", 403)
