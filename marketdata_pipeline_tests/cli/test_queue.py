"""`queue`: the overview, one backfill, adding, trying again; and its line in `status`."""

import json
from datetime import timedelta

import pytest

from marketdata_pipeline import errors
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.backfill import Claim, Status
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.queue import Queue
from marketdata_pipeline.ingest.track import track
from marketdata_pipeline.store.tracking import Tracking
from marketdata_pipeline_tests.cli.terminal import Terminal

URGENT = Priority.URGENT
BROKEN = errors.MalformedReply("the reply was cut off", provider="yahoo")


@pytest.fixture
def queue(home: Home) -> Queue:
    return Queue(home.engine, home.clock)


def _fail(queue: Queue, error: errors.MarketDataError, times: int = 1) -> None:
    """Let the first row that is waiting come to that."""
    for _ in range(times):
        row = queue.rows([Status.PENDING, Status.RATE_LIMITED])[0]
        (begun,) = queue.start([row.claim], "run")
        queue.conclude(begun, [error])


@pytest.mark.usefixtures("home")
def test_an_empty_queue_says_so(marketdata: Terminal) -> None:
    assert marketdata("queue").out == "the queue is empty\n"
    told = json.loads(marketdata("queue", "--json").out)
    assert (told["pending"], told["by_status"], told["failures"]) == (0, {}, [])


def test_what_is_added_is_a_row_with_an_id(queue: Queue, marketdata: Terminal) -> None:
    found = marketdata(
        "queue", "add", "aapl", "-t", "1wk,1d", "--start", "2020-01-31", "--priority", "URGENT"
    )
    assert (found.code, found.out, found.err) == (0, "1\n", "")
    row = queue.task(1)
    assert row is not None
    assert [str(one) for one in row.series] == ["AAPL|1d", "AAPL|1wk"]
    assert (str(row.start), str(row.priority)) == ("2020-01-31 00:00:00+00:00", "urgent")
    assert marketdata("queue", "add", "AAPL", "--start", "2021-01-31", "-t", "1d").out == "1\n"


def test_the_usual_timeframes_are_those_tracked(
    home: Home, queue: Queue, marketdata: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETDATA_TIMEFRAMES", "15m")
    track(Tracking(home.engine, home.clock), home.clock, [Instrument("AAPL")],
          timeframes=[Timeframe.D1])  # fmt: skip
    marketdata("queue", "add", "AAPL")
    marketdata("queue", "add", "MSFT")
    assert [str(one) for row in queue.rows() for one in row.series] == ["AAPL|1d", "MSFT|15m"]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("add A|B", "'A|B' is not an instrument"),
        ("add AAPL --priority now", "'now' is no priority; give one of urgent, held, tracked, cat"),
        ("add AAPL --start 2999-01-01", "2999-01-01 is in the future"),
        ("add AAPL --end 2020-01-01", "--end needs --start"),
        ("show 7", "the queue has no 7; see marketdata queue"),
        ("retry 7", "the queue has no 7; see marketdata queue"),
        ("retry", "name failed backfills by their ids, or give --all"),
        ("retry 7 --all", "name failed backfills by their ids, or give --all"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    marketdata: Terminal, arguments: str, said: str
) -> None:
    found = marketdata("queue", *arguments.split())
    assert found.sentence().startswith(said)
    assert found.code == 2


def test_the_overview_says_what_waits_and_what_needs_somebody(
    queue: Queue, marketdata: Terminal
) -> None:
    queue.enqueue(Instrument("NOPE"), [Timeframe.D1])
    _fail(queue, errors.UnknownSymbol("Yahoo does not know NOPE", provider="yahoo"))
    broken = queue.enqueue(Instrument("BAD"), [Timeframe.H1, Timeframe.D1], priority=URGENT)
    _fail(queue, BROKEN, times=5)
    lines = marketdata("queue").out.splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [
        ["status", "backfills"],
        ["pending", "1"],
        ["failed", "1"],
    ]
    assert lines[3] == "last hour: 0 completed"
    assert lines[4] == f"failed  {broken}  BAD 1h,1d: the reply was cut off"
    assert lines[5].startswith("unresolved  1  NOPE 1d: Yahoo does not know NOPE; again at 20")
    assert lines[6] == "to try again: marketdata queue retry --all"
    assert marketdata("queue", "--watch").out.splitlines()[1:] == lines[1:], "no terminal: once"
    told = json.loads(marketdata("queue", "--json").out)
    assert (told["failed"], told["unresolved"], told["symbols"]) == (1, 1, ["NOPE"])
    assert told["failures"][0]["error_message"] == "the reply was cut off"
    assert told["by_status"]["failed"]["rows"] == 1


def test_more_than_can_be_named_are_counted(queue: Queue, marketdata: Terminal) -> None:
    for number in range(22):
        queue.enqueue(Instrument(f"I{number}"), [Timeframe.D1], priority=URGENT)
        _fail(queue, BROKEN, times=5)
    assert "failed  and 2 others" in marketdata("queue").out.splitlines()


def test_the_pace_is_said(queue: Queue, marketdata: Terminal) -> None:
    queue.enqueue(Instrument("AAPL"), [Timeframe.D1])
    (row,) = queue.take(1, "run")
    queue.conclude(row, [])
    assert "last hour: 1 completed, each 0 s after it was wanted" in marketdata("queue").out


def test_one_backfill_is_shown_with_all_that_is_known_of_it(
    queue: Queue, marketdata: Terminal
) -> None:
    queue.enqueue(Instrument("BAD"), [Timeframe.H1, Timeframe.D1])
    _fail(queue, BROKEN)
    lines = [line.split(maxsplit=2) for line in marketdata("queue", "show", "1").out.splitlines()]
    assert ["timeframes", "1h,1d"] in lines
    assert ["error", "message", "the reply was cut off"] in [
        [one.strip() for one in line] for line in lines
    ]
    told = json.loads(marketdata("queue", "show", "1", "--json").out)
    assert (told["id"], told["status"], told["attempts"], told["launch"]) == (1, "pending", 1, 1)
    assert (told["run_id"], told["end"]) == (None, None)


def test_failed_backfills_are_tried_again_by_id_or_all(queue: Queue, marketdata: Terminal) -> None:
    for name in ("A", "B", "C"):
        queue.enqueue(Instrument(name), [Timeframe.D1], priority=URGENT)
        _fail(queue, BROKEN, times=5)
    assert marketdata("queue", "retry", "2").out == "1 begin again\n"
    assert marketdata("queue", "retry", "2").sentence() == (
        "2 has not failed, it is pending; leave it out"
    )
    assert marketdata("queue", "retry", "--all").out == "2 begin again\n"
    assert {one.status for one in queue.rows()} == {Status.PENDING}


def test_what_waits_or_has_failed_is_dropped(queue: Queue, marketdata: Terminal) -> None:
    first, second, third = (
        queue.enqueue(Instrument(one), [Timeframe.D1], priority=URGENT) for one in ("A", "B", "C")
    )
    _fail(queue, errors.UnknownSymbol("who", provider="yahoo"))
    assert "what nobody wants any more: marketdata queue drop ID" in marketdata("queue").out
    queue.start([Claim(third, 0)], "run")
    assert marketdata("queue", "drop", "1", "3").sentence() == (
        "3 neither waits nor has failed, it is in_progress"
    )
    assert marketdata("queue", "drop", "99").sentence() == (
        "the queue has no 99; see marketdata queue"
    )
    assert marketdata("queue", "drop", str(first), str(second)).out == "2 dropped\n"
    assert [one.id for one in queue.rows()] == [third]


def test_status_has_a_line_on_the_queue(queue: Queue, marketdata: Terminal) -> None:
    for number in range(7):
        queue.enqueue(Instrument(f"NO{number}"), [Timeframe.D1], priority=URGENT)
        _fail(queue, errors.UnknownSymbol("who", provider="yahoo"))
    queue.enqueue(Instrument("AAPL"), [Timeframe.D1], priority=URGENT)
    at = queue.clock.wall_now() + timedelta(days=2)
    (begun,) = queue.start([queue.rows([Status.PENDING], at_most=99)[0].claim], "run")
    queue.conclude(begun, [errors.RateLimited("no turn", retry_at=at, provider="yahoo")])
    (line,) = [one for one in marketdata("status").out.splitlines() if one.startswith("queue: ")]
    assert line == (
        f"queue: 7 pending, 0 in progress, 1 rate limited (the next at {at:%Y-%m-%d %H:%M UTC}), "
        "0 failed; unresolved: NO0, NO1, NO2, NO3, NO4 and 2 others"
    )
    told = json.loads(marketdata("status", "--json").out)["queue"]
    assert (told["pending"], told["rate_limited"], told["unresolved"]) == (7, 1, 7)
    assert told["symbols"] == ["NO0", "NO1", "NO2", "NO3", "NO4"]
    assert "7 pending, 0 in progress" in marketdata("status", "--watch").out
