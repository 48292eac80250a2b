import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, select, update

from marketdata_pipeline.database.engine import open_engine, reading, writing
from marketdata_pipeline.database.governing import governor as table
from marketdata_pipeline.database.governing import meters, requests
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.errand import Errand, Priority
from marketdata_pipeline.domain.gate import (
    Attempt,
    Budget,
    Circuit,
    Ending,
    Gate,
    Limits,
    RateLimit,
    Turn,
)
from marketdata_pipeline.domain.ranges import from_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.tuning import Tuning
from marketdata_pipeline.errors import (
    BadInput,
    CircuitOpen,
    CredentialsRefused,
    RateLimited,
    StoreError,
)
from marketdata_pipeline.governor.gcra import pace_of
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline_tests.conftest import ROOT
from marketdata_pipeline_tests.fakes import FrozenClock

RATE = RateLimit(6, timedelta(seconds=60), 3)
LIMITS = Limits((RATE,))
PACE = pace_of(RATE)
LONG = timedelta(hours=1)
URGENT = Errand(Priority.URGENT)
OK = Attempt(Ending.ANSWERED, 200, timedelta(milliseconds=20))


def refused(seconds: float | None) -> Attempt:
    wait = None if seconds is None else timedelta(seconds=seconds)
    return Attempt(Ending.RATE_LIMITED, 429, retry_after=wait)


def cool_down(gate: Gate, seconds: float | None) -> None:
    """As if a request of long ago had been refused: its Retry-After counts, and nothing else."""
    gate.report(Turn("yahoo", -1, URGENT), refused(seconds))


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
    found.register("yahoo", LIMITS)
    return found


@pytest.fixture
def still(tmp_path: Path) -> Iterator[Governor]:
    """A governor on SQLite, where time stands still but for sleeping."""
    engine = open_engine(f"sqlite:///{tmp_path}/still.sqlite")
    table.metadata.create_all(engine)
    found = Governor(engine, FrozenClock())
    found.register("yahoo", LIMITS)
    yield found
    engine.dispose()


def seconds_of(micros: int) -> float:
    return micros / 1_000_000


def stored(engine: Engine) -> dict[str, int]:
    """The row of the only provider, and its only meter's."""
    with reading(engine) as connection:
        meter = connection.execute(select(meters)).mappings().one()
        state = connection.execute(select(table)).mappings().one()
    return {**state, "tat": meter["tat"], "interval": meter["interval"], "tau": meter["tau"]}


def log(engine: Engine) -> list[dict[str, Any]]:
    with reading(engine) as connection:
        rows = connection.execute(select(requests).order_by(requests.c.id)).mappings()
        return [dict(one) for one in rows]


def slept(one: Governor) -> list[float]:
    assert isinstance(one.clock, FrozenClock)
    return one.clock.slept


def test_a_burst_comes_at_once_and_then_each_turn_waits_one_interval(governor: Governor) -> None:
    gate = governor.gate("yahoo", max_wait=LONG)
    for _ in range(5):
        gate.turn(URGENT)
    interval = seconds_of(PACE.interval)
    assert len(slept(governor)) == 2, "three at once"
    for number, waited in enumerate(slept(governor), start=1):
        assert number * interval - 2 < waited <= number * interval


def test_turns_lie_exactly_one_interval_apart(still: Governor) -> None:
    gate = still.gate("yahoo", max_wait=LONG)
    for _ in range(8):
        gate.turn(URGENT)
    assert slept(still) == [pytest.approx(seconds_of(PACE.interval))] * 5


def test_a_turn_comes_at_its_instant_however_long_the_catalog_takes_to_keep_it(
    still: Governor,
) -> None:
    clock = still.clock
    assert isinstance(clock, FrozenClock)

    def keep_slowly(connection: Connection) -> None:
        if connection.get_execution_options().get("catalog_writes"):
            clock.advance(timedelta(seconds=0.5))

    event.listen(still.engine, "commit", keep_slowly)
    began, gate, came = clock.wall, still.gate("yahoo", max_wait=LONG), []
    for _ in range(6):
        gate.turn(URGENT)
        came.append((clock.wall - began).total_seconds())
    interval = seconds_of(PACE.interval)
    assert came[3:] == [pytest.approx(number * interval) for number in (1, 2, 3)]


def test_an_idle_provider_earns_its_burst_again_and_no_more(still: Governor) -> None:
    gate = still.gate("yahoo", max_wait=LONG)
    for _ in range(3):
        gate.turn(URGENT)
    assert isinstance(still.clock, FrozenClock)
    still.clock.advance(timedelta(days=1))
    for _ in range(4):
        gate.turn(URGENT)
    assert len(slept(still)) == 1


def test_the_caller_is_told_of_a_wait_before_it_begins(still: Governor) -> None:
    told: list[tuple[float, int]] = []
    gate = still.gate(
        "yahoo", max_wait=LONG, waiting=lambda wait: told.append((wait, len(slept(still))))
    )
    for _ in range(4):
        gate.turn(URGENT)
    assert told == [(slept(still)[0], 0)]


def test_a_turn_too_far_away_is_refused_and_costs_nothing(governor: Governor) -> None:
    eager = governor.gate("yahoo", max_wait=timedelta(seconds=1))
    for _ in range(3):
        eager.turn(URGENT)
    before = stored(governor.engine)
    with pytest.raises(RateLimited, match="yahoo has no turn for the next") as refused:
        eager.turn(URGENT)
    with pytest.raises(RateLimited):
        eager.turn(URGENT)
    assert stored(governor.engine) == before
    assert refused.value.provider == "yahoo"
    assert refused.value.retry_at == from_micros(before["tat"] - before["tau"])
    assert slept(governor) == []


@pytest.mark.parametrize("short", [0, 1])
def test_a_turn_exactly_at_the_longest_wait_is_taken(still: Governor, short: int) -> None:
    for _ in range(3):
        still.gate("yahoo", max_wait=LONG).turn(URGENT)
    wait = timedelta(microseconds=PACE.interval - short)
    gate = still.gate("yahoo", max_wait=wait)
    if short:
        with pytest.raises(RateLimited):
            gate.turn(URGENT)
    else:
        gate.turn(URGENT)
    assert len(slept(still)) == 1 - short


def test_a_cooldown_holds_for_everybody_and_the_burst_does_not_eat_it(governor: Governor) -> None:
    cool_down(governor.gate("yahoo", max_wait=LONG), 100)
    other = Governor(open_engine(governor.engine.url), governor.clock)
    with pytest.raises(RateLimited) as refused:
        other.gate("yahoo", max_wait=timedelta(seconds=90)).turn(URGENT)
    left = refused.value.retry_at - datetime.now(UTC)
    assert timedelta(seconds=80) < left <= timedelta(seconds=100)
    other.engine.dispose()


def test_after_a_cooldown_turns_go_on_from_its_end(still: Governor) -> None:
    gate = still.gate("yahoo", max_wait=LONG)
    cool_down(gate, 100)
    for _ in range(4):
        gate.turn(URGENT)
    assert slept(still) == [pytest.approx(100.0), pytest.approx(seconds_of(PACE.interval))]


def test_a_shorter_cooldown_does_not_shorten_a_longer_one(still: Governor) -> None:
    gate = still.gate("yahoo", max_wait=LONG)
    cool_down(gate, 100)
    cool_down(gate, 1)
    cool_down(gate, None)
    gate.turn(URGENT)
    assert slept(still) == [pytest.approx(100.0)]


@pytest.mark.parametrize(("asked", "waited"), [(None, [30.0]), (0, [])])
def test_a_cooldown_that_is_not_said_lasts_thirty_seconds(
    still: Governor, asked: float | None, waited: list[float]
) -> None:
    gate = still.gate("yahoo", max_wait=LONG)
    cool_down(gate, asked)
    gate.turn(URGENT)
    assert slept(still) == [pytest.approx(one) for one in waited]


def test_a_refusal_during_the_wait_voids_the_turn_and_its_cooldown_is_obeyed(
    still: Governor,
) -> None:
    told: list[float] = []
    other = still.gate("yahoo", max_wait=LONG)
    turn = other.turn(URGENT)

    def another_is_refused(wait: float) -> None:
        if not told:
            other.report(turn, refused(50))
        told.append(wait)

    gate = still.gate("yahoo", max_wait=LONG, waiting=another_is_refused)
    gate.turn(URGENT)
    gate.turn(URGENT)
    given = gate.turn(URGENT)
    interval = seconds_of(PACE.interval)
    assert told == [pytest.approx(interval), pytest.approx(50 - interval)]
    assert given.epoch == turn.epoch + 1


def test_a_turn_that_was_voided_and_whose_cooldown_is_over_is_asked_for_anew(
    still: Governor,
) -> None:
    other = still.gate("yahoo", max_wait=LONG)
    turn = other.turn(URGENT)
    told: list[float] = []

    def refused_for_a_moment(wait: float) -> None:
        if not told:
            other.report(turn, refused(0))
        told.append(wait)

    gate = still.gate("yahoo", max_wait=LONG, waiting=refused_for_a_moment)
    for _ in range(3):
        gate.turn(URGENT)
    assert stored(still.engine)["granted"] == 1, "all given before are void"


def test_all_waits_of_one_turn_together_stay_below_the_longest_wait(still: Governor) -> None:
    other = still.gate("yahoo", max_wait=LONG)
    turn = other.turn(URGENT)

    def another_is_refused(_wait: float) -> None:
        other.report(turn, refused(50 + seconds_of(PACE.interval)))

    longest = timedelta(microseconds=PACE.interval) + timedelta(seconds=49)
    gate = still.gate("yahoo", max_wait=longest, waiting=another_is_refused)
    for _ in range(2):
        gate.turn(URGENT)
    with pytest.raises(RateLimited):
        gate.turn(URGENT)
    assert len(slept(still)) == 1


def test_state_survives_a_restart_and_other_limits(governor: Governor) -> None:
    gate = governor.gate("yahoo", max_wait=LONG)
    for _ in range(3):
        gate.turn(URGENT)
    cool_down(gate, 100)
    before = stored(governor.engine)
    again = Governor(governor.engine, SystemClock())
    faster = RateLimit(60, timedelta(seconds=60), 10)
    again.register("yahoo", Limits((faster,), spacing=timedelta(seconds=2)))
    pace = pace_of(faster)
    assert stored(governor.engine) == before | {
        "interval": pace.interval,
        "tau": pace.tau,
        "spacing": 2_000_000,
    }


def test_limits_that_are_gone_hold_no_longer_and_budgets_come_and_go(governor: Governor) -> None:
    for limits in (
        Limits((RATE, RateLimit(1, LONG, 1)), budget=Budget(1, "Asia/Tokyo")),
        Limits((RATE, RateLimit(2, LONG, 1)), budget=Budget(2)),
        LIMITS,
    ):
        governor.register("yahoo", limits)
        (found,) = governor.turns()
        most = limits.rates[-1]
        assert found.hourly == (most.requests if most.window == LONG else 242)
        assert found.budget_left == (limits.budget and limits.budget.credits)


def test_registering_the_same_again_writes_nothing(governor: Governor) -> None:
    fresh = Governor(open_engine(governor.engine.url), governor.clock)
    with writing(governor.engine) as connection:  # who wrote now would wait, and give up
        connection.execute(update(table).values(granted=0))
        fresh.register("yahoo", LIMITS)
    fresh.engine.dispose()


def test_providers_do_not_share_turns(governor: Governor) -> None:
    governor.register("binance", LIMITS)
    for name in ("yahoo", "binance"):
        for _ in range(3):
            governor.gate(name, max_wait=timedelta(0)).turn(URGENT)
    cool_down(governor.gate("yahoo", max_wait=LONG), None)
    assert slept(governor) == []


def test_an_unregistered_provider_is_an_error_and_not_an_open_gate(governor: Governor) -> None:
    with pytest.raises(StoreError, match="does not know nasdaq; register its limits"):
        governor.gate("nasdaq", max_wait=LONG).turn(URGENT)


def test_a_limit_that_cannot_be_is_not_registered(governor: Governor) -> None:
    with pytest.raises(BadInput):
        governor.register("nasdaq", Limits((RateLimit(1, timedelta(seconds=1), 2),)))


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


@pytest.mark.proof
def test_processes_share_the_quota_fairly_and_obey_each_others_cooldown(
    engine: Engine, catalog_url: str
) -> None:
    limit = RateLimit(40, timedelta(seconds=1), 4)
    governor = Governor(engine, SystemClock())
    governor.register("yahoo", Limits((limit,)))
    workers = take_turns(catalog_url, 2.5, 3)
    pause = time.time() + 1
    while time.time() < pause:
        governor.clock.sleep(0.05)
    cool_down(governor.gate("yahoo", max_wait=LONG), 0.7)
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


def test_of_turns_at_once_none_is_lost(governor: Governor) -> None:
    governor.register("yahoo", Limits((RateLimit(1000, LONG, 100),)))

    def take() -> None:
        engine = open_engine(governor.engine.url)
        gate = Governor(engine, SystemClock()).gate("yahoo", max_wait=LONG)
        for _ in range(20):
            gate.report(gate.turn(URGENT), OK)
        engine.dispose()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stored(governor.engine)["granted"] == 80
    assert len(log(governor.engine)) == 80


def test_each_request_is_logged_with_what_it_was_for_and_how_it_went(governor: Governor) -> None:
    gate = governor.gate("yahoo", max_wait=LONG)
    turn = gate.turn(Errand(Priority.HELD, attempt=2, run_id="r1"), Series.parse("AAPL|1d"))
    gate.report(turn, Attempt(Ending.TIMEOUT, 0, timedelta(seconds=25)))
    (one,) = log(governor.engine)
    told = {"key": "yahoo", "series": "AAPL|1d", "priority": "held", "attempt": 2}
    told |= {"run_id": "r1", "ending": "timeout", "status": 0, "took": 25_000_000}
    assert one == one | told


def open_circuit(governor: Governor, ending: Ending = Ending.TIMEOUT) -> None:
    gate = governor.gate("yahoo", max_wait=LONG)
    turn = gate.turn(URGENT)
    for _ in range(1 if ending is Ending.BLOCKED else 5):
        gate.report(turn, Attempt(ending))


@pytest.mark.parametrize("ending", [Ending.TIMEOUT, Ending.BLOCKED], ids=str)
def test_an_open_breaker_is_obeyed_by_all_and_after_a_restart(
    governor: Governor, ending: Ending
) -> None:
    open_circuit(governor, ending)
    other = Governor(open_engine(governor.engine.url), governor.clock)
    with pytest.raises(CircuitOpen, match="yahoo failed too often; it is tried again in") as shut:
        other.gate("yahoo", max_wait=timedelta(seconds=60)).turn(URGENT)
    (found,) = other.turns()
    assert found.circuit is Circuit.OPEN
    assert found.free == 0
    assert found.open_until == shut.value.retry_at == found.next_at
    left = shut.value.retry_at - datetime.now(UTC)
    assert timedelta(seconds=280) < left <= timedelta(seconds=300)
    other.engine.dispose()


def test_whoever_may_wait_waits_for_an_open_breaker_and_is_the_probe(still: Governor) -> None:
    open_circuit(still)
    gate = still.gate("yahoo", max_wait=LONG)
    probe = gate.turn(URGENT)
    assert slept(still) == [pytest.approx(300.0)]
    assert probe.probe
    second: list[Turn] = []
    looks = 0

    def count(_wait: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 4:
            gate.report(probe, OK)

    second.append(still.gate("yahoo", max_wait=LONG, waiting=count).turn(URGENT))
    assert (looks, second[0].probe) == (4, False)
    assert still.turns()[0].circuit is Circuit.CLOSED


def test_where_others_can_be_asked_an_open_breaker_is_not_waited_for(still: Governor) -> None:
    open_circuit(still)
    with pytest.raises(CircuitOpen):
        still.gate("yahoo", max_wait=LONG, waits_out=False).turn(URGENT)
    assert slept(still) == []


def test_nobody_waits_for_a_turn_beyond_the_end_of_an_errand(still: Governor) -> None:
    gate = still.gate("yahoo", max_wait=LONG)
    for _ in range(3):
        gate.turn(URGENT)
    soon = still.clock.wall_now() + timedelta(seconds=seconds_of(PACE.interval) / 2)
    for until in (soon, soon - timedelta(hours=1)):
        with pytest.raises(RateLimited):
            gate.turn(replace(URGENT, until=until))
    gate.turn(replace(URGENT, until=soon + timedelta(hours=1)))
    assert len(slept(still)) == 1


def test_a_later_refusal_that_makes_the_cooldown_longer_is_obeyed_by_who_sleeps(
    still: Governor,
) -> None:
    other = still.gate("yahoo", max_wait=LONG)
    first, second = other.turn(URGENT), other.turn(URGENT)
    other.report(first, refused(1))
    told: list[float] = []

    def the_second_is_refused_too(wait: float) -> None:
        if not told:
            other.report(second, refused(100))
        told.append(wait)

    began = still.clock.wall_now()
    still.gate("yahoo", max_wait=LONG, waiting=the_second_is_refused_too).turn(URGENT)
    assert still.clock.wall_now() - began >= timedelta(seconds=100)


def test_a_turn_given_before_the_breaker_opened_is_not_used(still: Governor) -> None:
    first = still.gate("yahoo", max_wait=LONG).turn(URGENT)
    reporting = still.gate("yahoo", max_wait=LONG)

    def breaks(_wait: float) -> None:
        for _ in range(5):
            reporting.report(first, Attempt(Ending.UNAVAILABLE, 503))

    gate = still.gate("yahoo", max_wait=timedelta(seconds=60), waiting=breaks)
    for _ in range(2):
        gate.turn(URGENT)
    with pytest.raises(CircuitOpen):
        gate.turn(URGENT)


def test_many_failures_among_the_last_hundred_slow_it_down(governor: Governor) -> None:
    gate = governor.gate("yahoo", max_wait=LONG)
    for number in range(30):
        turn = gate.turn(URGENT)
        gate.report(turn, Attempt(Ending.UNAVAILABLE, 500) if number % 4 == 3 else OK)
    (found,) = governor.turns()
    assert found.circuit is Circuit.CLOSED
    assert stored(governor.engine)["ceiling"] > 0


def credentials(governor: Governor, max_wait: timedelta = timedelta(0)) -> Gate:
    """A provider with two keys, each with a quota of its own."""
    for name in ("fmp", "fmp/FMP_API_KEY", "fmp/FMP_API_KEY_2"):
        governor.register(name, LIMITS if "/" in name else Limits((RateLimit(90, LONG, 50),)))
    choices = [("fmp", "fmp/FMP_API_KEY"), ("fmp", "fmp/FMP_API_KEY_2")]
    return governor.gate(*choices, max_wait=max_wait)


def test_of_several_credentials_each_is_used_in_turn_and_all_of_their_quotas(
    engine: Engine, real: RealWall
) -> None:
    gate = credentials(Governor(engine, real))
    keys = [gate.turn(URGENT).key for _ in range(6)]
    assert keys == ["fmp/FMP_API_KEY", "fmp/FMP_API_KEY_2"] * 3
    with pytest.raises(RateLimited, match="fmp has no turn"):
        gate.turn(URGENT)


def test_a_credential_that_is_refused_is_set_aside_and_the_log_names_it(
    engine: Engine, real: RealWall
) -> None:
    gate = credentials(Governor(engine, real))
    first = gate.turn(URGENT)
    gate.report(first, Attempt(Ending.CREDENTIALS, 401))
    assert {gate.turn(URGENT).key for _ in range(3)} == {"fmp/FMP_API_KEY_2"}
    assert [one["key"] for one in log(engine)] == ["fmp/FMP_API_KEY"]


def test_who_refuses_all_keys_is_not_asked_and_they_are_named(
    engine: Engine, real: RealWall
) -> None:
    gate = credentials(Governor(engine, real), max_wait=LONG)
    for _ in range(2):
        gate.report(gate.turn(URGENT), Attempt(Ending.CREDENTIALS, 401))
    said = "^fmp refuses FMP_API_KEY and FMP_API_KEY_2; it is asked again at"
    with pytest.raises(CredentialsRefused, match=said) as refused:
        gate.turn(URGENT)
    assert refused.value.provider == "fmp"
    assert real.slept == [], "however long one would wait for a turn"


def test_a_key_that_was_set_aside_is_tried_again(still: Governor) -> None:
    still.register("fmp", LIMITS)
    still.register("fmp/FMP_API_KEY", LIMITS)
    gate = still.gate(("fmp", "fmp/FMP_API_KEY"), max_wait=timedelta(0))
    gate.report(gate.turn(URGENT), Attempt(Ending.CREDENTIALS, 401))
    assert isinstance(still.clock, FrozenClock)
    still.clock.advance(timedelta(seconds=299))
    with pytest.raises(CredentialsRefused, match=r"^fmp refuses FMP_API_KEY;"):
        gate.turn(URGENT)
    still.clock.advance(timedelta(seconds=1))
    gate.report(gate.turn(URGENT), OK)
    gate.turn(URGENT)


def test_a_cooldown_is_no_refused_key_and_an_abandoned_request_says_nothing(
    still: Governor,
) -> None:
    gate = still.gate("yahoo", max_wait=timedelta(0))
    first, second = gate.turn(URGENT), gate.turn(URGENT)
    gate.report(first, refused(100))
    with pytest.raises(RateLimited):
        gate.turn(URGENT)
    gate.report(first, Attempt(Ending.CREDENTIALS, 401))
    gate.report(second, Attempt(Ending.ABANDONED))
    with pytest.raises(CredentialsRefused, match=r"^yahoo refuses requests without a key;"):
        gate.turn(URGENT)


def test_keys_of_which_one_is_limited_are_waited_for(engine: Engine, real: RealWall) -> None:
    gate = credentials(Governor(engine, real))
    gate.report(gate.turn(URGENT), Attempt(Ending.CREDENTIALS, 401))
    gate.report(gate.turn(URGENT), refused(100))
    with pytest.raises(RateLimited, match="fmp has no turn for the next"):
        gate.turn(URGENT)


def test_a_429_of_one_credential_leaves_the_other_and_an_outage_is_of_the_provider(
    engine: Engine, real: RealWall
) -> None:
    governor = Governor(engine, real)
    gate = credentials(governor)
    gate.report(gate.turn(URGENT), refused(100))
    turn = gate.turn(URGENT)
    assert turn.key == "fmp/FMP_API_KEY_2"
    for _ in range(5):
        gate.report(turn, Attempt(Ending.UNAVAILABLE, 502))
    circuits = {one.provider: one.circuit for one in governor.turns()}
    assert circuits["fmp"] is Circuit.OPEN
    with pytest.raises(CircuitOpen):
        gate.turn(URGENT)


def test_a_probe_of_the_provider_that_is_refused_opens_it_anew(tmp_path: Path) -> None:
    engine, clock = open_engine(f"sqlite:///{tmp_path}/keys.sqlite"), FrozenClock()
    table.metadata.create_all(engine)
    governor = Governor(engine, clock)
    gate = credentials(governor)
    turn = gate.turn(URGENT)
    for _ in range(5):
        gate.report(turn, Attempt(Ending.UNAVAILABLE, 502))
    clock.advance(timedelta(seconds=301))
    probe = gate.turn(URGENT)
    assert probe.probe
    gate.report(probe, refused(1))
    circuits = {one.provider: one.circuit for one in governor.turns()}
    assert circuits["fmp"] is Circuit.OPEN
    engine.dispose()


@pytest.mark.parametrize("weight", [0, 4])
def test_a_weight_that_never_fits_is_refused_at_once(governor: Governor, weight: int) -> None:
    with pytest.raises(BadInput, match="never fits yahoo, which lets 3 through"):
        governor.gate("yahoo", max_wait=LONG).turn(URGENT, weight=weight)


def test_series_of_one_instrument_follow_each_other_closely(still: Governor) -> None:
    spaced = Limits((RateLimit(1000, LONG, 100),), spacing=timedelta(seconds=10))
    still.register("yahoo", spaced)
    gate = still.gate("yahoo", max_wait=LONG)
    for key in ("AAPL|1d", "AAPL|1h", "MSFT|1d"):
        gate.turn(URGENT, Series.parse(key))
    assert slept(still) == [pytest.approx(3.0), pytest.approx(10.0)]


def test_times_are_scaled_together() -> None:
    scaled = Tuning().scaled(0.01)
    assert (scaled.opened, scaled.cooldown) == (timedelta(seconds=3), timedelta(seconds=0.3))
    assert replace(scaled, **{  # all else is as it was
        name: getattr(Tuning(), name)
        for name in Tuning.__slots__
        if isinstance(getattr(Tuning(), name), timedelta)
    }) == Tuning()  # fmt: skip


def test_nobody_that_was_never_asked_has_turns_to_show(engine: Engine, real: RealWall) -> None:
    assert Governor(engine, real).turns() == []


def test_looking_at_turns_takes_none(still: Governor) -> None:
    seen = []
    for _ in range(4):
        (before,), (again,) = still.turns(), still.turns()
        assert before == again
        seen.append(before.free)
        still.gate("yahoo", max_wait=LONG).turn(URGENT)
    assert seen == [3, 2, 1, 0]
    assert len(slept(still)) == 1, "the fourth had to wait, as it was told"


def test_turns_say_the_limit_and_when_the_next_is_possible(still: Governor) -> None:
    gate = still.gate("yahoo", max_wait=LONG)
    for _ in range(3):
        gate.turn(URGENT)
    (found,) = still.turns()
    wall = still.clock.wall_now()
    assert (found.provider, found.burst, found.free) == ("yahoo", 3, 0)
    assert found.interval == timedelta(microseconds=PACE.interval)
    assert found.hourly == 3 + int(timedelta(hours=1, milliseconds=50) / found.interval)
    assert found.next_at == wall + found.interval
    assert found.cooldown_until is None


def test_during_a_cooldown_no_turn_is_free(governor: Governor) -> None:
    gate = governor.gate("yahoo", max_wait=LONG)
    cool_down(gate, 100)
    (found,) = governor.turns()
    assert found.free == 0
    assert (
        found.cooldown_until
        == found.next_at
        == from_micros(stored(governor.engine)["cooldown_until"])
    )


def test_a_cooldown_that_is_over_is_none(still: Governor) -> None:
    cool_down(still.gate("yahoo", max_wait=LONG), 100)
    assert isinstance(still.clock, FrozenClock)
    still.clock.advance(timedelta(seconds=100))
    (found,) = still.turns()
    assert (found.free, found.cooldown_until, found.next_at) == (3, None, still.clock.wall)
