"""`backfill`, `refresh`: updates, run by Dagster so that its UI knows of them.

Not here: the update (ingest.update).
"""

from collections.abc import Sequence
from typing import Annotated

import typer

from marketdata_pipeline.cli.child import Run, update_series
from marketdata_pipeline.cli.progress import followed, refuse_failure
from marketdata_pipeline.cli.state import State, console, state_of
from marketdata_pipeline.cli.tracking import Instruments, parse_timeframes
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, parse_instant
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.track import series_of
from marketdata_pipeline.orchestrator import register_instruments
from marketdata_pipeline.store.tracking import Tracking


def backfill(
    context: typer.Context,
    instruments: Instruments,
    timeframes: Annotated[
        str, typer.Option("--timeframes", "-t", help="Comma-separated; default: those tracked.")
    ] = "",
    start: Annotated[str, typer.Option(help="First date wanted, e.g. 2020-01-31.")] = "",
    end: Annotated[str, typer.Option(help="The date before which to end.")] = "",
) -> None:
    """Fetch what is missing of these instruments; what is covered is not asked for again."""
    state = state_of(context)
    asked = [Instrument.parse(one) for one in instruments]
    within = _within(start, end)
    frames = parse_timeframes(timeframes)
    with state.opened() as home:
        tracked = {
            one.instrument: one.timeframes for one in Tracking(home.engine, home.clock).all()
        }
        usual = tuple(state.settings.timeframes)
        series = [
            Series(one, frame) for one in asked for frame in frames or tracked.get(one, usual)
        ]
    run = _updated(state, series, within)
    found = {Series.parse(one.series).instrument for one in run.done if one.stored}
    with state.opened() as home:
        register_instruments(home.dagster, [one for one in asked if one in found])
    refuse_failure(run)


def refresh(
    context: typer.Context,
    instruments: Annotated[
        list[str] | None, typer.Argument(metavar="[INSTRUMENT]...", help="Default: all tracked.")
    ] = None,
) -> None:
    """Bring tracked series up to the newest closed bar."""
    state = state_of(context)
    asked = {Instrument.parse(one) for one in instruments or []}
    with state.opened() as home:
        tracked = Tracking(home.engine, home.clock).all()
    series = [one for one in series_of(tracked) if not asked or one.instrument in asked]
    unknown = asked - {one.instrument for one in series}
    if unknown:
        raise BadInput(f"not tracked: {', '.join(map(str, sorted(unknown)))}; see marketdata track")
    if not series:
        raise BadInput("nothing is tracked yet; run: marketdata track AAPL")
    refuse_failure(_updated(state, series, None))


def _within(start: str, end: str) -> TimeRange | None:
    if not start and not end:
        return None
    if not start:
        raise BadInput("--end needs --start; give both, or neither")
    return TimeRange(parse_instant(start), parse_instant(end or "2200-01-01"))


def _updated(state: State, series: Sequence[Series], within: TimeRange | None) -> Run:
    with state.opened() as home:
        run = followed(
            lambda follow: update_series(home, series, within, follow, debug=state.debug),
            total=len(series),
        )
    new, requests = sum(one.new for one in run.done), sum(one.requests for one in run.done)
    console().print(f"{new} new bars of {len(run.done)} series, {requests} requests")
    return run
