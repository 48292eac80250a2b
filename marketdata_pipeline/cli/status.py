"""`status`: how the home stands, as a list, in brief, or watched.

Not here: reading it (reading.status), drawing it (screen).
"""

from dataclasses import asdict, replace
from typing import Annotated, Any

import typer
from rich.console import ConsoleDimensions, RenderableType

from marketdata_pipeline.cli.reading import overview_table, spelled
from marketdata_pipeline.cli.screen import Picture, coverage_table, screen
from marketdata_pipeline.cli.state import State, about, about_line, console, print_json, state_of
from marketdata_pipeline.cli.watching import HINT, Every, watched
from marketdata_pipeline.cli.words import (
    alerts_line,
    load_line,
    pace_line,
    quarantine_line,
    queue_line,
    rate_line,
    turns_line,
)
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.errors import BadInput, MarketDataError
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.orchestrator import Runs, latest_runs
from marketdata_pipeline.reading.data import Overview
from marketdata_pipeline.reading.opened import data_of
from marketdata_pipeline.reading.status import Status, read_status
from marketdata_pipeline.store.alerts import Alerts

MOST_SERIES = 200
"""As many are listed one a line; more are summed up by class and timeframe."""
_RUNS = 5


def status(
    context: typer.Context,
    instruments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[INSTRUMENT]...", help="Only these; default: everything."),
    ] = None,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Runs, rates, turns, cadence; until Ctrl-C.")
    ] = False,
    every: Every = 2.0,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """What is kept: series, bars, first and last, coverage, source, errors."""
    state, asked = state_of(context), [Instrument.parse(one) for one in instruments or []]
    if watch and asked:
        raise BadInput("--watch shows the whole home; leave out the instruments or --watch")
    with state.opened() as home:
        if watch:
            _watch(state, home, every, as_json=as_json)
        elif asked:
            _show_some(home, asked, as_json=as_json)
        else:
            _show_all(state, home, as_json=as_json)


def _watch(state: State, home: Home, every: float, *, as_json: bool) -> None:
    """Draw the home again and again on a terminal; once anywhere else."""
    if as_json:
        print_json(_picture_json(home, _look(state, home)))
        return

    def look(size: ConsoleDimensions | None) -> RenderableType:
        picture = _look(state, home)
        return screen(picture if size is None else replace(picture, hint=HINT), size)

    watched(look, home.clock, every)


def _look(state: State, home: Home) -> Picture:
    turns = Governor(home.engine, home.clock, state.settings.tuning).turns()
    found = read_status(
        home, turns, delay=state.settings.refresh_delay, wishes=state.settings.wishes
    )
    line = about_line(home)
    try:
        return Picture(line, found, latest_runs(home.dagster, at_most=_RUNS))
    except MarketDataError as error:  # the rest is worth seeing without Dagster too
        return Picture(line, found, Runs(), trouble=str(error))


def _show_some(home: Home, asked: list[Instrument], *, as_json: bool) -> None:
    overviews = data_of(home).overviews_of(asked)
    if as_json:
        print_json({**about(home), "series": [_series_json(one) for one in overviews]})
        return
    console().print(about_line(home))
    _print_series(overviews)


def _show_all(state: State, home: Home, *, as_json: bool) -> None:
    turns = Governor(home.engine, home.clock, state.settings.tuning).turns()
    found = read_status(home, turns, wishes=state.settings.wishes)
    wrong = Alerts(home.engine, home.clock).counts()
    if as_json:
        series = [_series_json(one) for one in data_of(home).overviews()]
        alerts = {str(severity): number for severity, number in wrong.items()}
        print_json({**_status_json(home, found), "alerts": alerts, "series": series})
        return
    console().print(about_line(home))
    out = console()
    if wrong:
        out.print(alerts_line(wrong))
    if not found.series:
        out.print("\n".join(_queue(found)) or "nothing is tracked yet; run: marketdata track AAPL")
        return
    out.print("\n".join(_brief(found)))
    if found.series <= MOST_SERIES:
        _print_series(data_of(home).overviews())
        return
    out.print(coverage_table(found.coverage))
    out.print(
        f"{found.series:,} series; single ones: marketdata status AAPL; "
        "runs and cadence: marketdata status --watch"
    )


def _brief(found: Status) -> list[str]:
    return [
        *(f"{one.provider}: {turns_line(one)}" for one in found.turns),
        f"last minute: {rate_line(found.minute)}",
        f"last hour: {rate_line(found.hour)}",
        *(pace_line(one) for one in found.paces),
        load_line(found.load),
        *_queue(found),
    ]


def _queue(found: Status) -> list[str]:
    """A line each where there is something to say."""
    lines = []
    if not found.queue.at_rest:
        lines.append(f"queue: {queue_line(found.queue, found.wall_now)}")
    if found.quarantined:
        lines.append(f"quarantine: {quarantine_line(found.quarantined)}")
    return lines


def _print_series(overviews: list[Overview]) -> None:
    console().print(overview_table(overviews))
    for one in overviews:
        if one.summary.error_message:
            console().print(f"{one.summary.series}: {one.summary.error_message}")


def _picture_json(home: Home, picture: Picture) -> dict[str, Any]:
    runs = {**asdict(picture.runs), "trouble": picture.trouble}
    return {**_status_json(home, picture.status), "runs": runs}


def _status_json(home: Home, found: Status) -> dict[str, Any]:
    return {
        **asdict(found),
        **about(home),
        "load": {**asdict(found.load), "says": load_line(found.load)},
    }


def _series_json(one: Overview) -> dict[str, Any]:
    stored = one.summary
    return {
        "series": str(stored.series),
        "asset_class": str(one.asset_class),
        "bars": stored.rows,
        "first": spelled(stored.first, stored.series),
        "last": spelled(stored.last, stored.series),
        "completeness": one.completeness,
        "provider": stored.provider,
        "origin": stored.origin,
        "requests": stored.requests,
        "error": stored.error_message,
    }
