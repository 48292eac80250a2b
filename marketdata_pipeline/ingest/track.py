"""Tracking: from when on an instrument's series are kept, by hand or since somebody holds it.

Not here: fetching them (update), what portfolios hold (events), registering partition keys
(orchestrator).
"""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import DEFAULT_TIMEFRAMES, Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.store.backfills import Wanted
from marketdata_pipeline.store.holdings import Need
from marketdata_pipeline.store.tracking import Standing, Tracked, Tracking

_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Keeping:
    """How what portfolios hold is kept.

    Attributes:
        timeframes: of each instrument, in the order of the grid.
        months_before_purchase: calendar months of history before the first purchase.
        grace_after_sale: how long an instrument is kept up to date that nobody holds any more.
        base_currency: what portfolios are reckoned in; None: in what their transactions tell.
        portfolio_currencies: the same for single portfolios.
    """

    timeframes: tuple[Timeframe, ...] = DEFAULT_TIMEFRAMES
    months_before_purchase: int = 12
    grace_after_sale: timedelta = timedelta(days=30)
    base_currency: str | None = None
    portfolio_currencies: Mapping[str, str] = field(default_factory=dict)

    def currency_of(self, portfolio: str, told: str | None) -> str | None:
        """What a portfolio is reckoned in, ``told`` being what its transactions say."""
        return self.portfolio_currencies.get(portfolio) or self.base_currency or told


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows for an instrument from who needs it.

    Attributes:
        standing: the row to write; None: it stays as it is.
        wanted: what goes into the queue.
        fresh: it was not tracked until now.
    """

    standing: Standing | None = None
    wanted: tuple[Wanted, ...] = ()
    fresh: bool = False


def decide(
    instrument: Instrument, need: Need, before: Standing | None, keeping: Keeping, now: datetime
) -> Decision:
    """What follows for an instrument; made twice it is the same once, so it may be made anew.

    What is new is fetched from ``months_before_purchase`` before the first purchase on. A purchase
    of an earlier date adds the range before, the first one after a sale of all asks for the whole;
    any other changes only who holds it. What nobody
    holds any more is released, and stays tracked until its grace is over. What was sold again
    before anybody looked is tracked and released at once: only its history can tell of a split
    that left a rest. ``before`` is its row, ``now`` a wall instant.
    """
    since = None
    if need.acquired_at is not None:
        since = months_before(need.acquired_at, keeping.months_before_purchase)
    if before is not None and before.untracked_at is None:
        return _continued(before, need.holders, since, keeping.timeframes, now)
    if since is None or (before is not None and not need.holders):
        return Decision()
    begun = Standing(
        instrument,
        keeping.timeframes,
        since,
        first_tracked_at=now,
        last_tracked_at=now,
        holders=need.holders,
        released_at=None if need.holders else now,
    )
    urgency = Priority.URGENT if need.holders else Priority.HELD
    whole = Wanted(instrument, keeping.timeframes, None, None, urgency)
    return Decision(begun, (whole,), fresh=True)


def _continued(
    before: Standing,
    holders: int,
    since: datetime | None,
    timeframes: Sequence[Timeframe],
    now: datetime,
) -> Decision:
    """What changes of a tracked instrument, by hand or held."""
    frames = before.timeframes
    if holders:
        frames = tuple(one for one in Timeframe if one in {*frames, *timeframes})
    released = None if holders else before.released_at or (now if before.holders else None)
    after = replace(before, timeframes=frames, holders=holders, released_at=released)
    if since is not None and before.since is not None:
        after = replace(after, since=min(since, before.since))
    wanted = _lacking(before, after)
    if wanted or holders > before.holders:
        after = replace(after, last_tracked_at=now)
    return Decision(None if after == before else after, wanted)


def _lacking(before: Standing, after: Standing) -> tuple[Wanted, ...]:
    """What is to be fetched that was not before.

    What nobody held until now may never have been asked for, or wait behind all else: all of it is
    wanted at once, which costs no request where it is there.
    """
    one = before.instrument
    urgency = Priority.URGENT if after.holders else Priority.HELD
    if after.holders and not before.holders:
        return (Wanted(one, after.timeframes, None, None, urgency),)
    lacking = []
    added = tuple(frame for frame in after.timeframes if frame not in before.timeframes)
    if added:
        lacking.append(Wanted(one, added, None, None, urgency))
    if after.since != before.since:
        lacking.append(Wanted(one, before.timeframes, after.since, before.since, urgency))
    return tuple(lacking)


def months_before(instant: datetime, months: int) -> datetime:
    """The midnight, in UTC, that many calendar months before an instant's day.

    A day that the month does not have is its last one: a year before 2024-02-29 is 2023-02-28.
    """
    year, month = divmod(instant.year * _MONTHS + instant.month - 1 - months, _MONTHS)
    last = monthrange(year, month + 1)[1]
    return datetime(year, month + 1, min(instant.day, last), tzinfo=UTC)


def track(
    tracking: Tracking,
    clock: Clock,
    instruments: Sequence[Instrument],
    *,
    timeframes: Sequence[Timeframe] = DEFAULT_TIMEFRAMES,
    since: datetime | None = None,
) -> list[Tracked]:
    """Keep these instruments' series from now on; tracking again adds timeframes and depth.

    ``since`` None: each timeframe's usual depth.

    Raises:
        BadInput: no instrument, no timeframe, or a start in the market's future.
    """
    if not instruments or not timeframes:
        raise BadInput("name at least one instrument and one timeframe, e.g. AAPL 1d")
    refuse_future(since, clock)
    asked = set(instruments)
    for one in instruments:
        tracking.put(Tracked(one, tuple(timeframes), since, clock.wall_now()))
    return [one for one in tracking.all() if one.instrument in asked]


def refuse_future(since: datetime | None, clock: Clock) -> None:
    """Nothing can be kept from an instant on that is still to come.

    Raises:
        BadInput: ``since`` is in the market's future.
    """
    if since is not None and since > clock.market_now():
        raise BadInput(
            f"{since:%Y-%m-%d} is in the future (market time is "
            f"{clock.market_now():%Y-%m-%d %H:%M} UTC); give an earlier start"
        )


def series_of(tracked: Sequence[Tracked]) -> list[Series]:
    """All series of tracked instruments, in the order of the grid."""
    return [Series(one.instrument, frame) for one in tracked for frame in one.timeframes]
