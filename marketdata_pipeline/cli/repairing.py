"""`repair`: asking now for what is missing, whenever it is due; or saying what that would send.

Not here: what is missing (gaps), and how the updates follow each other (mass).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.table import Table

from marketdata_pipeline.cli.gaps import SHOWN, Frames, Names, parsed
from marketdata_pipeline.cli.mass import update_all
from marketdata_pipeline.cli.progress import refuse_failure
from marketdata_pipeline.cli.running import within_dates
from marketdata_pipeline.cli.state import State, about, console, print_json, state_of
from marketdata_pipeline.cli.tracking import parse_timeframes
from marketdata_pipeline.config.credentials import credentials_for
from marketdata_pipeline.database.home import Home, Mode
from marketdata_pipeline.domain.gap import Gap, GapState
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, intersect
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.repair import (
    Mended,
    Planned,
    Scope,
    Served,
    by_provider,
    make_due,
    mended,
    planned,
)
from marketdata_pipeline.providers.registry import PROVIDERS
from marketdata_pipeline.reading.gaps import kept_series, read_gaps
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog

_PARTS = 3
"""Missing ranges of a request that are named."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was typed: which instruments (empty: all tracked), timeframes and labels."""

    instruments: frozenset[Instrument]
    timeframes: tuple[Timeframe, ...]
    within: TimeRange | None


def repair(
    context: typer.Context,
    instruments: Names = None,
    *,
    timeframe: Frames = "",
    start: Annotated[str, typer.Option("--from", help="First date, e.g. 2020-01-31.")] = "",
    end: Annotated[str, typer.Option("--to", help="The date before which to end.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be asked; send and write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run: as JSON.")] = False,
) -> None:
    """Ask now for what is missing; of named instruments also for what counts as without trade."""
    if as_json and not dry_run:
        raise BadInput("--json needs --dry-run; give that too")
    if end and not start:
        raise BadInput("--to needs --from; give that too")
    state = state_of(context)
    asked = _Asked(
        frozenset(parsed(instruments)),
        tuple(parse_timeframes(timeframe)),
        within_dates(start, end),
    )
    if dry_run:
        _say(state, asked, as_json=as_json)
        return
    with state.opened() as home:
        wanted, _ = _wanted(home, asked)
        make_due(home.engine, home.clock, wanted)
    if not wanted:
        console().print("no hole to ask for; see marketdata gaps")
        return
    refuse_failure(*update_all(state, [one.series for one in wanted], asked.within))


def _wanted(home: Home, asked: _Asked) -> tuple[list[Mended], Scope]:
    """What there is to repair, and what the update is about."""
    kept = kept_series(home, asked.instruments, asked.timeframes)
    coverage = BarStore(home.engine, home.bars, home.clock).coverage(kept)
    now, named = home.clock.market_now(), bool(asked.instruments)
    found = mended(coverage, asked.within, now, all_kinds=named)
    facts = Catalog(home.engine, home.clock).facts(one.series.instrument for one in found)
    return found, Scope(asked.within, kept, {one: it.first_trade for one, it in facts.items()})


def _say(state: State, asked: _Asked, *, as_json: bool) -> None:
    with state.opened() as home:
        wanted, scope = _wanted(home, asked)
        asks = planned(wanted, _served(state, home), scope, home.clock.market_now())
        theirs = {one.series.instrument for one in wanted}
        gaps = read_gaps(home, instruments=theirs).gaps if theirs else ()
        told = about(home)
    if as_json:
        lines = [{**_plan_json(one), "why": _why(one, gaps)} for one in asks]
        print_json({**told, "requests_by_provider": by_provider(asks), "requests": lines})
        return
    _print(asks, gaps)


def _served(state: State, home: Home) -> Served:
    """What the providers serve that can be asked; none is connected."""
    replay = home.mode is Mode.REPLAY
    return {
        name: kind.timeframes
        for name, kind in PROVIDERS.items()
        if not kind.keys or credentials_for(kind.keys, state.settings.environment, simulated=replay)
    }


def _print(asks: Sequence[Planned], gaps: Sequence[Gap]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("provider", "series", "asked", "missing", "why"):
        table.add_column(name)
    for one in asks[:SHOWN]:
        more = ", ..." if len(one.parts) > _PARTS else ""
        missing = ", ".join(map(str, one.parts[:_PARTS])) + more
        table.add_row(one.provider, str(one.series), str(one.window), missing, _why(one, gaps))
    if asks:
        console().print(table)
    if len(asks) > SHOWN:
        console().print(f"and {len(asks) - SHOWN:,} more; all of them: --json")
    counts: Mapping[str, int] = by_provider(asks)
    sums = ", ".join(f"{count:,} of {name}" for name, count in counts.items()) or "none"
    console().print(f"requests: {sums}; nothing was sent or written")


def _plan_json(one: Planned) -> dict[str, Any]:
    return {
        "provider": one.provider,
        "series": one.series,
        "start": one.window.start,
        "end": one.window.end,
        "missing": [{"start": part.start, "end": part.end} for part in one.parts],
    }


def _why(one: Planned, gaps: Sequence[Gap]) -> str:
    """The states of the gaps that a request is about."""
    ours = [gap for gap in gaps if gap.series == one.series]
    states = {gap.state for gap in ours if intersect([gap.within], one.parts)}
    return ", ".join(str(state) for state in GapState if state in states) or "newer bars"
