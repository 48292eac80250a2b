"""The write of a reply some or all of which is kept apart.

Not here: what is kept apart (sift), and the write of what passes (settle).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from marketdata_pipeline.domain.coverage import Coverage
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.ingest.sift import Sifted
from marketdata_pipeline.store.write import Write


def with_apart(write: Write, sifted: Sifted) -> Write:
    """The same with what is kept apart; what was asked in vain is due again later."""
    if not sifted.apart:
        return write
    cover = _in_vain(write.coverage, sifted.in_vain, write.fetch.market_at)
    return replace(write, apart=sifted.apart, coverage=cover)


def refusal(write: Write, sifted: Sifted, asked: Sequence[TimeRange]) -> Write:
    """The fetch and what is kept apart of it, without a word that the reply says.

    ``write`` has no bars, and the coverage of what is absent.
    """
    return Write(
        series=write.series,
        fetch=replace(write.fetch, currency=None),
        coverage=_in_vain(write.coverage, asked, write.fetch.market_at),
        aside=True,
        apart=sifted.apart,
    )


def _in_vain(
    cover: Callable[[Coverage], Coverage], asked: Sequence[TimeRange], market_at: datetime
) -> Callable[[Coverage], Coverage]:
    return lambda before: cover(before.in_vain(asked, market_at))
