"""Refreshes: which series go now, the highest tier first, as many as the quotas carry.

Not here: which series can have news (due), when somebody looks and the runs (schedules).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.gate import Turns
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import MICROSECOND, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.tiers import LEAST, Tier, Wishes
from marketdata_pipeline.errors import (
    OutOfDepth,
    ProviderTimeout,
    RateLimited,
    Unavailable,
    UnknownSymbol,
)
from marketdata_pipeline.ingest.due import due_series, resting
from marketdata_pipeline.ingest.track import series_of
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog, LastAsked
from marketdata_pipeline.store.tracking import Tracking

PASSING: Final = (RateLimited.category, Unavailable.category, ProviderTimeout.category)
"""Why an update failed that the next one may bring to its end."""
LASTING: Final = (UnknownSymbol.category, OutOfDepth.category)
"""Why one failed that the next one would fail for, too."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Due:
    """A series that could go now; ``asked`` is the wall instant when it last was, None: never."""

    series: Series
    tier: Tier
    asked: datetime | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """Requests that may go until the next look; ``rest`` of them are not for the first tier."""

    total: int
    rest: int


@dataclass(frozen=True, slots=True)
class Look:
    """What a look came to: the series that go now, in the order of tracking.

    Attributes:
        tracked: how many were looked at.
        due: how many of them could go, were the quotas larger.
    """

    series: tuple[Series, ...]
    tracked: int
    due: int


def budget(
    turns: Sequence[Turns], every: timedelta, wall_now: datetime, *, rest: bool
) -> Budget | None:
    """What the quotas carry until the next look; None: no quota is known yet.

    Parts of a request add up over the looks. ``rest``: there are series of another than the first
    tier.
    """
    if not turns:
        return None
    total = _whole(sum(_carries(one, every, wall_now) for one in turns), wall_now, every)
    least = _whole(LEAST * sum(every / one.interval for one in turns), wall_now, every)
    return Budget(total, min(total, least) if rest else 0)


def _carries(turns: Turns, every: timedelta, wall_now: datetime) -> float:
    """The requests that one provider takes until the next look."""
    wait = min(every, max(timedelta(0), turns.next_at - wall_now))
    requests = turns.free + (every - wait) / turns.interval
    return requests if turns.budget_left is None else min(requests, turns.budget_left)


def _whole(requests: float, now: datetime, every: timedelta) -> int:
    """So many at each look on the average, in whole ones."""
    number, part = to_micros(now) // (every // MICROSECOND), requests % 1.0
    return int(requests) + int((number + 1) * part) - int(number * part)


def going(due: Sequence[Due], allowed: Budget | None) -> list[Series]:
    """Of what is due the series that go now: the highest tier first, who waits longest first.

    A fetched series costs a request. A derived one costs none, but goes with its base only, where
    that one is due too.
    """
    costly = sorted(
        (one for one in due if not one.series.timeframe.derived),
        key=lambda one: one.asked or _NEVER,
    )
    first = [one.series for one in costly if one.tier is Tier.PRIORITY]
    rest = [one.series for one in costly if one.tier is not Tier.PRIORITY]
    if allowed is not None:
        first = first[: max(0, allowed.total - allowed.rest)]
        rest = rest[: max(0, allowed.total - len(first))]
    taken = {*first, *rest}
    left = {one.series for one in costly} - taken
    derived = [one.series for one in due if one.series.timeframe.derived]
    return [*first, *rest, *(one for one in derived if one.base not in left)]


def tier_of(instrument: Instrument, held: Iterable[Instrument], wishes: Wishes) -> Tier:
    """The tier of an instrument's series."""
    return Tier.PRIORITY if instrument in held or instrument in wishes.first else Tier.OTHER


@dataclass(frozen=True, slots=True, eq=False)
class Refreshes:
    """The refreshes of a catalog.

    Attributes:
        turns: tells how the turns of all providers stand; none were asked yet: empty.
        delay: after the close, until days and weeks are asked for.
    """

    tracking: Tracking
    catalog: Catalog
    store: BarStore
    clock: Clock
    delay: timedelta
    wishes: Wishes
    turns: Callable[[], Sequence[Turns]]

    def look(self, tier: Tier, waiting: Callable[[Sequence[Series]], set[Series]]) -> Look:
        """The series of a tier that go now.

        ``waiting`` tells which of those that were never asked for somebody else will see to.
        """
        held = self.tracking.held()
        tracked = series_of(self.tracking.all())
        tiers = {one.instrument: tier_of(one.instrument, held, self.wishes) for one in tracked}
        ours = [one for one in tracked if tiers[one.instrument] is tier]
        if not ours:
            return Look((), 0, 0)
        # The first tier has its own looks, but what it needs is not there for the rest.
        among = ours if tier is Tier.PRIORITY else tracked
        due = [Due(one, tiers[one.instrument], at) for one, at in self._due(among, waiting).items()]
        allowed = budget(
            self.turns(),
            self.wishes.look(tier),
            self.clock.wall_now(),
            rest=Tier.OTHER in tiers.values(),
        )
        go = set(going(due, allowed))
        return Look(
            tuple(one for one in ours if one in go),
            len(ours),
            sum(one.tier is tier for one in due),
        )

    def awake(self) -> list[Series]:
        """All tracked series but those that rest, since a provider does not know them."""
        tracked = series_of(self.tracking.all())
        return _awake(tracked, self.catalog.last_asked(tracked), self.clock.wall_now())

    def _due(
        self, tracked: Sequence[Series], waiting: Callable[[Sequence[Series]], set[Series]]
    ) -> dict[Series, datetime | None]:
        """What is due, with when it was last asked for."""
        market_now, wall_now = self.clock.market_now(), self.clock.wall_now()
        asked = self.catalog.last_asked(tracked)
        awake = _awake(tracked, asked, wall_now)
        reached = self.store.reached(awake, market_now)
        news = set(due_series(awake, reached, market_now, delay=self.delay))
        fresh = [one for one in awake if one in news and one not in asked]
        others = waiting(fresh) if fresh else set()
        news |= self._always(awake, asked, wall_now)
        return {
            one: asked[one].at if one in asked else None
            for one in awake
            if one not in others and self._goes(asked.get(one), wall_now, news=one in news)
        }

    def _always(
        self, awake: Sequence[Series], asked: Mapping[Series, LastAsked], wall_now: datetime
    ) -> set[Series]:
        """Those that are asked for after every interval, for which one is over."""
        ours = [one for one in awake if self.wishes.always(one.instrument.venue.calendar)]
        # An update that finds nothing to ask for writes nothing of its series.
        updated = self.tracking.last_updates() if ours else {}

        def last(one: Series) -> datetime:
            at = asked[one].at if one in asked else _NEVER
            return max(at, updated.get(one.instrument, _NEVER))

        return {one for one in ours if wall_now - last(one) >= self.wishes.again}

    def _goes(self, last: LastAsked | None, wall_now: datetime, *, news: bool) -> bool:
        """Whether a series is due, given when it was last asked for and how that ended."""
        if last is None or last.failed is None:
            return news
        # An older window of it may be missing behind a newer one.
        rested = wall_now - last.at >= self.wishes.again
        return rested and (news or last.failed in PASSING)


def _awake(
    tracked: Sequence[Series], asked: Mapping[Series, LastAsked], wall_now: datetime
) -> list[Series]:
    unknown = {one: it.at for one, it in asked.items() if it.failed == UnknownSymbol.category}
    asleep = resting(unknown, wall_now)
    return [one for one in tracked if one not in asleep and one.base not in asleep]
