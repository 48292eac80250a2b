"""`queue`: what is still to be fetched, how fast it goes, what needs a person; adding to it.

Not here: reading it (reading.queue), and doing it (worker).
"""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import ConsoleDimensions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from marketdata_pipeline.cli.running import within_dates
from marketdata_pipeline.cli.state import about, console, print_json, state_of
from marketdata_pipeline.cli.tracking import parse_timeframes
from marketdata_pipeline.cli.watching import HINT, Every, watched
from marketdata_pipeline.cli.words import lasting, when
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.backfill import Backfill, Status
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.queue import Queue
from marketdata_pipeline.reading.queue import queue_status, read_queue
from marketdata_pipeline.store.backfills import OPEN
from marketdata_pipeline.store.backlog import Backlog
from marketdata_pipeline.store.tracking import Tracking

queue = typer.Typer(invoke_without_command=True, add_completion=False)
"""`marketdata queue` and what comes below it."""
_Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


@queue.callback(invoke_without_command=True)
def overview(
    context: typer.Context,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
    every: Every = 2.0,
    as_json: _Json = False,
) -> None:
    """Backfills by status, how fast they are done, what failed and what nobody knows."""
    if context.invoked_subcommand is not None:
        return
    with state_of(context).opened() as home:
        if as_json:
            print_json(_overview_json(home, read_queue(home.engine, home.clock)))
            return

        def look(size: ConsoleDimensions | None) -> RenderableType:
            page = _page(read_queue(home.engine, home.clock))
            return page if size is None else Group(page, Text(), Text(HINT, "dim"))

        if watch:
            watched(look, home.clock, every)
        else:
            console().print(look(None))


@queue.command()
def show(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", help="As `queue add` printed it.")],
    *,
    as_json: _Json = False,
) -> None:
    """One backfill: what is wanted, how it stands and why."""
    with state_of(context).opened() as home:
        row = _task(home, number)
    if as_json:
        print_json(_row_json(row))
        return
    table = Table.grid(padding=(0, 2))
    for name, value in _row_json(row).items():
        if value not in {None, ""}:
            told = f"{value:%Y-%m-%d %H:%M:%S UTC}" if isinstance(value, datetime) else str(value)
            table.add_row(name.replace("_", " "), told)
    console().print(table)


@queue.command()
def retry(
    context: typer.Context,
    numbers: Annotated[list[int] | None, typer.Argument(metavar="[ID]...")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that failed.")] = False,
) -> None:
    """Give failed backfills all their attempts again."""
    if bool(numbers) == everything:
        raise BadInput("name failed backfills by their ids, or give --all; see marketdata queue")
    with state_of(context).opened() as home:
        for one in numbers or []:
            found = _task(home, one)
            if found.status.value != "failed":
                raise BadInput(f"{one} has not failed, it is {found.status}; leave it out")
        count = Queue(home.engine, home.clock).retry(numbers or None)
    console().print(f"{count} begin again")


@queue.command()
def drop(
    context: typer.Context,
    numbers: Annotated[list[int], typer.Argument(metavar="ID...")],
) -> None:
    """Take backfills out of the queue that wait or have failed; what is stored stays."""
    with state_of(context).opened() as home:
        for one in numbers:
            found = _task(home, one)
            if found.status not in {*OPEN, Status.FAILED}:
                raise BadInput(f"{one} neither waits nor has failed, it is {found.status}")
        count = Queue(home.engine, home.clock).drop(numbers)
    console().print(f"{count} dropped")


@queue.command()
def add(
    context: typer.Context,
    instrument: Annotated[
        str, typer.Argument(metavar="INSTRUMENT", help="Yahoo's spelling: AAPL AZN.L BTC-USD")
    ],
    *,
    timeframes: Annotated[
        str, typer.Option("--timeframes", "-t", help="Comma-separated; default: those tracked.")
    ] = "",
    start: Annotated[str, typer.Option(help="First date wanted; default: as tracked.")] = "",
    end: Annotated[str, typer.Option(help="The date before which to end.")] = "",
    priority: Annotated[str, typer.Option(help="urgent, held, tracked or catalog.")] = "tracked",
) -> None:
    """Want an instrument's history to be there; prints the id of the backfill that is for it."""
    state, asked, urgency = state_of(context), Instrument.parse(instrument), _priority(priority)
    frames, wanted = parse_timeframes(timeframes), within_dates(start, end)
    with state.opened() as home:
        kept = Tracking(home.engine, home.clock).get(asked)
        usual = state.settings.timeframes if kept is None else kept.timeframes
        queued = Queue(home.engine, home.clock)
        number = queued.enqueue(asked, frames or usual, wanted, priority=urgency)
    console().print(str(number))


def _priority(text: str) -> Priority:
    found = next((one for one in Priority if str(one) == text.strip().lower()), None)
    if found is None:
        raise BadInput(f"{text!r} is no priority; give one of {', '.join(map(str, Priority))}")
    return found


def _task(home: Home, number: int) -> Backfill:
    found = Queue(home.engine, home.clock).task(number)
    if found is None:
        raise BadInput(f"the queue has no {number}; see marketdata queue")
    return found


def _page(backlog: Backlog) -> RenderableType:
    """A line a status, the pace, and the rows that need somebody."""
    found = queue_status(backlog)
    if not backlog.standings:
        return Text("the queue is empty")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("status", "backfills", "oldest", "next"):
        table.add_column(name, justify="left" if name == "status" else "right", no_wrap=True)
    for one in backlog.standings:
        due = "-" if one.next_at is None else when(one.next_at, backlog.at)
        age = f"{lasting(backlog.at - one.oldest)} ago"
        table.add_row(str(one.status), f"{one.rows:,}", age, due)
    took = "" if found.took is None else f", each {lasting(found.took)} after it was wanted"
    parts: list[RenderableType] = [table, Text(f"last hour: {found.done:,} completed{took}")]
    for title, rows, of in (
        ("failed", backlog.failed, found.failed),
        ("unresolved", backlog.unresolved, found.unresolved),
    ):
        parts += [Text(f"{title}  {_said(one, backlog)}") for one in rows]
        if of > len(rows):
            parts.append(Text(f"{title}  and {of - len(rows):,} others"))
    if backlog.failed:
        parts.append(Text("to try again: marketdata queue retry --all"))
    if backlog.failed or backlog.unresolved:
        parts.append(Text("what nobody wants any more: marketdata queue drop ID"))
    return Group(*parts)


def _said(row: Backfill, backlog: Backlog) -> str:
    frames = ",".join(map(str, row.timeframes))
    again = "" if row in backlog.failed else f"; again {when(row.retry_after, backlog.at)}"
    return f"{row.id}  {row.instrument} {frames}: {row.error_message}{again}"


def _overview_json(home: Home, backlog: Backlog) -> dict[str, Any]:
    return {
        **about(home),
        **asdict(queue_status(backlog)),
        "at": backlog.at,
        "by_status": {
            one.status.value: {"rows": one.rows, "oldest": one.oldest, "next_at": one.next_at}
            for one in backlog.standings
        },
        "failures": [_row_json(one) for one in backlog.failed],
        "unresolved_backfills": [_row_json(one) for one in backlog.unresolved],
    }


def _row_json(row: Backfill) -> dict[str, Any]:
    """Everything of a row, timeframes as they are spelled."""
    told = {name: getattr(row, name) for name in row.__dataclass_fields__}
    return {**told, "timeframes": ",".join(map(str, row.timeframes))}
