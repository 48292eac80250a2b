"""Half-open time ranges ``[start, end)`` in aware UTC, and the algebra on sets of them.

Not here: calendars, and which instants a range ought to hold.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from marketdata_pipeline.errors import BadInput

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970-01-01T00:00Z of an aware instant, exact."""
    return (instant - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """The aware UTC instant of microseconds since 1970-01-01T00:00Z."""
    return EPOCH + timedelta(microseconds=int(micros))


@dataclass(frozen=True, slots=True, order=True)
class TimeRange:
    """``[start, end)``, aware UTC, never empty.

    Raises:
        BadInput: naive instants, or an end that is not after the start.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise BadInput("a range needs instants with a time zone, e.g. 2024-01-02T00:00Z")
        if self.start.utcoffset() or self.end.utcoffset():
            object.__setattr__(self, "start", self.start.astimezone(UTC))
            object.__setattr__(self, "end", self.end.astimezone(UTC))
        if self.end <= self.start:
            raise BadInput(
                f"the range ends ({self.end:%Y-%m-%dT%H:%MZ}) before or where it starts "
                f"({self.start:%Y-%m-%dT%H:%MZ}); give an end after the start"
            )

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    def intersect(self, other: "TimeRange") -> "TimeRange | None":
        """The common part, or None."""
        return span(max(self.start, other.start), min(self.end, other.end))

    def __str__(self) -> str:
        return f"{_spell(self.start)}..{_spell(self.end)}"


def _spell(instant: datetime) -> str:
    midnight = instant.time() == instant.time().min
    return f"{instant:%Y-%m-%d}" if midnight else f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def span(start: datetime, end: datetime) -> TimeRange | None:
    """``[start, end)``, or None where that is empty."""
    return TimeRange(start, end) if start < end else None


def merge(ranges: Iterable[TimeRange]) -> list[TimeRange]:
    """The same instants as sorted ranges that neither overlap nor touch."""
    merged: list[TimeRange] = []
    for one in sorted(ranges):
        if merged and one.start <= merged[-1].end:
            if one.end > merged[-1].end:
                merged[-1] = TimeRange(merged[-1].start, one.end)
        else:
            merged.append(one)
    return merged


def subtract(ranges: Iterable[TimeRange], holes: Iterable[TimeRange]) -> list[TimeRange]:
    """The instants of ``ranges`` that are in none of ``holes``, merged."""
    return list(_subtract(merge(ranges), merge(holes)))


def _subtract(ranges: list[TimeRange], holes: list[TimeRange]) -> Iterator[TimeRange]:
    first = 0
    for one in ranges:
        at = one.start
        while first < len(holes) and holes[first].end <= at:
            first += 1
        i = first
        while i < len(holes) and holes[i].start < one.end:
            if holes[i].start > at:
                yield TimeRange(at, holes[i].start)
            at = max(at, holes[i].end)
            i += 1
        if at < one.end:
            yield TimeRange(at, one.end)


def intersect(left: Iterable[TimeRange], right: Iterable[TimeRange]) -> list[TimeRange]:
    """The instants that are in both, merged."""
    others = merge(right)
    found = (one.intersect(other) for one in merge(left) for other in others)
    return [part for part in found if part is not None]


def cut(one: TimeRange, longest: timedelta | None) -> list[TimeRange]:
    """The range as consecutive windows no longer than ``longest`` (None: as it is).

    The windows are aligned to the end, so that the newest one is a full one.
    """
    if longest is None:
        return [one]
    windows: list[TimeRange] = []
    end = one.end
    while end > one.start:
        start = max(one.start, end - longest)
        windows.append(TimeRange(start, end))
        end = start
    return windows[::-1]
