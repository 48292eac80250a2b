"""A catalog in which each instrument is in a situation of its own, made by the store's own writes.

Not here: the situations (cases).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, Table, insert, select, update

from marketdata_pipeline.database.doubting import incidents, quarantine
from marketdata_pipeline.database.engine import writing
from marketdata_pipeline.database.governing import governor
from marketdata_pipeline.database.happening import backfill_queue
from marketdata_pipeline.database.metadata import fetches, instruments, restatements
from marketdata_pipeline.domain.bars import BadRow, empty
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.coverage import Span, SpanKind
from marketdata_pipeline.domain.ranges import TimeRange, to_micros
from marketdata_pipeline.domain.reply import Basis
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.store import identity
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.tracking import Tracked, Tracking
from marketdata_pipeline.store.witnesses import Witnesses
from marketdata_pipeline.store.write import Fetch, FetchKind, State, Write
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.writes import bars_at

NOW = FrozenClock().market
"""Friday 2024-03-15 21:00 UTC, an hour after the close of XNYS."""
FAR = datetime(2100, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    """An ISO instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def between(start: str, end: str) -> TimeRange:
    """A range of two of them."""
    return TimeRange(at(start), at(end))


@dataclass
class Scene:
    """What a situation may do to the catalog; ``series`` is the one of the case at hand."""

    engine: Engine
    folder: Path
    clock: FrozenClock
    series: Series

    @property
    def store(self) -> BarStore:
        return BarStore(self.engine, self.folder, self.clock)

    @property
    def witnesses(self) -> Witnesses:
        return Witnesses(self.engine, self.folder, self.clock)

    @property
    def base(self) -> "Scene":
        """The same for the base of the series."""
        assert self.series.base is not None
        return replace(self, series=self.series.base)

    def answered(
        self,
        within: TimeRange,
        *,
        lacking: TimeRange | None = None,
        provider: str = "yahoo",
        state: State = State.PROVISIONAL,
        dropped: Sequence[tuple[str, str]] = (),
        market_at: datetime = NOW,
    ) -> None:
        """A provider answered a range with all expected bars but those ``lacking``."""
        labels = calendar_of(self.series.instrument).grid(self.series.timeframe, within).labels
        if lacking is not None:
            start, end = to_micros(lacking.start), to_micros(lacking.end)
            labels = labels[(labels < start) | (labels >= end)]
        derived = self.series.timeframe.derived
        fetch = Fetch(
            kind=FetchKind.DERIVED if derived else FetchKind.REPLY,
            provider="derived" if derived else provider,
            origin=provider,
            window=within,
            basis=Basis.RAW,
            currency="USD",
            market_at=market_at,
            fetched_at=market_at,
            requests=0 if derived else 1,
            dropped=tuple(BadRow(at(one), rule) for one, rule in dropped),
            base_version=0 if derived else None,
        )
        gone = [] if lacking is None else [lacking]
        write = Write(
            self.series,
            fetch,
            bars_at(labels) if len(labels) else empty(),
            coverage=lambda before: before.after(within, gone, market_at),
            state=state,
        )
        version = self.store.versions([self.series])[self.series]
        self.store.commit(write, expected_version=version or None)

    def covered(
        self,
        within: TimeRange,
        kind: SpanKind,
        *,
        tries: int = 0,
        recheck: datetime | None = None,
        since: datetime | None = None,
    ) -> None:
        """Coverage says so, whoever answered."""
        self.store.cover(self.series, [Span(within, kind, recheck, tries, since)])

    def hole(
        self, day: str, *, tries: int = 0, since: str = "", recheck: str = "2024-03-16"
    ) -> None:
        """A day that was answered without its bar."""
        within = TimeRange(at(day), at(day) + timedelta(days=1))
        self.covered(
            within,
            SpanKind.HOLE,
            tries=tries,
            recheck=at(recheck),
            since=at(since) if since else None,
        )

    def tracked(self, *timeframes: Timeframe, since: datetime | None = None) -> None:
        """It is tracked by hand."""
        frames = timeframes or (self.series.timeframe,)
        Tracking(self.engine, self.clock).put(Tracked(self.series.instrument, frames, since))

    def untracked(self) -> None:
        """Not any more."""
        Tracking(self.engine, self.clock).remove(self.series.instrument)

    def listed(self, day: str) -> None:
        """The listing's first day is known."""
        self._known()
        with writing(self.engine) as connection:
            same = instruments.c.key == self.series.instrument.key
            connection.execute(update(instruments).where(same).values(first_trade=day))

    def failed(self, category: str, message: str) -> None:
        """The last update of the series failed."""
        Catalog(self.engine, self.clock).record_error(self.series, category, message)

    def restated(self, label: str) -> None:
        """A final bar changed."""
        with writing(self.engine) as connection:
            known = identity.series_id(connection, self.series)
            fetch = connection.execute(
                select(fetches.c.id).where(fetches.c.series_id == known)
            ).scalars().first()  # fmt: skip
            columns = {
                f"{which}_{name}": price
                for which, price in (("old", 100.0), ("new", 101.5))
                for name in ("open", "high", "low", "close", "volume")
            }
            row = {"series_id": known, "ts": to_micros(at(label)), "old_fetch_id": fetch,
                   "new_fetch_id": fetch, "reason": "settlement",
                   "recorded_at": to_micros(NOW)}  # fmt: skip
            connection.execute(insert(restatements), row | columns)

    def held(self, first: str, last: str, *, status: str = "held", why: str | None = None) -> None:
        """Quarantine has, or had, bars of it."""
        with writing(self.engine) as connection:
            known = identity.series_id(connection, self.series)
            self._enter(connection, quarantine, {
                "series_id": known, "status": status, "reason": "level_shift",
                "detail": "100 times the level around it", "evidence": "{}",
                "fingerprint": str(self.series), "times": 1, "provider": "yahoo",
                "origin": "yahoo", "window_start": to_micros(at(first)),
                "window_end": to_micros(at(last)) + 1, "currency": "USD",
                "market_at": to_micros(NOW), "fetched_at": to_micros(NOW), "run_id": None,
                "rows": 1, "first_ts": to_micros(at(first)), "last_ts": to_micros(at(last)),
                "data": b"x", "checksum": "x", "actions": "[]", "held_at": to_micros(NOW),
                "seen_at": to_micros(NOW),
                "decided_at": None if status == "held" else to_micros(NOW), "decided_why": why,
            })  # fmt: skip

    def incident(self, kind: str, *sessions: str, timeframes: str = "1h,1d") -> None:
        """An open incident of the calendar."""
        with writing(self.engine) as connection:
            self._enter(connection, incidents, {
                "kind": kind, "status": "open", "calendar": self.series.instrument.venue.calendar,
                "sessions": ",".join(sessions), "timeframes": timeframes, "affected": 400,
                "lacking": 380, "expected": 500, "detail": "many lack it",
                "opened_at": to_micros(NOW), "probed_at": None, "probe_at": to_micros(NOW),
                "changed_at": to_micros(NOW), "closed_at": None, "outcome": None,
            })  # fmt: skip

    def queued(
        self,
        status: str,
        *,
        category: str | None = None,
        message: str | None = None,
        start: str = "",
        end: str = "",
    ) -> None:
        """A row of the queue is for it."""
        running = status == "in_progress"
        with writing(self.engine) as connection:
            self._enter(connection, backfill_queue, {
                "instrument": self.series.instrument.key, "timeframes": str(self.series.timeframe),
                "start": to_micros(at(start)) if start else None,
                "end": to_micros(at(end)) if end else None, "status": status,
                "priority": 2, "retry_after": to_micros(NOW), "attempts": 0,
                "setbacks": 0, "launch": 0, "batch": None, "asked_at": None,
                "run_id": "run" if running else None,
                "lease_until": to_micros(FAR) if running else None, "error_category": category,
                "error_message": message, "created_at": to_micros(NOW),
                "updated_at": to_micros(NOW), "completed_at": None,
            })  # fmt: skip

    def paused(self, provider: str, *, broken: bool = False) -> None:
        """The governor sends nothing to a provider now."""
        until = to_micros(FAR)
        row = {one.name: 0 for one in governor.c}
        which = {"opened_until" if broken else "cooldown_until": until}
        with writing(self.engine) as connection:
            self._enter(connection, governor, {**row, "key": provider, "spacing": 1, **which})

    def _known(self) -> None:
        with writing(self.engine) as connection:
            identity.series_id(connection, self.series)

    def _enter(self, connection: Connection, table: Table, row: dict[str, object]) -> None:
        connection.execute(insert(table), row)
