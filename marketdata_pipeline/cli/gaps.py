"""`gaps`: what is missing, since when and why, and when it is asked for again.

Not here: reading it (reading.gaps), and asking for it now (repairing).
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from marketdata_pipeline.cli.state import about, console, print_json, state_of
from marketdata_pipeline.cli.tracking import parse_timeframes
from marketdata_pipeline.cli.words import when
from marketdata_pipeline.domain.gap import Gap, GapState
from marketdata_pipeline.domain.incident import Incident, IncidentStatus
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.reading.gaps import GapReport, read_gaps

SHOWN = 50
"""As many lines of a table are printed."""
Names = Annotated[
    list[str] | None, typer.Argument(metavar="[INSTRUMENT]...", help="Default: all tracked.")
]
Frames = Annotated[
    str, typer.Option("--timeframe", "-t", help="Comma-separated; default: those tracked.")
]
_Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


def gaps(
    context: typer.Context,
    instruments: Names = None,
    *,
    timeframe: Frames = "",
    state: Annotated[
        str, typer.Option(help="Comma-separated: new, retryable, exhausted, outage, ...")
    ] = "",
    as_json: _Json = False,
) -> None:
    """What is missing, since when, why, and when it is asked for again; incidents on top."""
    asked, states = parsed(instruments), _states(state)
    frames = parse_timeframes(timeframe)
    with state_of(context).opened() as home:
        report = read_gaps(home, instruments=asked, timeframes=frames, states=states)
        told = about(home)
    if as_json:
        print_json({**told, **_report_json(report)})
        return
    console().print(_page(report, everything=bool(states)))


def parsed(instruments: Sequence[str] | None) -> set[Instrument]:
    """The instruments that were named."""
    return {Instrument.parse(one) for one in instruments or []}


def _states(text: str) -> list[GapState]:
    known = {str(one): one for one in GapState}
    names = [one.strip().lower() for one in text.split(",") if one.strip()]
    unknown = next((one for one in names if one not in known), None)
    if unknown is not None:
        raise BadInput(f"{unknown!r} is no state of a gap; give some of {', '.join(known)}")
    return [known[one] for one in names]


def _page(report: GapReport, *, everything: bool) -> RenderableType:
    """Incidents, a line a state, then the gaps that count as absent, or those asked for."""
    parts: list[RenderableType] = [Text(_incident_line(one)) for one in report.incidents]
    if not report.gaps:
        parts.append(Text(f"no gap in {report.looked_at:,} series"))
        return Group(*parts)
    summary = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("state", "series", "gaps", "bars"):
        summary.add_column(name, justify="left" if name == "state" else "right")
    for one in report.states:
        summary.add_row(str(one.state), f"{one.series:,}", f"{one.gaps:,}", f"{one.bars:,}")
    listed = [one for one in report.gaps if everything or one.state.absent]
    parts += [summary, _listed(listed[:SHOWN], report.at)] if listed else [summary]
    if len(listed) > SHOWN:
        parts.append(Text(f"and {len(listed) - SHOWN:,} more; all of them: --json"))
    return Group(*parts)


def _listed(gaps_: Sequence[Gap], now: datetime) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("series", "missing", "bars", "state", "since", "tries", "next try", "deadline"):
        table.add_column(name, justify="right" if name in {"bars", "tries"} else "left")
    for one in gaps_:
        table.add_row(
            str(one.series),
            str(one.within),
            f"{one.bars:,}",
            str(one.state),
            _instant(one.since),
            str(one.tries),
            "-" if one.next_try is None else when(one.next_try, now),
            "-" if one.deadline is None or not one.state.retried else _instant(one.deadline),
        )
    return table


def _instant(at: datetime | None) -> str:
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M}"


def _incident_line(one: Incident) -> str:
    ended = "" if one.outcome is None else f", {one.outcome}"
    probe = "" if one.probe_at is None else f"; next asked {_instant(one.probe_at)} UTC"
    open_ = probe if one.status is IncidentStatus.OPEN else ""
    return f"incident {one.id}  {one.kind}, {one.status}{ended}: {one.detail}{open_}"


def _report_json(report: GapReport) -> dict[str, Any]:
    return {
        "series_looked_at": report.looked_at,
        "incidents": [_incident_json(one) for one in report.incidents],
        "states": {
            str(one.state): {"series": one.series, "gaps": one.gaps, "bars": one.bars}
            for one in report.states
        },
        "gaps": [_gap_json(one) for one in report.gaps],
    }


def _incident_json(one: Incident) -> dict[str, Any]:
    return {
        **asdict(one),
        "sessions": [str(day) for day in one.sessions],
        "timeframes": [str(frame) for frame in one.timeframes],
    }


def _gap_json(one: Gap) -> dict[str, Any]:
    told = {name: getattr(one, name) for name in one.__dataclass_fields__ if name != "within"}
    return {**told, "start": one.within.start, "end": one.within.end}
