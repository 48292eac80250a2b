"""One command's updates: runs of 100 instruments each, one after the other, and their sum.

Not here: which series (running, choosing), one run (child) and how it looks (progress).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from marketdata_pipeline.cli.child import Update, update_series
from marketdata_pipeline.cli.progress import followed
from marketdata_pipeline.cli.run import Run
from marketdata_pipeline.cli.state import State, console
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.ingest.runs import MASS, batches


def update_all(state: State, series: Sequence[Series], within: TimeRange | None) -> list[Run]:
    """Have Dagster update the series; prints progress and what it all came to.

    A run that breaks off is the last one; an interrupt ends the one under way and begins no other.
    """
    parts = list(batches(series))
    runs: list[Run] = []
    tags = MASS if len(parts) > 1 else {}
    with state.opened() as home, _summed_up(runs, len(parts)):
        for number, part in enumerate(parts, start=1):
            update = Update(part, within, tags, further=number > 1)
            runs.append(update.run)
            _show(state, home, update, f"run {number}/{len(parts)}" if len(parts) > 1 else "")
            if update.run.broke_off:
                break
    return runs


def _show(state: State, home: Home, update: Update, title: str) -> None:
    if title:
        console().print(f"{title}: {len(update.series)} series")
    followed(
        lambda follow: update_series(home, update, follow, debug=state.debug),
        total=len(update.series),
        title=title,
    )


@contextmanager
def _summed_up(runs: Sequence[Run], total: int) -> Iterator[None]:
    try:
        yield
    finally:
        new, requests = sum(one.new for one in runs), sum(one.requests for one in runs)
        done = sum(one.done for one in runs)
        whole = sum(not one.broke_off for one in runs)
        of = f"; {whole} of {total} runs came to their end" if total > 1 else ""
        console().print(f"{new} new bars of {done} series, {requests} requests{of}")
