"""What a look makes of incidents and of the holes of their series, and writing that.

Not here: deciding it (incidents).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from marketdata_pipeline.domain.incident import Incident, Move
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.logs import get_logger
from marketdata_pipeline.store import incidents, retrying

_log = get_logger(__name__)
_Parked = Mapping[datetime, Mapping[Timeframe, Collection[TimeRange]]]
"""By the instant until which they wait, the ranges of holes."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a look makes of an incident, and of the holes of its series.

    Attributes:
        ranges: the labels of its sessions.
        parked: holes that wait from now on; ``kept`` are series whose holes do not.
        probed: series whose holes are due now.
    """

    before: Incident
    after: Incident
    move: Move
    ranges: list[TimeRange]
    parked: _Parked = field(default_factory=dict)
    kept: frozenset[int] = frozenset()
    probed: frozenset[int] = frozenset()


def written(
    connection: Connection, known: Sequence[Incident], steps: Iterable[Step]
) -> list[Incident]:
    """The incidents once the steps are taken; none where another look was quicker.

    The caller commits.
    """
    incidents.close_door(connection)
    if incidents.open_ones(connection) != known:
        return []
    return [_taken(connection, one) for one in steps]


def _taken(connection: Connection, step: Step) -> Incident:
    then, calendar = step.after, step.after.calendar
    if step.move is Move.RELEASE:
        retrying.retry_at(connection, calendar, step.ranges, then.changed_at)
    for until, holes in step.parked.items():
        retrying.park(connection, calendar, holes, until, but=step.kept)
    if step.probed and then.probed_at is not None:
        retrying.retry_at(connection, calendar, step.ranges, then.probed_at, only=step.probed)
    if then == step.before and then.id:
        return then
    if then.status is not step.before.status or not then.id:
        _log.info("incident", calendar=calendar, status=str(then.status), told=then.detail)
    return incidents.put(connection, then)
