"""Repair: holes made due by hand, and what asking for them would send.

Not here: the update itself (update), and what brings gaps back by themselves (gaps).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

from sqlalchemy import Connection, Engine

from marketdata_pipeline.database import retry
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.coverage import Coverage, SpanKind
from marketdata_pipeline.domain.hole import made_due
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, intersect
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.plan import plan, wanted_range
from marketdata_pipeline.providers.base import Capability
from marketdata_pipeline.store import gaps

Served = Mapping[str, Mapping[Timeframe, Capability]]
"""What each provider serves, by its name, in the order in which they are asked."""
_LATEST = 50
"""Series that one transaction changes: the catalog is not held for long."""


@dataclass(frozen=True, slots=True)
class Mended:
    """A series with its coverage once what is to be repaired is due; ``within`` is that."""

    series: Series
    coverage: Coverage
    within: tuple[TimeRange, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """A request that a repair would send; of what it asks, only ``parts`` are missing."""

    series: Series
    provider: str
    window: TimeRange
    parts: tuple[TimeRange, ...]


def mended(
    coverage: Mapping[Series, Coverage], within: TimeRange | None, now: datetime, *, all_kinds: bool
) -> list[Mended]:
    """The series of which something can be repaired, their coverage as it would be then.

    ``within``: labels; None: all. ``all_kinds``: also what counts as without trade.
    """
    found = []
    for one, known in coverage.items():
        kinds = {SpanKind.HOLE, SpanKind.NO_TRADE} if all_kinds else {SpanKind.HOLE}
        ranges = [span.within for span in known.spans if span.kind in kinds]
        parts = ranges if within is None else intersect(ranges, [within])
        if parts:
            found.append(Mended(one, made_due(known, parts, now), tuple(parts)))
    return found


def make_due(engine: Engine, clock: Clock, wanted: Sequence[Mended]) -> None:
    """Have all of it count as missing, so that the next update asks for it.

    Raises:
        StoreError: the catalog refuses.
    """
    now = clock.market_now()
    for at in range(0, len(wanted), _LATEST):
        retry.write(engine, clock, partial(_make_due, wanted=wanted[at : at + _LATEST], now=now))


def _make_due(connection: Connection, *, wanted: Iterable[Mended], now: datetime) -> None:
    for one in wanted:
        due = partial(made_due, within=one.within, market_now=now)
        gaps.change(connection, one.series, due)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a repair is about.

    Attributes:
        within: labels; None: each series as far back as it is tracked, of which ``since`` tells.
        first_trades: the listings' first days.
    """

    within: TimeRange | None
    since: Mapping[Series, datetime | None]
    first_trades: Mapping[Instrument, date | None]

    def of(self, series: Series, now: datetime) -> TimeRange | None:
        """The label range that the update of a series is about."""
        if self.within is None:
            return wanted_range(series, self.since.get(series), None, now)
        return wanted_range(series, self.within.start, self.within.end, now)


def planned(wanted: Iterable[Mended], served: Served, scope: Scope, now: datetime) -> list[Planned]:
    """What a repair would ask, of the first provider that serves the series; nothing is sent.

    Whether the actions of an instrument are asked for, too, shows once it is done.
    """
    found = []
    for one in wanted:
        if one.series.timeframe.derived:
            continue
        able = (name for name, frames in served.items() if one.series.timeframe in frames)
        name, label_range = next(able, None), scope.of(one.series, now)
        if name is None or label_range is None:
            continue
        asks = plan(
            one.series,
            label_range,
            one.coverage,
            served[name][one.series.timeframe],
            first_trade=scope.first_trades.get(one.series.instrument),
            market_now=now,
        ).asks
        found += [Planned(one.series, name, ask.window, ask.parts) for ask in asks]
    return found


def by_provider(requests: Iterable[Planned]) -> dict[str, int]:
    """How many requests each provider would be sent."""
    counts: dict[str, int] = defaultdict(int)
    for one in requests:
        counts[one.provider] += 1
    return dict(counts)
