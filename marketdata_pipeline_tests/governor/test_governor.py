import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, select, update

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.engine import open_engine, reading, writing
from marketdata_pipeline.database.metadata import governor as table
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.gate import RateLimit
from marketdata_pipeline.domain.ranges import from_micros
from marketdata_pipeline.errors import BadInput, RateLimited, StoreError
from marketdata_pipeline.governor import row
from marketdata_pipeline.governor.gcra import pace_of
from marketdata_pipeline.governor.governor import DEFAULT_COOLDOWN, Governor
from marketdata_pipeline_tests.conftest import ROOT
from marketdata_pipeline_tests.fakes import FrozenClock

LIMIT = RateLimit(6, timedelta(seconds=60), 3)
PACE = pace_of(LIMIT)
LONG = timedelta(hours=1)


class RealWall(FrozenClock):
    """The machine's wall clock, on which nobody sleeps: Postgres' own clock is real too."""

    def wall_now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def real() -> RealWall:
    return RealWall()


@pytest.fixture
def governor(engine: Engine, real: RealWall) -> Governor:
    found = Governor(engine, real)
    found.register("yahoo", LIMIT)
    return found


@pytest.fixture
def still(tmp_path: Path) -> Iterator[Governor]:
    """A governor on SQLite, where time stands still but for sleeping."""
    engine = open_engine(f"sqlite:///{tmp_path}/still.sqlite")
    table.metadata.create_all(engine)
    found = Governor(engine, FrozenClock())
    found.register("yahoo", LIMIT)
    yield found
    engine.dispose()


def seconds_of(micros: int) -> float:
    return micros / 1_000_000


def stored(engine: Engine) -> dict[str, int]:
    with reading(engine) as connection:
        return dict(connection.execute(select(table)).mappings().one())


def slept(one: Governor) -> list[float]:
    assert isinstance(one.clock, FrozenClock)
    return one.clock.slept


def test_a_burst_comes_at_once_and_then_each_turn_waits_one_interval(governor: Governor) -> None:
    gate = governor.gate("yahoo", max_wait=LONG)
    for _ in range(5):
        gate.turn()
    interval = seconds_of(PACE.interval)
    assert len(slept(governor)) == 2, "three at once"
    for number, waited in enumerate(slept(governor), start=1):
        assert number * interval - 2 < waited <= number * interval


def test_turns_lie_exactly_one_interval_apart(still: Governor) -> None:
    gate = still.gate("yahoo", max_wait=LONG)
    for _ in range(8):
        gate.turn()
    assert slept(still) == [pytest.approx(seconds_of(PACE.interval))] * 5


def test_an_idle_provider_earns_its_burst_again_and_no_more(still: Governor) -> None:
    gate = still.gate("yahoo", max_wait=LONG)
    for _ in range(3):
        gate.turn()
    assert isinstance(still.clock, FrozenClock)
    still.clock.advance(timedelta(days=1))
    for _ in range(4):
        gate.turn()
    assert len(slept(still)) == 1


def test_the_caller_is_told_of_a_wait_before_it_begins(still: Governor) -> None:
    told: list[tuple[float, int]] = []
    gate = still.gate(
        "yahoo", max_wait=LONG, waiting=lambda wait: told.append((wait, len(slept(still))))
    )
    for _ in range(4):
        gate.turn()
    assert told == [(slept(still)[0], 0)]


def test_a_turn_too_far_away_is_refused_and_costs_nothing(governor: Governor) -> None:
    eager = governor.gate("yahoo", max_wait=timedelta(seconds=1))
    for _ in range(3):
        eager.turn()
    before = stored(governor.engine)
    with pytest.raises(RateLimited, match="yahoo has no turn for the next") as refused:
        eager.turn()
    with pytest.raises(RateLimited):
        eager.turn()
    assert stored(governor.engine) == before
    assert refused.value.provider == "yahoo"
    assert refused.value.retry_at == from_micros(before["tat"] - before["tau"])
    assert slept(governor) == []


@pytest.mark.parametrize("short", [0, 1])
def test_a_turn_exactly_at_the_longest_wait_is_taken(still: Governor, short: int) -> None:
    for _ in range(3):
        still.gate("yahoo", max_wait=LONG).turn()
    wait = timedelta(microseconds=PACE.interval - short)
    gate = still.gate("yahoo", max_wait=wait)
    if short:
        with pytest.raises(RateLimited):
            gate.turn()
    else:
        gate.turn()
    assert len(slept(still)) == 1 - short


def test_a_cooldown_holds_for_everybody_and_the_burst_does_not_eat_it(governor: Governor) -> None:
    governor.gate("yahoo", max_wait=LONG).cool_down(timedelta(seconds=100))
    other = Governor(open_engine(governor.engine.url), governor.clock)
    with pytest.raises(RateLimited) as refused:
        other.gate("yahoo", max_wait=timedelta(seconds=90)).turn()
    left = refused.value.retry_at - datetime.now(UTC)
    assert timedelta(seconds=80) < left <= timedelta(seconds=100)
    other.engine.dispose()


def test_after_a_cooldown_turns_go_on_from_its_end(still: Governor) -> None:
    gate = still.gate("yahoo", max_wait=LONG)
    gate.cool_down(timedelta(seconds=100))
    for _ in range(4):
        gate.turn()
    assert slept(still) == [pytest.approx(100.0), pytest.approx(seconds_of(PACE.interval))]


def test_a_shorter_cooldown_does_not_shorten_a_longer_one(still: Governor) -> None:
    gate = still.gate("yahoo", max_wait=LONG)
    gate.cool_down(timedelta(seconds=100))
    gate.cool_down(timedelta(seconds=1))
    gate.cool_down(None)
    gate.turn()
    assert slept(still) == [pytest.approx(100.0)]


@pytest.mark.parametrize(
    ("asked", "waited"), [(None, [DEFAULT_COOLDOWN.total_seconds()]), (timedelta(-1), [])]
)
def test_a_cooldown_that_is_not_said_lasts_thirty_seconds(
    still: Governor, asked: timedelta | None, waited: list[float]
) -> None:
    gate = still.gate("yahoo", max_wait=LONG)
    gate.cool_down(asked)
    gate.turn()
    assert slept(still) == [pytest.approx(one) for one in waited]


def test_a_cooldown_that_came_during_the_wait_is_obeyed(still: Governor) -> None:
    clock = still.clock
    assert isinstance(clock, FrozenClock)
    told: list[float] = []

    def another_is_refused(wait: float) -> None:
        if not told:
            micros = (clock.wall - from_micros(0)) // timedelta(microseconds=1)
            with writing(still.engine) as connection:
                until = micros + PACE.interval + 50_000_000
                connection.execute(update(table).values(cooldown_until=until))
        told.append(wait)

    gate = still.gate("yahoo", max_wait=LONG, waiting=another_is_refused)
    for _ in range(4):
        gate.turn()
    assert told == [pytest.approx(seconds_of(PACE.interval)), pytest.approx(50.0)]


def test_all_waits_of_one_turn_together_stay_below_the_longest_wait(still: Governor) -> None:
    clock = still.clock
    assert isinstance(clock, FrozenClock)

    def another_is_refused(_wait: float) -> None:
        with writing(still.engine) as connection:
            row.cool_down(connection, clock, "yahoo", PACE.interval + 50_000_000)

    longest = timedelta(microseconds=PACE.interval) + timedelta(seconds=49)
    gate = still.gate("yahoo", max_wait=longest, waiting=another_is_refused)
    for _ in range(3):
        gate.turn()
    with pytest.raises(RateLimited):
        gate.turn()
    assert len(slept(still)) == 1


def test_state_survives_a_restart_and_another_limit(governor: Governor) -> None:
    gate = governor.gate("yahoo", max_wait=LONG)
    for _ in range(3):
        gate.turn()
    gate.cool_down(timedelta(seconds=100))
    before = stored(governor.engine)
    again = Governor(governor.engine, SystemClock())
    again.register("yahoo", RateLimit(60, timedelta(seconds=1), 10))
    after = stored(governor.engine)
    faster = pace_of(RateLimit(60, timedelta(seconds=1), 10))
    assert after == before | {"interval": faster.interval, "tau": faster.tau}


def test_providers_do_not_share_turns(governor: Governor) -> None:
    governor.register("binance", LIMIT)
    for name in ("yahoo", "binance"):
        for _ in range(3):
            governor.gate(name, max_wait=timedelta(0)).turn()
    governor.gate("yahoo", max_wait=LONG).cool_down(None)
    assert slept(governor) == []


def test_an_unregistered_provider_is_an_error_and_not_an_open_gate(governor: Governor) -> None:
    with pytest.raises(StoreError, match="does not know nasdaq; register its rate limit"):
        governor.gate("nasdaq", max_wait=LONG).turn()


def test_a_limit_that_cannot_be_is_not_registered(governor: Governor) -> None:
    with pytest.raises(BadInput):
        governor.register("nasdaq", RateLimit(1, timedelta(seconds=1), 2))


def take_turns(url: str, seconds: float, count: int) -> list[subprocess.Popen[str]]:
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "marketdata_pipeline_tests.governor.worker", url, str(seconds)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    return workers


def turns_of(workers: list[subprocess.Popen[str]]) -> list[list[tuple[float, float]]]:
    said = [worker.communicate(timeout=60)[0].split("\n") for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * len(workers)
    return [
        [(float(line.split()[0]), float(line.split()[1])) for line in lines if line]
        for lines in said
    ]


def test_processes_share_the_quota_fairly_and_obey_each_others_cooldown(
    engine: Engine, database_url: str
) -> None:
    limit = RateLimit(40, timedelta(seconds=1), 4)
    governor = Governor(engine, SystemClock())
    governor.register("yahoo", limit)
    workers = take_turns(database_url, 2.5, 3)
    pause = time.time() + 1
    while time.time() < pause:
        governor.clock.sleep(0.05)
    governor.gate("yahoo", max_wait=LONG).cool_down(timedelta(seconds=0.7))
    cooling = time.time()
    until = from_micros(stored(engine)["cooldown_until"]).timestamp()
    told = turns_of(workers)
    turns = [turn for one in told for turn in one]
    assert [turn for turn in turns if turn[0] > cooling and turn[1] < until - 0.001] == []

    pace = pace_of(limit)
    first, last = min(asked for asked, _ in turns), max(came for _, came in turns)
    possible = limit.burst + (last - first) / seconds_of(pace.interval) + 1
    assert 0.3 * (possible - 0.7 / seconds_of(pace.interval)) < len(turns) <= possible
    counts = sorted(map(len, told))
    assert counts[-1] <= 3 * counts[0]


def test_of_reservations_at_once_none_is_lost(governor: Governor) -> None:
    ahead = stored(governor.engine)["tat"] + 4 * 10**15  # a century on: no turn is due meanwhile
    with writing(governor.engine) as connection:
        connection.execute(update(table).values(tat=ahead))
    waits: list[int | None] = []

    def take(connection: Connection) -> int | None:
        return row.reserve(connection, governor.clock, "yahoo", 10**17)

    def reserve() -> None:
        engine = open_engine(governor.engine.url)
        waits.extend(retry.write(engine, SystemClock(), take) for _ in range(20))
        engine.dispose()

    threads = [threading.Thread(target=reserve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waits) == 80
    assert stored(governor.engine)["tat"] == ahead + 80 * PACE.interval


def test_nobody_that_was_never_asked_has_turns_to_show(engine: Engine, real: RealWall) -> None:
    assert Governor(engine, real).turns() == []


def test_looking_at_turns_takes_none(still: Governor) -> None:
    seen = []
    for _ in range(4):
        (before,), (again,) = still.turns(), still.turns()
        assert before == again
        seen.append(before.free)
        still.gate("yahoo", max_wait=LONG).turn()
    assert seen == [3, 2, 1, 0]
    assert len(slept(still)) == 1, "the fourth had to wait, as it was told"


def test_turns_say_the_limit_and_when_the_next_is_possible(still: Governor) -> None:
    gate = still.gate("yahoo", max_wait=LONG)
    for _ in range(3):
        gate.turn()
    (found,) = still.turns()
    wall = still.clock.wall_now()
    assert (found.provider, found.burst, found.free) == ("yahoo", 3, 0)
    assert found.interval == timedelta(microseconds=PACE.interval)
    assert found.hourly == 3 + int(timedelta(hours=1, milliseconds=50) / found.interval)
    assert found.next_at == wall + found.interval
    assert found.cooldown_until is None


def test_during_a_cooldown_no_turn_is_free(governor: Governor) -> None:
    gate = governor.gate("yahoo", max_wait=LONG)
    gate.cool_down(timedelta(seconds=100))
    (found,) = governor.turns()
    assert found.free == 0
    assert (
        found.cooldown_until
        == found.next_at
        == from_micros(stored(governor.engine)["cooldown_until"])
    )


def test_a_cooldown_that_is_over_is_none(still: Governor) -> None:
    still.gate("yahoo", max_wait=LONG).cool_down(timedelta(seconds=100))
    assert isinstance(still.clock, FrozenClock)
    still.clock.advance(timedelta(seconds=100))
    (found,) = still.turns()
    assert (found.free, found.cooldown_until, found.next_at) == (3, None, still.clock.wall)
