"""The one client of a Dagster instance: partition keys, how its runs and its daemon stand.

Not here: definitions (defs), and anything that works without Dagster. Dagster is imported inside
the functions, since it costs a second and more.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput, MarketDataError
from marketdata_pipeline.reading.health.instance import InstanceState, Schedule

if TYPE_CHECKING:
    import dagster as dg
    from dagster._core.scheduler.instigation import InstigatorState

INSTRUMENTS = "instruments"
"""Name of the dynamic partitions that hold the instruments' keys."""
_LONGEST = 240
_UNDER_WAY = ("STARTING", "STARTED", "CANCELING")
_WAITING = ("QUEUED", "NOT_STARTED")
_ENDED = ("SUCCESS", "FAILURE", "CANCELED")
_KEY = "dagster/partition"
_RANGE_START, _RANGE_END = (
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)
_PROGRESS = re.compile(r"\b(\d+)/(\d+)\b")
_LOOK_BACK = (40, 400)
"""Newest events of a run among which its last line of progress is looked for; then give up."""


@contextmanager
def _instance(dagster_home: Path) -> Iterator["dg.DagsterInstance"]:
    """Dagster's instance in that folder; its errors, and its storage's, in one line."""
    import dagster as dg
    from sqlalchemy.exc import SQLAlchemyError

    try:
        opened = dg.DagsterInstance.from_config(str(dagster_home))
    except Exception as error:  # a wrong dagster.yaml raises errors of any kind
        raise _unusable(dagster_home, error) from error
    try:
        with opened as instance:
            yield instance
    except (dg.DagsterError, SQLAlchemyError, OSError) as error:
        raise _unusable(dagster_home, error) from error


def _unusable(dagster_home: Path, error: Exception) -> MarketDataError:
    said = " ".join(str(error).split())[:_LONGEST]
    return MarketDataError(f"Dagster's instance in {dagster_home} cannot be used: {said}")


def register_instruments(dagster_home: Path, instruments: Iterable[Instrument]) -> int:
    """Add the partition keys of these instruments to the instance; returns how many were new.

    Raises:
        MarketDataError: the instance cannot be used.
    """
    with _instance(dagster_home) as instance:
        known = set(instance.get_dynamic_partitions(INSTRUMENTS))
        fresh = [str(one) for one in instruments if str(one) not in known]
        if fresh:
            instance.add_dynamic_partitions(INSTRUMENTS, fresh)
    return len(fresh)


def partition_range(
    dagster_home: Path, instruments: Sequence[Instrument], timeframes: Sequence[Timeframe]
) -> str:
    """The range of partition keys that holds these instruments at these timeframes.

    Dagster orders instruments as they were added; others that lie between are in the range too.

    Raises:
        BadInput: an instrument has no partition key yet.
        MarketDataError: the instance cannot be used.
    """
    with _instance(dagster_home) as instance:
        known = list(instance.get_dynamic_partitions(INSTRUMENTS))
    places = [known.index(str(one)) for one in instruments if str(one) in known]
    if len(places) < len(instruments):
        raise BadInput("an instrument has no partition yet; run marketdata track first")
    frames = [one.key for one in Timeframe if one in timeframes]
    return f"{known[min(places)]}|{frames[0]}...{known[max(places)]}|{frames[-1]}"


def instance_state(dagster_home: Path) -> InstanceState:
    """The schedules that an instance knows, and whether its daemon lives.

    Raises:
        MarketDataError: the instance cannot be used.
    """
    with _instance(dagster_home) as instance:
        beats = instance.get_daemon_heartbeats()
        known = [
            one
            for one in instance.all_instigator_state()
            if one.instigator_type.value == "SCHEDULE"
        ]
    beat = beats.get("SCHEDULER")
    complaints = (error for one in beats.values() for error in one.errors or ())
    return InstanceState(
        schedules=tuple(Schedule(one.name, _location(one), one.is_running) for one in known),
        beat=None if beat is None else _instant(beat.timestamp),
        errors=tuple(" ".join(one.message.split())[:_LONGEST] for one in complaints),
    )


def _location(one: "InstigatorState") -> str:
    return one.origin.repository_origin.code_location_origin.location_name


class Door(StrEnum):
    """Which of the asset's doors a run came by; a schedule uses the config's."""

    KEYED = "keyed"
    CONFIG = "config"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class RunState:
    """A run as Dagster knows it.

    Attributes:
        state: Dagster's word in lower case: queued, started, success, failure, ...
        total: the series that it was given; None: not known.
        done: those that it has reported, while it is under way; None: none yet.
        left: how long the rest takes, as the run itself reckons; None: it has not said.
        began: wall instant of its start, or of its creation as long as it has none.
        ended: None for one that waits or is under way.
    """

    run_id: str
    state: str
    door: Door
    total: int | None
    done: int | None
    began: datetime
    ended: datetime | None
    left: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs to show: those under way, then those that wait, then those that ended; newest first.

    ``under_way`` and ``waiting`` count all of them, shown or not.
    """

    shown: tuple[RunState, ...] = ()
    under_way: int = 0
    waiting: int = 0


def latest_runs(dagster_home: Path, *, at_most: int) -> Runs:
    """The newest runs that are under way, that wait and that ended, ``at_most`` of each.

    Raises:
        MarketDataError: the instance cannot be used.
    """
    import dagster as dg

    with _instance(dagster_home) as instance:
        under_way, waiting, ended = (
            dg.RunsFilter(statuses=[dg.DagsterRunStatus[name] for name in names])
            for names in (_UNDER_WAY, _WAITING, _ENDED)
        )
        reader = _RunReader(instance)
        shown = [
            reader.state(record)
            for wanted in (under_way, waiting, ended)
            for record in instance.get_run_records(wanted, limit=at_most)
        ]
        counts = (instance.get_runs_count(wanted) for wanted in (under_way, waiting))
        return Runs(tuple(shown), *counts)


@dataclass(frozen=True)
class _RunReader:
    """Reads runs of one instance; the partition keys, once for all runs that need them."""

    instance: "dg.DagsterInstance"

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each instrument's key is in the grid."""
        keys = self.instance.get_dynamic_partitions(INSTRUMENTS)
        return {key: place for place, key in enumerate(keys)}

    def state(self, record: "dg.RunRecord") -> RunState:
        """What is known of a run."""
        run, status = record.dagster_run, record.dagster_run.status.value
        total = self._total(run)
        said = self._said(run.run_id, total) if status in _UNDER_WAY else None
        began, ended = record.start_time, record.end_time
        return RunState(
            run_id=run.run_id,
            state=status.replace("_", " ").lower(),
            door=_door(run.tags),
            total=total if said is None else int(said[2]),
            done=None if said is None else int(said[1]),
            began=_instant(began) or record.create_timestamp,
            # One that is cancelled while it waits has no end of its own.
            ended=_instant(ended) or record.update_timestamp if status in _ENDED else None,
            left=None if said is None else _left(said.string),
        )

    def _total(self, run: "dg.DagsterRun") -> int | None:
        """How many series a run was given: one, the box of its range, or its list."""
        if _KEY in run.tags:
            return 1
        if _RANGE_START in run.tags:
            return self._box(run.tags[_RANGE_START], run.tags.get(_RANGE_END, ""))
        series: Any = run.run_config
        for name in ("ops", "ohlcv", "config", "series"):
            series = series.get(name) if isinstance(series, Mapping) else None
        return len(series) if isinstance(series, list) else None

    def _box(self, start: str, end: str) -> int | None:
        """The series in a range of keys; None where that is none of this grid any more."""
        try:
            first, last = Series.parse(start), Series.parse(end)
            tall = self.places[str(last.instrument)] - self.places[str(first.instrument)] + 1
        except (BadInput, KeyError):
            return None
        frames = list(Timeframe)
        wide = frames.index(last.timeframe) - frames.index(first.timeframe) + 1
        return max(0, tall) * max(0, wide)

    def _said(self, run_id: str, total: int | None) -> re.Match[str] | None:
        """Done and total in the last line of progress of the run's log; None: none yet."""
        for limit in _LOOK_BACK:
            found = self.instance.get_records_for_run(run_id, limit=limit, ascending=False).records
            for entry in (record.event_log_entry for record in found):
                said = None if entry.is_dagster_event else _PROGRESS.search(entry.user_message)
                if said and total in {None, int(said[2])}:
                    return said
            if len(found) < limit:
                break
        return None


def _left(line: str) -> timedelta | None:
    from marketdata_pipeline.ingest.progress import Progress

    progress = Progress.parse(line)
    return None if progress is None else progress.left


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _door(tags: Mapping[str, str]) -> Door:
    if "dagster/schedule_name" in tags:
        return Door.SCHEDULE
    return Door.KEYED if {_KEY, _RANGE_START} & set(tags) else Door.CONFIG
