"""What a Postgres server tells of itself and of who is in the way."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, make_url, text

from marketdata_pipeline.database.engine import open_engine
from marketdata_pipeline.database.sessions import ServerState, Session, server_state
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.errors import StoreError

CLOCK = SystemClock()
LOCK = "SELECT pg_advisory_xact_lock(1)"


@pytest.fixture
def server(postgres_url: str) -> Iterator[Engine]:
    """A database of the test's own, looked at in a hurry."""
    engine = open_engine(postgres_url, hurried=True)
    yield engine
    engine.dispose()


@contextmanager
def named(url: str, name: str) -> Iterator[tuple[Connection, int]]:
    """A session in a transaction, by the name that it gives itself, and its process id."""
    engine = open_engine(make_url(url).update_query_dict({"application_name": name}))
    with engine.connect() as connection:
        yield connection, connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    engine.dispose()


def awaited(server: Engine) -> ServerState:
    """The server's state once somebody waits there."""
    for _ in range(100):
        found = server_state(server, CLOCK)
        if found.blocked:
            return found
        CLOCK.sleep(0.02)
    raise AssertionError("nobody waits")


def test_a_server_that_is_well_says_so(server: Engine) -> None:
    found = server_state(server, CLOCK)
    assert found.version >= 140_000
    assert (found.read_only, found.blocked, found.idle) == (False, (), ())
    assert found.clock.ahead == timedelta(0)
    assert found.clock.sent <= found.clock.received


def test_a_server_that_takes_no_writes_says_so(postgres_url: str) -> None:
    options = {"options": "-c default_transaction_read_only=on"}
    engine = open_engine(make_url(postgres_url).update_query_dict(options), hurried=True)
    assert server_state(engine, CLOCK).read_only, "a setting of the URL is kept in a hurry"
    engine.dispose()


def test_who_idles_in_a_transaction_is_known_by_name(server: Engine, postgres_url: str) -> None:
    with named(postgres_url, "forgotten shell") as (_, pid):
        (idle,) = server_state(server, CLOCK).idle
    assert (idle.pid, idle.name, idle.blockers) == (pid, "forgotten shell", ())
    assert timedelta(0) <= idle.since < timedelta(minutes=1)
    assert str(idle) == f"{pid} (forgotten shell)"
    assert str(Session(7, "", timedelta(0))) == "7"


def test_who_waits_is_known_with_whom_it_waits_for(server: Engine, postgres_url: str) -> None:
    with named(postgres_url, "first") as (first, blocker):
        first.execute(text(LOCK))
        with named(postgres_url, "second") as (second, waiter):
            thread = threading.Thread(target=second.execute, args=(text(LOCK),))
            thread.start()
            found = awaited(server)
            first.rollback()
            thread.join()
    (blocked,) = found.blocked
    assert (blocked.pid, blocked.name, blocked.blockers) == (waiter, "second", (blocker,))
    assert timedelta(0) <= blocked.since < timedelta(minutes=1)
    assert [one.pid for one in found.idle] == [blocker]


def test_a_server_that_is_gone_is_a_store_error() -> None:
    engine = open_engine("postgresql://me:hunter2@127.0.0.1:1/name", hurried=True)
    with pytest.raises(StoreError, match="Connection refused"):
        server_state(engine, CLOCK)
