"""How a home stands, drawn: runs, turns and rates, cadence, coverage by class and timeframe.

Not here: reading it (reading.status, orchestrator), and drawing it again and again (status).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from rich.box import ROUNDED
from rich.console import ConsoleDimensions, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from marketdata_pipeline.cli.words import (
    amount,
    lasting,
    load_line,
    pace_line,
    quarantine_line,
    queue_line,
    rate_line,
    share,
    turns_line,
    wish_line,
)
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.tiers import Pace
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.orchestrator import Runs, RunState
from marketdata_pipeline.reading.cadence import Cadence
from marketdata_pipeline.reading.status import ClassCoverage, Status

_WIDTH = 112
_FRAME = 4
_BAR = 20
_ID = 8
_MOST_RUNS = 8
_COLOURS = {"success": "green", "failure": "red", "canceled": "yellow", "canceling": "yellow"}
_Coverage = Sequence[ClassCoverage]


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn.

    Attributes:
        about: one line on the home.
        trouble: why Dagster's runs are not known; None: they are.
        hint: how to end it.
    """

    about: str
    status: Status
    runs: Runs
    trouble: str | None = None
    hint: str = ""


def screen(picture: Picture, size: ConsoleDimensions | None = None) -> RenderableType:
    """Everything, one panel below the other; in a terminal of that ``size`` if it can be.

    Where room is short, coverage takes one line a class and fewer runs are shown.
    """
    status, most, short = picture.status, _MOST_RUNS, False
    if size is not None:
        short = size.height < _lines(picture, size.width) or size.width < _width(status)
        room = size.height - _lines(picture, size.width, short=short)
        most = max(2, min(most, _shown(picture) + room))
    parts: list[RenderableType] = [
        Text(picture.about, style="bold", overflow="ellipsis", no_wrap=True),
        _panel("runs", _runs(picture, most), _waiting(picture.runs), picture.hint),
        _panel("turns and rates", turns_table(status)),
    ]
    if status.series:
        parts += [
            _panel("cadence", _cadence(status), "medians; intraday over series that are open now"),
            _panel("coverage", coverage_table(status.coverage, short=short), _counted(status)),
        ]
    return Group(*parts)


def _shown(picture: Picture) -> int:
    return max(1, min(_MOST_RUNS, len(picture.runs.shown)))


def _lines(picture: Picture, width: int, *, short: bool = False) -> int:
    """How many lines the screen takes, with long or with short cells of coverage."""
    status = picture.status
    rows = 1 + (_shown(picture) + 2) + (max(1, len(status.turns)) + 4) + (not status.queue.at_rest)
    rows += bool(status.quarantined)
    if not status.series:
        return rows
    kinds = {one.asset_class for one in status.coverage}
    cells = len(kinds) + (len(kinds) > 1)
    if not short:
        failing = {one.asset_class for one in status.coverage if one.failing}
        cells = 2 * cells + len(failing) + bool(failing and len(kinds) > 1)
    sentence = 1 + len(load_line(status.load)) // min(_WIDTH - _FRAME, width - _FRAME)
    return rows + (len(status.cadences) + len(status.paces) + 3 + sentence) + (cells + 3)


def _width(status: Status) -> int:
    """How many columns long cells of coverage take."""
    longest = max((len(f"{one.series:,}") for one in status.coverage), default=0)
    return 12 + (2 * longest + 3) * len({one.timeframe for one in status.coverage})


def coverage_table(coverage: _Coverage, *, short: bool = False) -> Table:
    """A row a class, a column a timeframe: mean completeness, how many are complete, failing."""
    frames = [one for one in Timeframe if any(each.timeframe is one for each in coverage)]
    table = Table(box=None, padding=(0, 1, 0, 0) if short else (0, 2, 0, 0), header_style="bold")
    table.add_column("", no_wrap=True)
    for frame in frames:
        table.add_column(str(frame), justify="right", no_wrap=True)
    kinds = [one for one in AssetClass if any(each.asset_class is one for each in coverage)]
    for kind in kinds:
        cells = {one.timeframe: one for one in coverage if one.asset_class is kind}
        table.add_row(str(kind), *(_cell(cells.get(frame), short=short) for frame in frames))
    if len(kinds) > 1:
        table.add_row(
            Text("all", "bold"), *(_cell(_all(coverage, frame), short=short) for frame in frames)
        )
    return table


def turns_table(status: Status) -> Table:
    """A line a provider, what came in the last minute and hour, and the queue if it has work."""
    table = _grid(3, bar=1)
    for one in status.turns:
        colour = "yellow" if one.free < one.burst / 4 else "green"
        bar = ProgressBar(one.burst, one.free, complete_style=colour, finished_style=colour)
        wait = "" if one.free else f"; the next in {lasting(one.next_at - status.wall_now)}"
        told = Text(f"{turns_line(one)}{wait}", "red" if one.cooldown_until else "")
        table.add_row(one.provider, bar, told)
    if not status.turns:
        table.add_row("turns", "", Text("no provider was asked yet", "dim"))
    table.add_row("last minute", "", rate_line(status.minute))
    table.add_row("last hour", "", rate_line(status.hour))
    if not status.queue.at_rest:
        table.add_row("queue", "", queue_line(status.queue, status.wall_now))
    if status.quarantined:
        table.add_row("quarantine", "", quarantine_line(status.quarantined))
    return table


def _panel(title: str, content: RenderableType, told: str = "", hint: str = "") -> Panel:
    """A frame; what is ``told`` stands beside its title, the ``hint`` at its foot."""
    heading = Text.assemble((title, "bold cyan"), (f"  {told}" if told else "", "dim"))
    return Panel(
        content,
        title=heading,
        title_align="left",
        subtitle=Text(hint, "dim") if hint else None,
        subtitle_align="right",
        box=ROUNDED,
        border_style="dim",
        width=_WIDTH,
    )


def _grid(columns: int, bar: int) -> Table:
    """Lines that end where the room does; the column ``bar`` gives way before that."""
    table = Table.grid(padding=(0, 2))
    for column in range(columns):
        if column == bar:
            table.add_column(max_width=_BAR)
        else:
            table.add_column(no_wrap=True, overflow="ellipsis")
    return table


def _waiting(runs: Runs) -> str:
    return f"{runs.under_way} under way, {runs.waiting} waiting"


def _counted(status: Status) -> str:
    failing = sum(one.failing for one in status.coverage)
    told = f"{status.series:,} series, {sum(one.complete for one in status.coverage):,} complete"
    return f"{told}, {failing:,} failing" if failing else told


def _runs(picture: Picture, most: int) -> RenderableType:
    if picture.trouble is not None:
        return Text(picture.trouble, style="red")
    if not picture.runs.shown:
        return Text("none yet", style="dim")
    table = _grid(6, bar=4)
    for one in picture.runs.shown[:most]:
        table.add_row(*_run(one, picture.status.wall_now))
    return table


def _run(one: RunState, now: datetime) -> tuple[RenderableType, ...]:
    colour = _COLOURS.get(one.state, "cyan" if one.state.startswith("start") else "dim")
    total = "" if one.total is None else f"{one.total:,} series"
    if one.done is not None and one.total:
        progress: RenderableType = ProgressBar(one.total, one.done, complete_style="cyan")
        total = f"{one.done:,} of {total}"
    else:
        progress = ""
    since = lasting(now - one.began)
    age = f"for {since}" if one.ended is None else f"{lasting(now - one.ended)} ago"
    if one.ended is not None:
        age += f", took {lasting(one.ended - one.began)}"
    elif one.left is not None:
        age += f", {lasting(one.left)} left"
    return Text(f"● {one.state}", colour), str(one.door), one.run_id[:_ID], total, progress, age


def _cadence(status: Status) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("")
    for name in ("series", "open now", "wished", "updated", "behind", "requests/h"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in status.cadences:
        table.add_row(
            str(one.timeframe),
            f"{one.series:,}",
            f"{one.open:,}" if one.timeframe.intraday else "",
            wish_line(one.timeframe, one.wished),
            "never" if one.updated is None else f"{lasting(one.updated)} ago",
            _behind(one),
            "derived" if one.timeframe.derived else amount(one.requests),
        )
    stretched = status.load.stretched is not None
    line = Text(load_line(status.load), style="yellow" if stretched else "green")
    return Group(table, *(_pace(one) for one in status.paces), line)


def _pace(one: Pace) -> Text:
    style = "yellow" if one.stretch > 1 else "green"
    return Text(pace_line(one), style=style, no_wrap=True, overflow="ellipsis")


def _behind(one: Cadence) -> Text:
    if one.behind is None:
        return Text("no bars", style="yellow")
    if not one.behind:
        return Text("up to date", style="green")
    return Text(lasting(one.behind), style="yellow" if one.behind <= one.wished else "red")


def _all(coverage: _Coverage, timeframe: Timeframe) -> ClassCoverage:
    ours = [one for one in coverage if one.timeframe is timeframe]
    series = sum(one.series for one in ours)
    return replace(
        ours[0],
        series=series,
        complete=sum(one.complete for one in ours),
        completeness=sum(one.completeness * one.series for one in ours) / series,
        failing=sum(one.failing for one in ours),
    )


def _cell(one: ClassCoverage | None, *, short: bool) -> Text:
    if one is None:
        return Text("")
    good = "green" if one.complete == one.series else "yellow"
    if short:
        fails = f" {one.failing:,}✗" if one.failing else ""
        return Text.assemble((share(one.completeness, 1), good), (fails, "red"))
    text = Text(share(one.completeness), style=good)
    text.append(f"\n{one.complete:,}/{one.series:,}", style="not bold dim default")
    if one.failing:
        text.append(f"\n{one.failing:,} failing", style="red")
    return text
