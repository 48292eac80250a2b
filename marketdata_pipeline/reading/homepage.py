"""The page of a home: which series are drawn, and what the table says of them.

Not here: drawing (page).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from marketdata_pipeline.domain.actions import Adjust
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.reading.data import DataManager, Overview
from marketdata_pipeline.reading.page import Chart, Facts, Row, write_page

_TITLE = "Market data"


def write_home_page(
    target: Path,
    data: DataManager,
    overviews: Sequence[Overview],
    requests: Mapping[str, int],
    clock: Clock,
) -> None:
    """Write one self-contained page with the candles of these series.

    Args:
        target: the file; replaced whole or not at all.
        data: the home's reader.
        overviews: the series, in the order of the page.
        requests: HTTP requests sent for each, by the series' spelling.
        clock: the home's.

    Raises:
        StoreError: a series is unreadable, or the file cannot be written.
    """
    origins = {one.summary.origin for one in overviews if one.summary.origin}
    facts = Facts(
        title=_TITLE,
        origins=tuple(sorted(origins)),
        market_at=clock.market_now(),
        generated_at=clock.wall_now(),
        rows=tuple(_row(one, requests) for one in overviews),
    )
    write_page(target, [_chart(data, one) for one in overviews if one.summary.rows], facts)


def _row(one: Overview, requests: Mapping[str, int]) -> Row:
    stored = one.summary
    return Row(
        series=stored.series,
        bars=stored.rows,
        first=stored.first,
        last=stored.last,
        coverage=one.completeness,
        provider=stored.provider,
        requests=requests.get(str(stored.series), 0),
        origin=stored.origin,
    )


def _chart(data: DataManager, one: Overview) -> Chart:
    series = one.summary.series
    bars = data.bars(series, adjust=Adjust.NONE)
    return Chart(series, bars, data.actions(series.instrument), bars.attrs["currency"] or "")
