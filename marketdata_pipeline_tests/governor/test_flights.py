"""Single flight: who has an instrument, who waits, and what becomes of it when somebody dies."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from marketdata_pipeline.database.dialect import is_postgres
from marketdata_pipeline.database.engine import Busy, open_engine, reading, writing
from marketdata_pipeline.database.governing import flights as table
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import MICROSECOND, from_micros, to_micros
from marketdata_pipeline.errors import NotDone, RateLimited, StoreError
from marketdata_pipeline.governor import leases
from marketdata_pipeline.governor.flights import Flight, Flights
from marketdata_pipeline.governor.leases import Lease, Taken
from marketdata_pipeline.governor.renewing import THREAD, Renewer
from marketdata_pipeline_tests.conftest import ROOT
from marketdata_pipeline_tests.fakes import FrozenClock, Lines

AAPL, MSFT = Instrument.parse("AAPL"), Instrument.parse("MSFT")
SECOND = timedelta(seconds=1)
_TTL = 15_000_000


def _go_on() -> None:
    return


def flights_of(engine: Engine, max_wait: timedelta = timedelta(0), **how: Any) -> Flights:
    """Those of a process; looks often."""
    return Flights(engine, SystemClock(), max_wait, **{"poll": 0.01 * SECOND, **how})


@contextmanager
def taken(flights: Flights, *instruments: Instrument) -> Iterator[None]:
    """These are had within it."""
    with ExitStack() as all_of_them:
        for one in instruments:
            flight = all_of_them.enter_context(Flight(flights, one))
            flight.take(0, _go_on)
        yield


def is_free(engine: Engine, instrument: Instrument) -> bool:
    """Whether another process could have it at once."""
    with Flight(flights_of(engine), instrument) as flight:
        try:
            flight.take(0, _go_on)
        except RateLimited:
            return False
    return True


def behind(flights: Flights, instrument: Instrument, seen: int) -> bool:
    """Whether somebody was at an instrument since."""
    with Flight(flights, instrument) as flight:
        flight.take(seen, _go_on)
        return flight.behind


def rows(engine: Engine) -> list[dict[str, Any]]:
    with reading(engine) as connection:
        return [dict(one) for one in connection.execute(select(table)).mappings()]


def renewers() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == THREAD]


def eventually(true: Callable[[], bool], within: float = 5.0) -> bool:
    end = time.monotonic() + within
    while not true():
        if time.monotonic() > end:
            return False
        SystemClock().sleep(0.01)
    return True


def test_an_instrument_is_one_s_own_until_the_end_of_the_block(engine: Engine) -> None:
    with taken(flights_of(engine), AAPL):
        assert not is_free(engine, AAPL)
        assert is_free(engine, MSFT)
    assert is_free(engine, AAPL)


def test_whatever_ends_the_block_gives_it_up(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError), taken(flights_of(engine), AAPL):
        raise ZeroDivisionError
    assert is_free(engine, AAPL)


def test_a_block_that_needs_nothing_writes_nothing(engine: Engine) -> None:
    with Flight(flights_of(engine), AAPL):
        pass
    assert rows(engine) == []


def test_whoever_comes_second_waits_for_the_first(engine: Engine) -> None:
    """Two threads of one process as well as two processes: each has flights of its own."""
    first = flights_of(engine)
    order: list[str] = []
    for second in (first, flights_of(engine, 10 * SECOND)):
        second.max_wait = 10 * SECOND
        begun = threading.Event()

        def come_second(flights: Flights = second, begun: threading.Event = begun) -> None:
            begun.set()
            with taken(flights, AAPL):
                order.append("second")

        with taken(first, AAPL):
            thread = threading.Thread(target=come_second)
            thread.start()
            begun.wait()
            SystemClock().sleep(0.1)
            order.append("first")
        thread.join()
    assert order == ["first", "second"] * 2


def test_many_at_once_have_it_one_after_the_other(engine: Engine) -> None:
    inside, most, done = 0, 0, []
    counting = threading.Lock()

    def come(number: int) -> None:
        nonlocal inside, most
        with taken(flights_of(engine, 20 * SECOND), AAPL):
            with counting:
                inside += 1
                most = max(most, inside)
            SystemClock().sleep(0.01)
            with counting:
                inside -= 1
        done.append(number)

    threads = [threading.Thread(target=come, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(done), most) == (8, 1)


def test_a_wait_that_is_too_long_says_who_has_it_and_when_to_come_back(engine: Engine) -> None:
    with taken(flights_of(engine), AAPL):
        (row,) = rows(engine)
        with Flight(flights_of(engine, 0.1 * SECOND), AAPL) as flight:
            with pytest.raises(RateLimited) as refused:
                flight.take(0, _go_on)
            started = time.monotonic()
            with pytest.raises(RateLimited) as again:
                flight.take(0, _go_on)
    assert str(refused.value) == (
        f"another run is fetching AAPL; it was not done with that after 0 s (it is {row['holder']})"
    )
    assert refused.value.retry_at == from_micros(row["until"])
    assert again.value is refused.value
    assert time.monotonic() - started < 0.1, "it is not waited for a second time"
    assert is_free(engine, AAPL), "whoever never had it gives nothing up"


def test_the_wait_is_slept_through_the_clock_and_no_longer_than_allowed(engine: Engine) -> None:
    clock = FrozenClock(wall=datetime.now(UTC))
    patient = Flights(engine, clock, timedelta(seconds=1.2))
    with (
        taken(flights_of(engine), AAPL),
        Flight(patient, AAPL) as flight,
        pytest.raises(RateLimited),
    ):
        flight.take(0, _go_on)
    assert clock.slept == pytest.approx([0.5, 0.5, 0.2])


def test_a_wait_ends_when_its_check_raises(engine: Engine) -> None:
    looks = iter(range(3))

    def check() -> None:
        if next(looks, None) is None:
            raise NotDone("the run is over")

    with (
        taken(flights_of(engine), AAPL),
        Flight(flights_of(engine, 60 * SECOND), AAPL) as flight,
        pytest.raises(NotDone, match="the run is over"),
    ):
        flight.take(0, check)


def test_one_that_is_not_renewed_is_free_once_its_time_is_over(engine: Engine) -> None:
    lease = Lease("AAPL", "host:1:dead")
    with writing(engine) as connection:
        assert leases.take(connection, SystemClock(), lease, 300_000) == Taken(0, abandoned=False)
    assert not is_free(engine, AAPL)
    started = time.monotonic()
    assert behind(flights_of(engine, 10 * SECOND), AAPL, seen=0), "who knows what it brought"
    assert time.monotonic() - started < 0.5


def test_one_that_is_renewed_outlasts_its_time(engine: Engine) -> None:
    with taken(flights_of(engine, ttl=0.3 * SECOND), AAPL, MSFT):
        before = rows(engine)
        SystemClock().sleep(0.8)
        after = rows(engine)
        assert not is_free(engine, AAPL)
        assert not is_free(engine, MSFT)
    assert all(new["until"] > old["until"] for old, new in zip(before, after, strict=True))
    assert len({one["until"] for one in after}) == 1 or engine.dialect.name == "postgresql"


def test_one_thread_renews_all_leases_and_ends_with_the_last(engine: Engine) -> None:
    assert eventually(lambda: not renewers())
    flights = flights_of(engine)
    for _ in range(2):
        with taken(flights, AAPL):
            with taken(flights, MSFT):
                (thread,) = renewers()
                assert thread.daemon
            assert renewers() == [thread]
        assert eventually(lambda: not renewers(), within=1)


def test_whoever_lost_a_lease_says_so_and_leaves_it_to_the_other(
    engine: Engine, log_lines: Lines
) -> None:
    """As a machine that was paused for longer than the lease held."""
    flights = flights_of(engine, ttl=0.3 * SECOND)
    later = to_micros(datetime.now(UTC) + timedelta(hours=1))
    other = {"holder": "host:2:other", "until": later}
    with taken(flights, AAPL, MSFT):
        with writing(engine) as connection:
            mine = table.c.instrument == "AAPL"
            connection.execute(update(table).where(mine).values(other))
        assert eventually(lambda: bool(log_lines("lease lost")))
        SystemClock().sleep(0.3)
    (line,) = log_lines("lease lost")
    assert (line["instrument"], line["level"]) == ("AAPL", "warning")
    held = {one["instrument"]: one["holder"] for one in rows(engine)}
    assert held == {"AAPL": "host:2:other", "MSFT": ""}


def test_a_renewal_that_fails_is_made_again(
    engine: Engine, log_lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew, failures = leases.renew, iter([StoreError("the catalog is gone")])

    def sometimes(*given: Any) -> set[Lease]:
        for failure in failures:
            raise failure
        return renew(*given)

    monkeypatch.setattr(leases, "renew", sometimes)
    with taken(flights_of(engine, ttl=0.3 * SECOND), AAPL):
        assert eventually(lambda: bool(log_lines("leases not renewed")))
        SystemClock().sleep(0.4)
        assert not is_free(engine, AAPL)
    assert len(log_lines("leases not renewed")) == 1
    assert log_lines("lease lost") == []


def test_a_catalog_that_is_busy_for_a_moment_stops_nobody(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, give_up = leases.take, leases.give_up
    busy = iter([Busy("busy")] * 2)

    def taking(*given: Any) -> Any:
        for failure in busy:
            raise failure
        return take(*given)

    monkeypatch.setattr(leases, "take", taking)
    with taken(flights_of(engine), AAPL):
        left = iter([Busy("busy")] * 2)

        def giving_up(*given: Any) -> None:
            for failure in left:
                raise failure
            give_up(*given)

        monkeypatch.setattr(leases, "give_up", giving_up)
    assert is_free(engine, AAPL)


def test_what_cannot_be_given_up_runs_out(
    engine: Engine, log_lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as broken, taken(flights_of(engine, ttl=0.3 * SECOND), AAPL):
        broken.setattr(leases, "give_up", refuse)
    (line,) = log_lines("lease not given up")
    assert line["error"] == "the disk is full"
    assert not is_free(engine, AAPL)
    assert eventually(lambda: is_free(engine, AAPL), within=1)


def test_whoever_was_at_it_since_leaves_others_behind(engine: Engine) -> None:
    flights = flights_of(engine)
    seen = flights.ended([AAPL, MSFT])
    assert seen == {AAPL: 0, MSFT: 0}
    assert not behind(flights, AAPL, seen[AAPL]), "nobody was"
    assert behind(flights, AAPL, seen[AAPL]), "the one above was"
    assert not behind(flights, MSFT, seen[MSFT])
    assert not behind(flights, AAPL, flights.ended([AAPL])[AAPL])


def test_it_is_told_however_often_and_whatever_the_clock_says(engine: Engine) -> None:
    flights = Flights(engine, FrozenClock(), timedelta(0))
    seen: list[int] = []
    for _ in range(3):
        with taken(flights, AAPL):
            pass
        seen += flights.ended([AAPL]).values()
    assert sorted(set(seen)) == seen


def test_what_is_had_already_is_taken_once(engine: Engine) -> None:
    with Flight(flights_of(engine), AAPL) as flight:
        flight.take(0, _go_on)
        (before,) = rows(engine)
        flight.take(-1, _go_on)
        assert not flight.behind
        assert rows(engine) == [before]


def test_instants_are_the_clocks_on_sqlite_and_the_databases_on_postgres(engine: Engine) -> None:
    clock = FrozenClock(wall=datetime(2001, 2, 3, tzinfo=UTC))
    with taken(Flights(engine, clock, timedelta(0)), AAPL):
        (row,) = rows(engine)
    with reading(engine) as connection:
        now = to_micros(datetime.now(UTC) if is_postgres(connection) else clock.wall)
    assert abs(row["until"] - now - _TTL) < 10 * SECOND // MICROSECOND


def _flier(url: str, ttl: float) -> "subprocess.Popen[str]":
    child = subprocess.Popen(
        [sys.executable, "-m", "marketdata_pipeline_tests.governor.flier", url, "AAPL", str(ttl)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "taken\n"
    return child


@pytest.mark.proof
def test_a_killed_holder_s_is_free_after_its_time_at_most(engine: Engine, catalog_url: str) -> None:
    with _flier(catalog_url, ttl=1) as child:
        SystemClock().sleep(0.5)  # it was renewed once
        assert not is_free(engine, AAPL)
        child.kill()
        killed = time.monotonic()
        child.wait()
        assert behind(flights_of(engine, 10 * SECOND), AAPL, seen=0)
        assert time.monotonic() - killed < 1.5


def test_a_holder_that_ends_well_leaves_it_at_once(engine: Engine, catalog_url: str) -> None:
    with _flier(catalog_url, ttl=60) as child:
        assert not is_free(engine, AAPL)
        child.communicate("\n")
        assert child.returncode == 0
        assert is_free(engine, AAPL)


def test_a_holder_is_named_by_host_process_and_something_of_its_own(engine: Engine) -> None:
    import os
    import socket

    with taken(flights_of(engine), AAPL, MSFT):
        first, second = (one["holder"] for one in rows(engine))
    assert first != second
    for one in (first, second):
        assert one.startswith(f"{socket.gethostname()}:{os.getpid()}:")


def test_a_catalog_that_is_gone_is_a_store_error(tmp_path: Any) -> None:
    gone = open_engine(f"sqlite:///{tmp_path}/nowhere/catalog.sqlite")
    with Flight(flights_of(gone), AAPL) as flight, pytest.raises(StoreError):
        flight.take(0, _go_on)


def test_one_that_is_given_up_while_it_is_renewed_is_not_lost(log_lines: Lines) -> None:
    renewed = threading.Event()

    def renew(_: object) -> set[Lease]:
        renewer.drop(lease)
        renewed.set()
        return set()

    lease, renewer = Lease("AAPL", "host:1:mine"), Renewer(renew, every=0.01)
    renewer.keep(lease)
    assert renewed.wait(5)
    assert eventually(lambda: not renewers())
    assert log_lines("lease lost") == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_broke_has_a_successor() -> None:
    calls = []

    def renew(leases: Collection[Lease]) -> set[Lease]:
        calls.append(set(leases))
        if len(calls) == 1:
            raise ZeroDivisionError
        return set(leases)

    first, second = Lease("AAPL", "host:1:first"), Lease("MSFT", "host:1:second")
    renewer = Renewer(renew, every=0.01)
    renewer.keep(first)
    assert eventually(lambda: bool(calls) and not renewers())
    renewer.keep(second)
    assert eventually(lambda: {first, second} in calls)
    renewer.drop(first)
    renewer.drop(second)
    assert eventually(lambda: not renewers())
