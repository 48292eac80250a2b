"""Shows a run while it works, and what it came to.

Not here: starting it (child), and several runs (mass).
"""

from collections.abc import Callable, Sequence

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from marketdata_pipeline.cli.child import Follow
from marketdata_pipeline.cli.run import Run
from marketdata_pipeline.cli.state import console
from marketdata_pipeline.errors import MarketDataError
from marketdata_pipeline.ingest.progress import SMALL, Leftover, Progress, SeriesDone

_BAR = 20


def followed(start: Callable[[Follow], Run], *, total: int, title: str = "") -> Run:
    """Start a run and show its progress: a bar on a terminal, lines elsewhere.

    ``title`` says which of several runs it is. A run of at most 20 series has a line for each; of
    a larger one those that failed have, above the bar.
    """
    out = console()
    if not out.is_terminal:
        return start(lambda one: out.print(line_of(one)))
    columns = (
        TextColumn(f"{title} {{task.description}}".strip()),
        BarColumn(bar_width=_BAR),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=out) as bar:
        task = bar.add_task("starting Dagster", total=total)

        def show(one: SeriesDone | Progress | Leftover) -> None:
            if isinstance(one, Progress):
                bar.update(task, completed=one.done, description=_short(one))
                return
            if isinstance(one, SeriesDone):
                told = one.series if total <= SMALL else None
                bar.update(task, completed=one.done, description=told)
            bar.console.print(line_of(one))

        return start(show)


def line_of(one: SeriesDone | Progress | Leftover) -> str:
    """How far a run is, or what it left, in one line."""
    if isinstance(one, Leftover):
        return f"  {len(one.series)} of {one.total} series not done: {one.why}"
    place = f"  {one.done:>{len(str(one.total))}}/{one.total}  "
    if isinstance(one, Progress):
        return f"{place}{one.new:,} new bars, {one.requests:,} requests, {_rate(one)}"
    if one.error is not None:
        return f"{place}{one.series:<14} failed: {one.error}"
    told = f"{one.new:>6} new bars, {one.stored:>6} stored, {one.requests} requests"
    return f"{place}{one.series:<14} {told}"


def _rate(one: Progress) -> str:
    told = [f"{one.failed:,} failed"]
    if one.waits:
        told.append(f"waited {one.waited:,.0f} s for {one.waits:,} turns")
    if one.left is not None:
        pace = f"{one.series_a_minute:,.0f} series and {one.requests_a_minute:,.0f} requests"
        told += [f"{pace} a minute", f"{one.left} left"]
    return ", ".join(told)


def _short(one: Progress) -> str:
    """What fits beside the bar in 80 columns."""
    told = f"{one.failed:,} failed"
    left = "" if one.left is None else f", {one.series_a_minute:,.0f} a minute, {one.left} left"
    return told + left


def refuse_failure(*runs: Run) -> None:
    """Raise one sentence that says what failed and where its log is.

    Raises:
        MarketDataError: a run broke off, a series is not up to date, or some are left over since
            the last run brought nothing.
    """
    for number, run in enumerate(runs, start=1):
        if run.broke_off:
            which = f"run {number}" if len(runs) > 1 else "the run"
            raise MarketDataError(f"{_broken(run, which)}; its log is {run.log}")
    left = _left(runs)
    failed = [one for run in runs for one in run.failed]
    if failed:
        reasons = list(dict.fromkeys(str(one.error) for one in failed))
        more = f" (and {len(reasons) - 1} other reasons)" if len(reasons) > 1 else ""
        told = f"{len(failed)} of {_done(runs)} series failed: {reasons[0]}{more}"
        raise MarketDataError(f"{told}{f'; {left}' if left else ''}; its log is {runs[-1].log}")
    if left:
        raise MarketDataError(f"{left}; its log is {runs[-1].log}")
    wrong = [run for run in runs if not run.succeeded]
    if wrong:
        raise MarketDataError(f"{wrong[0].reason or 'the run failed'}; its log is {wrong[0].log}")


def _broken(run: Run, which: str) -> str:
    if not run.done:
        return run.reason or f"{which} failed"
    after = f"{which} broke off after {run.done} of {run.total} series"
    return f"{after}: {run.reason}" if run.reason else after


def _left(runs: Sequence[Run]) -> str:
    """What the last run left, so that nobody took it; empty: nothing."""
    last = runs[-1] if runs else Run()
    if last.leftover is None:
        return ""
    vain = ", the last run brought nothing" if last.brought_nothing else ""
    return f"{len(last.left)} series are not done{vain}: {last.leftover.why}"


def _done(runs: Sequence[Run]) -> int:
    return sum(run.done for run in runs)
