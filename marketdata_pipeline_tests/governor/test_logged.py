"""Reading the log of requests, and removing what is old, on both databases."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from marketdata_pipeline.database.engine import open_engine, reading, writing
from marketdata_pipeline.database.migrate import upgrade
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.errand import Errand, Priority
from marketdata_pipeline.domain.gate import Attempt, Ending, Turn
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.governor import logged
from marketdata_pipeline.governor.log import record
from marketdata_pipeline.governor.logged import (
    Count,
    Logged,
    Request,
    newest_requests,
    prune,
    read_log,
)

NOW = datetime(2024, 3, 15, 21, tzinfo=UTC)
HOUR, DAY, SECOND = timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)
AAPL = Series.parse("AAPL|1d")


def log(
    engine: Engine,
    ending: Ending,
    at: datetime,
    key: str = "yahoo",
    *,
    times: int = 1,
    took: timedelta = SECOND,
) -> None:
    turn = Turn(key, 0, Errand(Priority.HELD, 2, "run"), AAPL)
    with writing(engine) as connection:
        for _ in range(times):
            record(connection, turn, Attempt(ending, 200, took), to_micros(at))


def looked(engine: Engine, *keys: str, most: int = logged.NEWEST) -> dict[str, Logged]:
    with reading(engine) as connection:
        return read_log(connection, keys, NOW, most=most)


def endings(engine: Engine) -> list[tuple[str, Ending, datetime]]:
    with reading(engine) as connection:
        found = newest_requests(connection, 1000)
    return [(one.key, one.ending, one.ended_at) for one in found[::-1]]


def test_an_empty_log_says_nothing_of_any_key(engine: Engine) -> None:
    assert looked(engine, "yahoo", "tiingo") == {"yahoo": Logged(), "tiingo": Logged()}
    assert looked(engine) == {}


def test_a_request_reads_as_it_was_written(engine: Engine) -> None:
    log(engine, Ending.TIMEOUT, NOW, took=timedelta(seconds=25, microseconds=1))
    took = timedelta(seconds=25, microseconds=1)
    request = Request("yahoo", "AAPL|1d", "held", 2, "run", Ending.TIMEOUT, 200, NOW, took)
    assert looked(engine, "yahoo")["yahoo"].newest == (request,)
    with reading(engine) as connection:
        assert newest_requests(connection, 5) == [request]


def test_the_newest_of_a_key_are_bounded_and_of_the_last_day(engine: Engine) -> None:
    log(engine, Ending.ANSWERED, NOW - DAY - SECOND)
    for hours in (20, 10, 5):
        log(engine, Ending.ANSWERED, NOW - hours * HOUR)
        log(engine, Ending.TIMEOUT, NOW - hours * HOUR, "tiingo")
    found = looked(engine, "yahoo")["yahoo"]
    assert [one.ended_at for one in found.newest] == [NOW - n * HOUR for n in (5, 10, 20)]
    few = looked(engine, "yahoo", "tiingo", most=2)
    assert [one.ended_at for one in few["yahoo"].newest] == [NOW - 5 * HOUR, NOW - 10 * HOUR]
    assert {one.key for one in few["tiingo"].newest} == {"tiingo"}


def test_endings_are_counted_over_a_day_and_an_hour_whatever_is_listed(engine: Engine) -> None:
    log(engine, Ending.ANSWERED, NOW - DAY - SECOND)
    log(engine, Ending.ANSWERED, NOW - DAY, times=3)
    log(engine, Ending.ANSWERED, NOW - HOUR, times=2)
    log(engine, Ending.RATE_LIMITED, NOW - 2 * HOUR)
    log(engine, Ending.TIMEOUT, NOW, "tiingo/own")
    found = looked(engine, "yahoo", "tiingo/own", most=1)
    assert found["yahoo"].counts == (
        Count(Ending.ANSWERED, 5, 2, NOW - HOUR),
        Count(Ending.RATE_LIMITED, 1, 0, NOW - 2 * HOUR),
    )
    assert found["tiingo/own"].counts == (Count(Ending.TIMEOUT, 1, 1, NOW),)


def test_the_last_success_is_known_however_old_it_is(engine: Engine) -> None:
    log(engine, Ending.UNKNOWN_SYMBOL, NOW - 5 * DAY)
    log(engine, Ending.UNAVAILABLE, NOW - HOUR)
    log(engine, Ending.ANSWERED, NOW, "tiingo")
    assert looked(engine, "yahoo")["yahoo"].served_at == NOW - 5 * DAY, "a proper answer"


def test_the_newest_of_all_keys_may_be_of_any_age(engine: Engine) -> None:
    log(engine, Ending.ANSWERED, NOW - 9 * DAY)
    log(engine, Ending.TIMEOUT, NOW, "tiingo")
    with reading(engine) as connection:
        found = newest_requests(connection, 2)
    assert [(one.key, one.ended_at) for one in found] == [
        ("tiingo", NOW),
        ("yahoo", NOW - 9 * DAY),
    ]


def test_what_is_old_goes_and_the_last_success_of_each_key_stays(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logged, "_BATCH", 2)
    now = datetime.now(UTC)
    old, older, recent = now - 8 * DAY, now - 9 * DAY, now - 6 * DAY
    log(engine, Ending.ANSWERED, older, times=3)
    log(engine, Ending.OUT_OF_DEPTH, old)
    log(engine, Ending.TIMEOUT, old, times=2)
    log(engine, Ending.TIMEOUT, recent)
    log(engine, Ending.BLOCKED, older, "fmp")
    log(engine, Ending.ANSWERED, older, "tiingo")
    log(engine, Ending.ANSWERED, recent, "tiingo")
    assert prune(engine, SystemClock()) == 7
    assert endings(engine) == [
        ("yahoo", Ending.OUT_OF_DEPTH, old),
        ("yahoo", Ending.TIMEOUT, recent),
        ("tiingo", Ending.ANSWERED, recent),
    ]
    assert prune(engine, SystemClock()) == 0


def test_how_long_requests_are_kept_is_chosen(engine: Engine) -> None:
    now = datetime.now(UTC)
    log(engine, Ending.TIMEOUT, now - 2 * DAY)
    log(engine, Ending.TIMEOUT, now - HOUR)
    assert prune(engine, SystemClock(), kept=2 * DAY + HOUR) == 0
    assert prune(engine, SystemClock(), kept=DAY) == 1
    assert prune(engine, SystemClock(), kept=timedelta(0)) == 1


def test_no_look_reads_the_whole_log(tmp_path: Path) -> None:
    """SQLite plans by rule: what an empty log is searched by, a long one is too."""
    engine = open_engine(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    upgrade(engine)
    with reading(engine) as connection:
        asked = statements_of(connection, lambda: read_log(connection, ["yahoo"], NOW))
        asked += statements_of(connection, lambda: newest_requests(connection, 10))
        plans = [_plan(connection, *one) for one in asked]
    engine.dispose()
    assert [plan.partition(" (")[0] for plan in plans] == [
        "SEARCH requests USING INDEX ix_requests_ended_at",
        "SEARCH requests USING INDEX ix_requests_key_id",
        "SEARCH requests USING INDEX ix_requests_key_id",
        "SCAN requests",
    ]
    assert "TEMP B-TREE" not in plans[-1], "from the highest id on, as far as is wanted"


def statements_of(connection: Connection, look: Callable[[], object]) -> list[tuple[str, Any]]:
    """What is sent to the database meanwhile, each with its values."""
    sent: list[tuple[str, Any]] = []

    def note(*said: Any) -> None:
        sent.append((said[2], said[3]))

    event.listen(connection, "before_cursor_execute", note)
    look()
    event.remove(connection, "before_cursor_execute", note)
    return sent


def _plan(connection: Connection, statement: str, values: Any) -> str:
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
    steps = [row.detail for row in rows]
    return ", ".join(one for one in steps if "requests" in one or "ORDER BY" in one)
