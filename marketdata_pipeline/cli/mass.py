"""One command's updates: runs of 100 instruments each, one after the other, and their sum.

Not here: which series (running, choosing), one run (child) and how it looks (progress).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from marketdata_pipeline.cli.child import Update, update_series
from marketdata_pipeline.cli.progress import followed
from marketdata_pipeline.cli.run import Run
from marketdata_pipeline.cli.state import State, console
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.ingest.runs import MASS, batches


@dataclass(slots=True)
class Mass:
    """What runs are made of, one after the other.

    Attributes:
        waiting: series that no run has taken yet, or that one left; those first.
        runs: those that were begun.
    """

    waiting: list[Series]
    runs: list[Run] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Runs that were begun or are still to come, as far as one can tell now."""
        return len(self.runs) + len(list(batches(self.waiting)))

    def next_part(self) -> list[Series]:
        """The series of the next run; they wait no longer."""
        part = next(batches(self.waiting))
        taken = set(part)
        self.waiting = [one for one in self.waiting if one not in taken]
        return part

    def put_back(self, part: Sequence[Series], run: Run) -> None:
        """What the run left of its part is first in the next one."""
        self.waiting[:0] = [one for one in part if str(one) in run.left]


def update_all(state: State, series: Sequence[Series], within: TimeRange | None) -> list[Run]:
    """Have Dagster update the series; prints progress and what it all came to.

    What a run ended before goes into the next one. A run that breaks off is the last one, and so
    is one that left series and brought none up to date; an interrupt ends the one under way and
    begins no other.
    """
    mass = Mass(list(series))
    tags = MASS if mass.total > 1 else {}
    with state.opened() as home, _summed_up(mass):
        while mass.waiting:
            of, part = mass.total, mass.next_part()
            update = Update(part, within, tags, further=bool(mass.runs))
            mass.runs.append(update.run)
            _show(state, home, update, f"run {len(mass.runs)}/{of}" if of > 1 else "")
            mass.put_back(part, update.run)
            if update.run.broke_off or update.run.brought_nothing:
                break
    return mass.runs


def _show(state: State, home: Home, update: Update, title: str) -> None:
    if title:
        console().print(f"{title}: {len(update.series)} series")
    followed(
        lambda follow: update_series(home, update, follow, debug=state.debug),
        total=len(update.series),
        title=title,
    )


@contextmanager
def _summed_up(mass: Mass) -> Iterator[None]:
    try:
        yield
    finally:
        runs = mass.runs
        new, requests = sum(one.new for one in runs), sum(one.requests for one in runs)
        done = sum(one.done for one in runs)
        whole = sum(not one.broke_off for one in runs)
        of = f"; {whole} of {mass.total} runs came to their end" if mass.total > 1 else ""
        console().print(f"{new} new bars of {done} series, {requests} requests{of}")
