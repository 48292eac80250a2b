"""`track`, `untrack`: which series are kept.

Not here: the decision (ingest.track).
"""

from typing import Annotated

import typer

from marketdata_pipeline.cli.state import console, state_of
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import parse_instant
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest import track as use_case
from marketdata_pipeline.orchestrator import register_instruments
from marketdata_pipeline.store.tracking import Tracking

Instruments = Annotated[
    list[str], typer.Argument(metavar="INSTRUMENT...", help="Yahoo's spelling: AAPL AZN.L BTC-USD")
]


def parse_timeframes(text: str) -> list[Timeframe]:
    """Timeframes of a comma-separated list, in the order of the grid.

    Raises:
        BadInput: one of them is no timeframe.
    """
    asked = {Timeframe.parse(one) for one in text.split(",") if one.strip()}
    return [one for one in Timeframe if one in asked]


def track(
    context: typer.Context,
    instruments: Instruments,
    timeframes: Annotated[
        str, typer.Option("--timeframes", "-t", help="Comma-separated, e.g. 1d,1wk.")
    ] = "",
    since: Annotated[str, typer.Option(help="Keep from this date on, e.g. 2020-01-31.")] = "",
) -> None:
    """Keep instruments' series from now on; their partitions appear in Dagster."""
    state = state_of(context)
    asked = [Instrument.parse(one) for one in instruments]
    frames = parse_timeframes(timeframes) if timeframes else list(state.settings.timeframes)
    if not frames:
        raise BadInput("name at least one timeframe, e.g. --timeframes 1d,1wk")
    start = parse_instant(since) if since else None
    with state.opened() as home:
        tracking = Tracking(home.engine, home.clock)
        # Dagster first: a key without bars does no harm, a tracked series without a key would.
        use_case.refuse_future(start, home.clock)
        register_instruments(home.dagster, asked)
        kept = use_case.track(tracking, home.clock, asked, timeframes=frames, since=start)
    for one in kept:
        back = f" since {one.since:%Y-%m-%d}" if one.since else ""
        console().print(f"{one.instrument}: {', '.join(map(str, one.timeframes))}{back}")
    console().print(f"next: marketdata backfill {' '.join(map(str, asked))}")


def untrack(context: typer.Context, instruments: Instruments) -> None:
    """Stop keeping instruments up to date; what is stored stays."""
    asked = [Instrument.parse(one) for one in instruments]
    with state_of(context).opened() as home:
        tracking = Tracking(home.engine, home.clock)
        kept = {one.instrument for one in tracking.all()}
        unknown = [str(one) for one in asked if one not in kept]
        if unknown:
            raise BadInput(f"not tracked: {', '.join(unknown)}; see marketdata status")
        held = [str(one) for one in asked if not tracking.remove(one)]
    console().print(f"{len(asked) - len(held)} no longer tracked; their bars stay")
    if held:
        console().print(f"still tracked, since a portfolio holds it: {', '.join(held)}")
