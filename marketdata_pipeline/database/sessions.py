"""Who is in the way of a catalog on a Postgres server: sessions that wait, that idle; its clock.

Not here: a file's locks (locks), and what all that means (reading.health).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.contact import ClockReading

_SERVER = text(
    "SELECT current_setting('server_version_num')::int AS version,"
    " pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on' AS read_only"
)
# Of other users' sessions the state is hidden unless one may read all statistics.
_SESSIONS = text(
    "SELECT pid, coalesce(application_name, '') AS name, pg_blocking_pids(pid) AS blockers,"
    " CASE WHEN state LIKE 'idle in transaction%' THEN 'idle' ELSE 'active' END AS state,"
    " extract(epoch FROM clock_timestamp()"
    " - CASE WHEN state LIKE 'idle in%' THEN state_change ELSE query_start END) AS seconds"
    " FROM pg_stat_activity WHERE datname = current_database()"
    " AND (state LIKE 'idle in transaction%' OR wait_event_type = 'Lock')"
    " ORDER BY seconds DESC"
)


@dataclass(frozen=True, slots=True)
class Session:
    """A session of this database.

    Attributes:
        name: what its program calls itself; may be empty.
        since: how long it has waited or idled.
        blockers: the process ids that it waits for; none for one that idles.
    """

    pid: int
    name: str
    since: timedelta
    blockers: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.pid} ({self.name})" if self.name else str(self.pid)


@dataclass(frozen=True, slots=True)
class ServerState:
    """A server as this database's user sees it.

    Attributes:
        version: as ``server_version_num`` writes it: 140005 is 14.5.
        read_only: it takes no writes: a standby, or set so.
        blocked: sessions that wait for a lock, the longest wait first.
        idle: sessions that idle in a transaction, the longest first.
    """

    version: int
    read_only: bool
    blocked: tuple[Session, ...]
    idle: tuple[Session, ...]
    clock: ClockReading


def server_state(engine: Engine, clock: Clock) -> ServerState:
    """Look at the server; writes nothing, waits for nobody.

    Raises:
        StoreError: the server does not answer.
    """
    with reading(engine) as connection:
        told = connection.execute(_SERVER).one()
        found = connection.execute(_SESSIONS).all()
        return ServerState(
            version=told.version,
            read_only=told.read_only,
            blocked=tuple(_session(one) for one in found if one.blockers),
            idle=tuple(_session(one) for one in found if one.state == "idle"),
            clock=_clock(connection, clock),
        )


def _clock(connection: Connection, clock: Clock) -> ClockReading:
    sent = clock.wall_now()
    shown: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return ClockReading(sent, clock.wall_now(), shown.astimezone(UTC))


def _session(row: Row[*tuple[Any, ...]]) -> Session:
    since = timedelta(seconds=max(0.0, float(row.seconds or 0)))
    return Session(row.pid, row.name, since, tuple(row.blockers))
