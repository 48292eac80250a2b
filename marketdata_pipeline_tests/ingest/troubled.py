"""Troubles: for each kind of alert a situation that raises it, made for real, and its end.

Not here: any test. Time passes on both databases: where the wall is the database's, rows grow older
instead.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Table, delete, insert, update

from marketdata_pipeline.alerting import disk_trouble
from marketdata_pipeline.alerts.deciding import Policy
from marketdata_pipeline.alerts.sending import Sender
from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.doubting import alerts, incidents, quarantine
from marketdata_pipeline.database.engine import reading, writing
from marketdata_pipeline.database.governing import governor as governor_table
from marketdata_pipeline.database.happening import backfill_queue, transactions
from marketdata_pipeline.database.machine import Disk
from marketdata_pipeline.database.metadata import tracked_instruments
from marketdata_pipeline.domain.alert import Condition
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.gate import Attempt, Ending, Limits, RateLimit, Turn
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import MICROSECOND, from_micros, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.governor.log import record
from marketdata_pipeline.ingest import conditions
from marketdata_pipeline.ingest.alerting import Alerting, Look, Outside
from marketdata_pipeline.ingest.queue import Queue
from marketdata_pipeline.ingest.seeing import Bounds, Watch
from marketdata_pipeline.store import holdings, identity
from marketdata_pipeline.store.holdings import Holding
from marketdata_pipeline.store.tracking import Tracked
from marketdata_pipeline_tests.alerts.receiver import Receiver
from marketdata_pipeline_tests.ingest.world import World, days, walk

AAPL = Series.parse("AAPL|1d")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GOOD = Verdict(passed=True, score=1.0, detail="all there")
BAD = Verdict(passed=False, score=0.25, detail="3 of 4 expected bars absent")
FULL = Disk(size=100 * 10**9, free=2 * 10**9)
EMPTY = Disk(size=100 * 10**9, free=90 * 10**9)
_LIMITS = Limits((RateLimit(100, HOUR, 10),))
_INSTANTS = ("raised_at", "seen_at", "told_at", "ended_at", "ended_told_at", "retry_at")


def change_rows(engine: Engine, table: Table = backfill_queue, **values: Any) -> None:
    """Set columns of all rows of a table."""
    with writing(engine) as connection:
        connection.execute(update(table).values(**values))


@dataclass
class Troubled:
    """A world whose alerts go to a receiver.

    Attributes:
        disk: the home's.
        outside: what an edge sees of Dagster.
    """

    world: World
    receiver: Receiver
    policy: Policy = field(default_factory=Policy)
    base: str | None = None
    bounds: Bounds = field(default_factory=Bounds)
    disk: Disk = EMPTY
    outside: list[Condition] = field(default_factory=list)
    urls: list[str] | None = None

    @property
    def alerting(self) -> Alerting:
        engine, clock = self.world.home.engine, self.world.clock
        governor = Governor(engine, clock)
        watch = Watch(engine, clock, self.world.store, governor, self.bounds, self.base)
        return Alerting(
            engine,
            clock,
            watch,
            Sender([self.receiver.url] if self.urls is None else self.urls),
            self.policy,
            disk=lambda: disk_trouble(self.world.home.folder, self.disk),
        )

    def look(self) -> Look:
        kinds = frozenset({"daemon", "maintenance"})
        return self.alerting.look(Outside(tuple(self.outside), kinds))

    @property
    def now(self) -> datetime:
        with reading(self.world.home.engine) as connection:
            return from_micros(wall_micros(connection, self.world.clock))

    def pass_time(self, by: timedelta) -> None:
        """Let wall time pass; market time stands."""
        if self.world.home.engine.dialect.name == "sqlite":
            self.world.clock.wall += by
        else:
            older = {one: alerts.c[one] - by // MICROSECOND for one in _INSTANTS}
            self.change(alerts, **older)

    def change(self, table: Table, **values: Any) -> None:
        """Set columns of all rows."""
        change_rows(self.world.home.engine, table, **values)

    def add(self, table: Table, **values: Any) -> None:
        with writing(self.world.home.engine) as connection:
            connection.execute(insert(table), [values])

    def ago(self, by: timedelta) -> int:
        return to_micros(self.now - by)

    def hold(self, key: str = "AAPL", quantity: float = 10.0, portfolio: str = "p") -> None:
        one = Holding(portfolio, Instrument.parse(key), quantity, self.now)
        with writing(self.world.home.engine) as connection:
            holdings.replace_all(connection, [], [one])

    def track(self, key: str = "AAPL", *frames: Timeframe) -> None:
        self.world.tracking.put(Tracked(Instrument.parse(key), frames or (Timeframe.D1,)))

    def fill(self, key: str = "AAPL") -> None:
        """Track an instrument and have its days until now stored."""
        series = Series.parse(f"{key}|1d")
        truth = walk(series, days("2023-06-01", "2024-05-01"))
        self.world.provider.truth = {**self.world.provider.truth, series: truth}
        self.world.provider.first_trade = date(2023, 6, 1)
        self.track(key)
        assert not [one for one in self.world.updater.update_many([series]) if one.error]

    def ended(self, ending: Ending, ago: timedelta = timedelta(0), key: str = "yahoo") -> None:
        """Have a request to a provider ended so."""
        Governor(self.world.home.engine, self.world.clock).register(key, _LIMITS)
        with writing(self.world.home.engine) as connection:
            record(connection, Turn(key, 0, Errand()), Attempt(ending), self.ago(ago))

    def incident(self, kind: str, **more: Any) -> None:
        at = to_micros(self.world.clock.market_now())
        self.add(
            incidents, kind=kind, status="open", calendar="XNYS", sessions="2024-03-13,2024-03-14",
            timeframes="1d", affected=400, lacking=400, expected=500, detail="seen by gap_sensor",
            opened_at=at, changed_at=at, **more,
        )  # fmt: skip

    def close_incidents(self, outcome: str) -> None:
        at = to_micros(self.world.clock.market_now())
        self.change(incidents, status="closed", closed_at=at, outcome=outcome)

    def keep_apart(self, series: Series = AAPL, reason: str = "level_shift") -> None:
        now = self.ago(timedelta(0))
        with writing(self.world.home.engine) as connection:
            known = identity.series_id(connection, series)
            row = {
                "series_id": known, "status": "held", "reason": reason,
                "detail": "100 times the bars before", "evidence": "{}",
                "fingerprint": f"{series}{reason}", "times": 1, "provider": "yahoo",
                "origin": "internet", "window_start": 0, "window_end": 1, "market_at": now,
                "fetched_at": now, "rows": 0, "actions": "[]", "held_at": now, "seen_at": now,
            }  # fmt: skip
            connection.execute(insert(quarantine), [row])

    def judge(self, verdict: Verdict, series: Series = AAPL, rule: str = "completeness") -> None:
        with writing(self.world.home.engine) as connection:
            identity.series_id(connection, series)
        self.world.verdicts.put(series, {rule: verdict})


def _check(it: Troubled) -> None:
    it.track()
    it.judge(BAD)


def _late(it: Troubled) -> None:
    it.fill()
    it.world.clock.advance(5 * DAY + HOUR)  # three sessions closed
    it.ended(Ending.ANSWERED)


def _late_end(it: Troubled) -> None:
    assert not [one for one in it.world.updater.update_many([AAPL]) if one.error]


def _kept_apart(it: Troubled) -> None:
    it.hold()
    it.keep_apart()


def _decided(it: Troubled) -> None:
    it.change(quarantine, status="dropped", decided_at=0, decided_why="wrong")


def _silent(it: Troubled) -> None:
    it.track()
    it.change(tracked_instruments, last_tracked_at=it.ago(5 * DAY))


def _shut(it: Troubled) -> None:
    it.ended(Ending.UNAVAILABLE, 40 * MINUTE)
    it.change(governor_table, opened_until=it.ago(-HOUR))


def _opened(it: Troubled) -> None:
    it.ended(Ending.ANSWERED)
    it.change(governor_table, opened_until=0)


def _failed_jobs(it: Troubled) -> None:
    queue = Queue(it.world.home.engine, it.world.clock)
    for number in range(11):
        queue.enqueue(Instrument(f"I{number}"), [Timeframe.D1])
    it.change(backfill_queue, status="failed")


def _old_queue(it: Troubled) -> None:
    Queue(it.world.home.engine, it.world.clock).enqueue(AAPL.instrument, [Timeframe.D1])
    it.change(backfill_queue, retry_after=it.ago(3 * HOUR))


def _empty_queue(it: Troubled) -> None:
    with writing(it.world.home.engine) as connection:
        connection.execute(delete(backfill_queue))


def _transactions(it: Troubled) -> None:
    at = it.ago(10 * MINUTE)
    it.add(
        transactions, external_id="1", portfolio="p", instrument="AAPL", side="buy", quantity=1.0,
        executed_at=at, recorded_at=at,
    )  # fmt: skip


def _disk(it: Troubled, disk: Disk) -> None:
    it.disk = disk


def _served(it: Troubled) -> None:
    it.ended(Ending.ANSWERED)


@dataclass(frozen=True)
class Situation:
    """How a trouble begins and ends, and the title of its alert."""

    begin: Callable[[Troubled], object]
    end: Callable[[Troubled], object]
    title: str


SITUATIONS: Mapping[str, Situation] = {
    "check": Situation(_check, lambda it: it.judge(GOOD), "completeness fails for 1 series"),
    "late": Situation(_late, _late_end, "1 series late, up to 3 sessions"),
    "outage": Situation(
        lambda it: it.incident("outage"),
        lambda it: it.close_incidents("healed"),
        "XNYS: 400 of 500 series lack 2024-03-13, 2024-03-14",
    ),
    "question": Situation(
        lambda it: it.incident("question"),
        lambda it: it.close_incidents("closed_market"),
        "was XNYS closed on 2024-03-13, 2024-03-14?",
    ),
    "quarantine": Situation(_kept_apart, _decided, "bars of AAPL are kept apart: level_shift"),
    "silent": Situation(
        _silent,
        lambda it: it.change(tracked_instruments, last_tracked_at=it.ago(HOUR)),
        "nothing was updated since",
    ),
    "daemon": Situation(
        lambda it: it.outside.append(conditions.of_daemon(["SCHEDULER"], it.now - HOUR)),
        lambda it: it.outside.clear(),
        "Dagster's daemon is silent since 20",
    ),
    "disk": Situation(
        lambda it: _disk(it, FULL), lambda it: _disk(it, EMPTY), "the home's disk is nearly full"
    ),
    "breaker": Situation(_shut, _opened, "yahoo fails and is not asked, since 20"),
    "blocked": Situation(
        lambda it: it.ended(Ending.BLOCKED), _served, "yahoo turns this address away"
    ),
    "credentials": Situation(
        lambda it: it.ended(Ending.CREDENTIALS), _served, "yahoo refuses its key"
    ),
    "failed_jobs": Situation(_failed_jobs, _empty_queue, "11 backfills have failed"),
    "old_queue": Situation(_old_queue, _empty_queue, "a due backfill waits since 20"),
    "transactions": Situation(
        _transactions,
        lambda it: it.change(transactions, processed_at=it.ago(timedelta(0))),
        "1 transaction not processed",
    ),
    "maintenance": Situation(
        lambda it: it.outside.append(conditions.of_maintenance("run-1", it.now)),
        lambda it: it.outside.clear(),
        "the store's maintenance failed",
    ),
}
"""By kind."""
