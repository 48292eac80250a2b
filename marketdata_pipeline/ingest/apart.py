"""The write of a reply some or all of which is kept apart.

Not here: what is kept apart (sift), and the write of what passes (settle).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from marketdata_pipeline.domain.coverage import RECHECK_AFTER, Coverage, Span, SpanKind
from marketdata_pipeline.domain.ranges import TimeRange, intersect
from marketdata_pipeline.ingest.sift import Sifted
from marketdata_pipeline.store.write import Write


def with_apart(write: Write, sifted: Sifted) -> Write:
    """The same with what is kept apart; what was asked in vain is due again later."""
    told = replace(write, fetch=replace(write.fetch, currency=sifted.currency))
    if not (sifted.apart or sifted.doubted or sifted.in_vain):
        return told
    both = replace(sifted.apart, held=(*write.apart.held, *sifted.apart.held))
    return replace(told, apart=both, coverage=_cover(write, sifted, sifted.in_vain))


def refusal(write: Write, sifted: Sifted, asked: Sequence[TimeRange]) -> Write:
    """The fetch and what is kept apart of it, without a word that the reply says.

    ``write`` has the coverage of what is absent.
    """
    return Write(
        series=write.series,
        fetch=replace(write.fetch, currency=None),
        coverage=_cover(write, sifted, asked),
        aside=True,
        apart=sifted.apart,
    )


def _cover(
    write: Write, sifted: Sifted, asked: Sequence[TimeRange]
) -> Callable[[Coverage], Coverage]:
    """What is in doubt is not taken for what was never traded."""
    at = write.fetch.market_at

    def cover(before: Coverage) -> Coverage:
        after = write.coverage(before.in_vain(asked, at))
        spans = [
            _hole(one, part, at)
            for one in after.spans
            if one.kind is SpanKind.NO_TRADE
            for part in intersect([one.within], sifted.doubted)
        ]
        return after.overlay(spans) if spans else after

    return cover


def _hole(was: Span, within: TimeRange, market_at: datetime) -> Span:
    again = market_at + RECHECK_AFTER[min(was.tries, len(RECHECK_AFTER) - 1)]
    return replace(was, within=within, kind=SpanKind.HOLE, recheck_at=again)
