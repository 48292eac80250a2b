"""`worker`, `daemon`: doing what the queue holds without Dagster, and looking for news.

Not here: the work itself (ingest.worker), and looking at the queue (queue).
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated

import typer
from sqlalchemy import Engine

from marketdata_pipeline.alerting import alerting_of
from marketdata_pipeline.assembly import Pipeline, assemble
from marketdata_pipeline.cli.alerting import alerting_beside, look_once
from marketdata_pipeline.cli.progress import line_of
from marketdata_pipeline.cli.state import about_line, console, state_of
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.tiers import Tier
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.ingest.worker import Done, Worker
from marketdata_pipeline.logs import get_logger
from marketdata_pipeline.store.closures import heed

_log = get_logger(__name__)
_Once = Annotated[bool, typer.Option("--once", help="End when nothing is due any more.")]


def worker(context: typer.Context, *, once: _Once = False) -> None:
    """Do what the queue holds until Ctrl-C, without Dagster; several may share the work."""
    _run(context, None, once=once)


def daemon(
    context: typer.Context,
    *,
    interval: Annotated[
        float, typer.Option(min=0.1, help="Minutes from one look for news to the next.")
    ] = 15.0,
    once: _Once = False,
) -> None:
    """The same, refresh what is tracked as its sessions go, tidy up daily; one is enough."""
    _run(context, timedelta(minutes=interval), once=once)


def _run(context: typer.Context, every: timedelta | None, *, once: bool) -> None:
    state, out = state_of(context), console()
    with state.opened() as home:
        opened = assemble(state.settings, home, turn_wait=state.settings.queue_turn_wait)
        made = Worker(
            events=opened.events,
            queue=opened.queue,
            updater=opened.updater,
            waits=opened.waits,
            tell=lambda one: out.print(line_of(one)),
            run_time=opened.run_time,
            failure_share=opened.failure_share,
            look=None if every is None else _look(opened),
            every=every or timedelta(0),
            tend=None if every is None else partial(_tended, opened),
        )
        out.print(f"{about_line(home)}; {'doing what is due' if once else 'Ctrl-C ends this'}")
        alerting = alerting_of(state.settings, home)
        if once:
            _until_nothing_is_due(made)
            look_once(alerting)
            return
        with alerting_beside(alerting):
            _for_ever(made, home.engine)


def _look(opened: Pipeline) -> Callable[[], Sequence[Series]]:
    def look() -> Sequence[Series]:
        opened.gaps.look()  # what is due goes into the queue
        looks = (opened.refreshes.look(one, opened.neglected.queued) for one in Tier)
        return [series for look in looks for series in look.series]

    return look


def _tended(opened: Pipeline) -> None:
    """What the weekly cleanup of Dagster's daemon does."""
    opened.events.end_upkeep()  # it reckons anew what is held
    opened.queue.prune(opened.queue_kept)
    opened.upkeep.prune_requests()


def _until_nothing_is_due(made: Worker) -> None:
    whole = Done()
    while (done := made.step()) is not None:
        whole = whole.and_then(done)
    _sum_up(whole)


def _for_ever(made: Worker, engine: Engine) -> None:
    while True:
        try:
            heed(engine)  # a day may have been closed since
            done = made.step()
            if done is None:
                made.wait()
            else:
                _sum_up(done)
        except StoreError as error:  # busy for once, or gone: it is looked at again
            _log.warning("looking again", error=str(error))
            made.pause()


def _sum_up(done: Done) -> None:
    failed = f", {done.failed} failed" if done.failed else ""
    console().print(
        f"{done.new:,} new bars of {done.series:,} series, {done.requests:,} requests{failed}"
    )
