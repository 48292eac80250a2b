"""Shows a run while it works, and what it came to.

Not here: starting it (child).
"""

from collections.abc import Callable

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from marketdata_pipeline.cli.child import Done, Run
from marketdata_pipeline.cli.state import console
from marketdata_pipeline.errors import MarketDataError


def followed(start: Callable[[Callable[[Done], None]], Run], *, total: int) -> Run:
    """Start a run and show its progress: a bar on a terminal, a line a series elsewhere."""
    out = console()
    if not out.is_terminal:
        return start(lambda one: out.print(_line(one)))
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=out) as progress:
        task = progress.add_task("starting Dagster", total=total)

        def show(one: Done) -> None:
            progress.update(task, completed=one.done, description=one.series)
            progress.console.print(_line(one))

        return start(show)


def _line(one: Done) -> str:
    width = len(str(one.total))
    told = f"{one.new:>6} new bars, {one.stored:>6} stored, {one.requests} requests"
    if one.error is not None:
        told = f"failed: {one.error}"
    return f"  {one.done:>{width}}/{one.total}  {one.series:<14} {told}"


def refuse_failure(run: Run) -> None:
    """Raise one sentence that says what failed and where its log is.

    Raises:
        MarketDataError: the run did not succeed.
    """
    if run.succeeded and not run.failed:
        return
    if run.failed:
        reasons = list(dict.fromkeys(str(one.error) for one in run.failed))
        more = f" (and {len(reasons) - 1} other reasons)" if len(reasons) > 1 else ""
        told = f"{len(run.failed)} of {len(run.done)} series failed: {reasons[0]}{more}"
    else:
        told = run.reason or "the run failed"
    raise MarketDataError(f"{told}; its log is {run.log}")
