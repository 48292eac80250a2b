"""`quarantine`: what is kept apart, why, and judging it.

Not here: keeping it (store.quarantine), storing what is released (ingest.release).
"""

import math
from dataclasses import asdict
from typing import Annotated, Any

import pandas as pd
import typer
from rich.table import Table
from rich.text import Text

from marketdata_pipeline.cli.reading import spelled
from marketdata_pipeline.cli.state import about, console, print_json, state_of
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.bars import COLUMNS
from marketdata_pipeline.domain.quarantine import (
    Decision,
    Kept,
    Quarantined,
    QuarantineStatus,
    same_bars,
)
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.release import release as store_held
from marketdata_pipeline.reading.terminal import chart
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.quarantine import Quarantine

quarantine = typer.Typer(add_completion=False, no_args_is_help=True)
"""`marketdata quarantine` and what comes below it."""
_MOST_BARS = 20
_HEIGHT = 10
_BY_A_PERSON = "by a person"
_Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
_Number = Annotated[int, typer.Argument(metavar="ID", help="As `quarantine list` prints it.")]
_Why = Annotated[str, typer.Option("--why", help="For the journal and for whoever asks later.")]


@quarantine.command(name="list")
def list_(
    context: typer.Context,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="And what was released or dropped.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """What is held, oldest first: series, bars, reason, how often it came."""
    with state_of(context).opened() as home:
        rows = Quarantine(home.engine, home.clock).rows(decided=everything)
        told = about(home)
    if as_json:
        print_json({**told, "quarantine": [_row_json(one) for one in rows]})
        return
    if not rows:
        console().print("nothing is in quarantine")
        return
    console().print(_table(rows))
    console().print("why, beside what is stored: marketdata quarantine show ID")


@quarantine.command()
def show(context: typer.Context, number: _Number, *, as_json: _Json = False) -> None:
    """One part: its bars beside what is stored, the reason and its evidence."""
    with state_of(context).opened() as home:
        kept = _found(home, number)
        stored = _stored(home, kept)
    if as_json:
        bars, there = (_bars_json(one) for one in (kept.bars, stored))
        print_json({**_row_json(kept.row), "bars": bars, "stored": there})
        return
    out = console()
    for line in _lines(kept.row):
        out.print(line)
    if kept.bars.empty:
        return
    out.print(_beside(kept, stored))
    out.print(chart(kept.bars, title="held", height=_HEIGHT), end="")
    if not stored.empty:
        out.print(chart(stored, title="stored there", height=_HEIGHT), end="")


@quarantine.command()
def release(context: typer.Context, number: _Number, *, why: _Why = "") -> None:
    """Store exactly what is held; the same passes from then on."""
    if not why.strip():
        raise BadInput("a reason is wanted, the journal keeps it; say it with --why")
    with state_of(context).opened() as home:
        kept = _found(home, number)
        if kept.released:
            raise BadInput(f"{number} is released already: {kept.row.decided_why}")
        store = BarStore(home.engine, home.bars, home.clock)
        store_held(store, kept, why.strip(), home.clock.market_now())
    console().print(f"{number} released: {_what(kept.row)} stored in {kept.row.series}")


@quarantine.command()
def drop(context: typer.Context, number: _Number, *, why: _Why = "") -> None:
    """Keep out what is held, for good; the same stays out without a question."""
    with state_of(context).opened() as home:
        kept = _found(home, number)
        decision = Decision(number, QuarantineStatus.DROPPED, why.strip() or _BY_A_PERSON)
        if not kept.held or not Quarantine(home.engine, home.clock).decide(decision):
            raise BadInput(f"{number} is not held any more; see marketdata quarantine list --all")
    console().print(f"{number} dropped: {_what(kept.row)} of {kept.row.series} stay out")


def _found(home: Home, number: int) -> Kept:
    found = Quarantine(home.engine, home.clock).get(number)
    if found is None:
        raise BadInput(f"nothing in quarantine has the id {number}; see marketdata quarantine list")
    return found


def _stored(home: Home, kept: Kept) -> pd.DataFrame:
    """What is stored between the first and the last bar that is held."""
    first, last = kept.row.first, kept.row.last
    if first is None or last is None:
        return kept.bars
    within = TimeRange(first, last + kept.row.series.timeframe.length)
    return BarStore(home.engine, home.bars, home.clock).read(kept.row.series, within)


def _table(rows: list[Quarantined]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("id", "series", "bars", "first", "last", "reason", "times", "provider", "status"):
        right = name in {"id", "bars", "times"}
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for one in rows:
        table.add_row(
            str(one.id),
            str(one.series),
            f"{one.rows:,}",
            spelled(one.first, one.series) or "-",
            spelled(one.last, one.series) or "-",
            one.reason,
            f"{one.times:,}",
            one.provider,
            str(one.status),
        )
    return table


def _lines(row: Quarantined) -> list[str]:
    """Who sent it, why it is here, and what was decided."""
    came = "once" if row.times == 1 else f"{row.times:,} times, last {row.seen_at:%Y-%m-%d %H:%M}"
    lines = [
        f"{row.series} from {row.provider}: {_what(row)}, {row.reason}",
        row.detail,
        f"came {row.held_at:%Y-%m-%d %H:%M UTC}, {came}; asked for {row.window}",
    ]
    if row.evidence:
        told = ", ".join(f"{name} {_number(value)}" for name, value in row.evidence.items())
        lines.append(f"evidence: {told}")
    lines += [f"{one.kind} of {one.ex_date}: {float(one.value):g}" for one in row.actions]
    if row.decided_at is None:
        return lines
    return [*lines, f"{row.status} {row.decided_at:%Y-%m-%d %H:%M UTC}: {row.decided_why}"]


def _what(row: Quarantined) -> str:
    bars = f"{row.rows:,} bar{'' if row.rows == 1 else 's'}"
    if not row.actions:
        return bars
    actions = f"{len(row.actions)} action{'' if len(row.actions) == 1 else 's'}"
    return f"{bars} and {actions}" if row.rows else actions


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _beside(kept: Kept, stored: pd.DataFrame) -> Table:
    """The newest bars, each with what is stored there."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(f"bar (of {len(kept.bars):,})")
    for name in ("held close", "stored close", "held volume", "stored volume"):
        table.add_column(name, justify="right", no_wrap=True)
    there = stored.reindex(kept.bars.index)
    same = same_bars(kept.bars, stored)
    for at in range(max(0, len(kept.bars) - _MOST_BARS), len(kept.bars)):
        cells = [
            _cell(float(frame[name].iloc[at]))
            for name in ("close", "volume")
            for frame in (kept.bars, there)
        ]
        label = kept.bars.index[at].to_pydatetime()
        table.add_row(
            Text(spelled(label, kept.row.series) or "", "dim" if same[at] else ""), *cells
        )
    return table


def _cell(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.10g}"


def _row_json(row: Quarantined) -> dict[str, Any]:
    told = asdict(row)
    actions = [
        {"ex_date": str(one.ex_date), "kind": one.kind.value, "value": str(one.value)}
        for one in row.actions
    ]
    window = {"start": row.window.start, "end": row.window.end}
    return {**told, "series": str(row.series), "actions": actions, "window": window}


def _bars_json(bars: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {"ts": label.isoformat(), **dict(zip(COLUMNS, values, strict=True))}
        for label, values in zip(bars.index, bars.to_numpy().tolist(), strict=True)
    ]
