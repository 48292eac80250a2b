"""Tracking: from when on an instrument's series are kept.

Not here: fetching them (update), and registering partition keys (orchestrator).
"""

from collections.abc import Sequence
from datetime import datetime

from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import DEFAULT_TIMEFRAMES, Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.store.tracking import Tracked, Tracking


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
