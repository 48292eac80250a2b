"""What an answer makes of coverage: answered, provisional, holes, out of depth, no trade.

Not here: the arithmetic of coverage (domain.coverage, domain.hole), which bars are absent (plan).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from marketdata_pipeline.domain.coverage import Coverage, Span, SpanKind
from marketdata_pipeline.domain.hole import given_up
from marketdata_pipeline.domain.ranges import TimeRange, subtract
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import Micros


def _nothing() -> Micros:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Lacking:
    """The ``parts`` of a series that were answered without the ``absent`` parts of them.

    ``present`` are the labels of the bars that there are in and around them, ``came`` those of
    the rows of the answer, also where they were dropped or are kept apart.
    """

    series: Series
    parts: Sequence[TimeRange]
    absent: Sequence[TimeRange]
    present: Micros
    came: Micros = field(default_factory=_nothing)


def covering(
    lacking: Lacking,
    too_old: TimeRange | None,
    market_at: datetime,
    provisional: Sequence[Span] = (),
) -> Callable[[Coverage], Coverage]:
    """The change of coverage by an answer; ``too_old``: what is wanted, but out of depth."""
    depth = lacking.series.timeframe.depth

    def cover(before: Coverage) -> Coverage:
        known = _noting_depth(before, too_old)
        after = known.after(lacking.parts, lacking.absent, market_at, provisional, depth=depth)
        return given_up(lacking.series, after, lacking.present, market_at, came=lacking.came)

    return cover


def _noting_depth(before: Coverage, too_old: TimeRange | None) -> Coverage:
    """What is too old to be asked for is remembered, unless it was answered in time."""
    if too_old is None:
        return before
    parts = subtract([too_old], [one.within for one in before.spans])
    return before.overlay(Span(part, SpanKind.OUT_OF_DEPTH) for part in parts)
