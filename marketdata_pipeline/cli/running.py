"""`backfill`, `refresh`: updates, run by Dagster so that its UI knows of them.

Not here: the update (ingest.update), and how its runs follow each other (mass).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from marketdata_pipeline.cli.choosing import Choice
from marketdata_pipeline.cli.mass import update_all
from marketdata_pipeline.cli.progress import refuse_failure
from marketdata_pipeline.cli.state import State, state_of
from marketdata_pipeline.cli.tracking import parse_timeframes
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.track import refuse_future, series_of
from marketdata_pipeline.orchestrator import register_instruments
from marketdata_pipeline.reading.data import label_range
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.tracking import Tracking


def backfill(
    context: typer.Context,
    instruments: Annotated[
        list[str] | None,
        typer.Argument(metavar="INSTRUMENT", help="Yahoo's spelling: AAPL AZN.L BTC-USD"),
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that is tracked.")] = False,
    asset_class: Annotated[
        str, typer.Option("--class", help="What is tracked of a class: equity, etf, crypto, ...")
    ] = "",
    file: Annotated[
        Path | None, typer.Option(help="A file with one instrument a line, # for comments.")
    ] = None,
    timeframes: Annotated[
        str, typer.Option("--timeframes", "-t", help="Comma-separated; default: those tracked.")
    ] = "",
    start: Annotated[str, typer.Option(help="First date wanted, e.g. 2020-01-31.")] = "",
    end: Annotated[str, typer.Option(help="The date before which to end.")] = "",
) -> None:
    """Fetch what is missing of these instruments; what is covered is not asked for again."""
    state = state_of(context)
    choice = Choice.parse(instruments or [], asset_class, file, everything=everything)
    within = within_dates(start, end)
    frames = parse_timeframes(timeframes)
    with state.opened() as home:
        tracked = {
            one.instrument: one.timeframes for one in Tracking(home.engine, home.clock).all()
        }
        classes = Catalog(home.engine, home.clock).classes()
        refuse_future(None if within is None else within.start, home.clock)
    usual = tuple(state.settings.timeframes)
    series = [
        Series(one, frame)
        for one in choice.of(tracked, classes)
        for frame in frames or tracked.get(one, usual)
    ]
    with _registered(state, series):
        runs = update_all(state, series, within)
    refuse_failure(*runs)


def refresh(
    context: typer.Context,
    instruments: Annotated[
        list[str] | None, typer.Argument(metavar="INSTRUMENT", help="Default: all tracked.")
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
    refuse_failure(*update_all(state, series, None))


def within_dates(start: str, end: str) -> TimeRange | None:
    """The range of two dates as they were typed; None where none was.

    Raises:
        BadInput: they are no dates, or only an end was given.
    """
    if end and not start:
        raise BadInput("--end needs --start; give that too")
    return label_range(start or None, end or None)


@contextmanager
def _registered(state: State, series: Sequence[Series]) -> Iterator[None]:
    """Afterwards Dagster knows the instruments that have bars, if only since an interrupted run."""
    try:
        yield
    finally:
        with state.opened() as home:
            stored = Catalog(home.engine, home.clock).summaries(series)
            found = dict.fromkeys(one.series.instrument for one in stored if one.rows)
            register_instruments(home.dagster, found)
