"""Half-open time ranges ``[start, end)`` in aware UTC, and the algebra on sets of them.

Not here: calendars, and which instants a range ought to hold.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

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

    Instants in other zones, and pandas' Timestamps, become plain UTC ones.

    Raises:
        BadInput: naive instants, or an end that is not after the start.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", _plain_utc(self.start))
        object.__setattr__(self, "end", _plain_utc(self.end))
        if self.end <= self.start:
            raise BadInput(
                f"the range ends ({self.end:%Y-%m-%dT%H:%MZ}) before or where it starts "
                f"({self.start:%Y-%m-%dT%H:%MZ}); give an end after the start"
            )

    @property
    def length(self) -> timedelta:
        """From start to end."""
        return self.end - self.start

    def intersect(self, other: "TimeRange") -> "TimeRange | None":
        """The common part, or None."""
        return span(max(self.start, other.start), min(self.end, other.end))

    def __str__(self) -> str:
        return f"{_spell(self.start)}..{_spell(self.end)}"


def _plain_utc(instant: datetime) -> datetime:
    """Arithmetic in any other zone is on its wall clock, even where that is at UTC in winter."""
    if type(instant) is datetime and instant.tzinfo is UTC:
        return instant
    if instant.tzinfo is None or instant.utcoffset() is None:
        raise BadInput("a range needs instants with a time zone, e.g. 2024-01-02T00:00Z")
    try:
        return from_micros(to_micros(instant))
    except OverflowError as error:
        raise BadInput(f"{instant} is not within the years 1 to 9999 of UTC") from error


def _spell(instant: datetime) -> str:
    midnight = instant.time() == instant.time().min
    return f"{instant:%Y-%m-%d}" if midnight else f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def parse_instant(text: "str | date | datetime") -> datetime:
    """The aware UTC instant of an ISO date or instant; without a zone it is UTC.

    Raises:
        BadInput: not a date.
    """
    try:
        found = datetime.fromisoformat(str(text).strip())
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError) as error:  # 0001-01-01 east of Greenwich is in no year
        raise BadInput(f"{str(text)[:40]!r} is no date; write it as 2024-01-31") from error


def depth_edge(market_now: datetime, depth: timedelta) -> datetime:
    """The first whole UTC day that lies within a depth."""
    day = datetime.combine((market_now - depth).date(), time.min, tzinfo=UTC)
    return day + timedelta(days=1)


def deadline_of(label: datetime, depth: timedelta) -> datetime:
    """The instant from which on a label lies before ``depth_edge``."""
    return datetime.combine(label.date(), time.min, tzinfo=UTC) + depth


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
    taken = merge(holes)
    return [part for one in merge(ranges) for part in parts_outside(one, taken)]


def intersect(left: Iterable[TimeRange], right: Iterable[TimeRange]) -> list[TimeRange]:
    """The instants that are in both, merged."""
    others = merge(right)
    return [part for one in merge(left) for part in parts_inside(one, others)]


def parts_inside(one: TimeRange, merged: Sequence[TimeRange]) -> Iterator[TimeRange]:
    """The parts of one range that are in ``merged`` (sorted, apart), by bisection."""
    first = bisect_right(merged, one.start, key=lambda other: other.end)
    for at in range(first, len(merged)):
        part = one.intersect(merged[at])
        if part is None:
            return
        yield part


def parts_outside(one: TimeRange, merged: Sequence[TimeRange]) -> Iterator[TimeRange]:
    """The parts of one range that are not in ``merged`` (sorted, apart), by bisection."""
    at = one.start
    for part in parts_inside(one, merged):
        if at < part.start:
            yield TimeRange(at, part.start)
        at = part.end
    if at < one.end:
        yield TimeRange(at, one.end)


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
