"""`sql`: a query over stored bars or an export, answered as a table, CSV or JSON.

Not here: answering it (reading.sql).
"""

import csv
import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from marketdata_pipeline.cli.exporting import working
from marketdata_pipeline.cli.state import State, console, state_of
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.reading.data import parse_adjust
from marketdata_pipeline.reading.export.extract import spelled
from marketdata_pipeline.reading.sql.engine import Answer, Column, answering
from marketdata_pipeline.reading.sql.exported import tables_of
from marketdata_pipeline.reading.sql.query import Query
from marketdata_pipeline.reading.sql.snapshot import snapshot
from marketdata_pipeline.reading.sql.tables import Tables

_MOST = 200
"""Rows of a table on a terminal."""
_NUMBERS = ("INT", "DOUBLE", "FLOAT", "DECIMAL")


def sql(
    context: typer.Context,
    query: Annotated[
        str,
        typer.Argument(metavar="QUERY", help="One query in DuckDB's SQL; - reads it from stdin."),
    ],
    *,
    source: Annotated[
        Path | None, typer.Option("--from", help="An export's folder instead of the home.")
    ] = None,
    adjust: Annotated[
        str | None, typer.Option(help="none, splits (default) or all; not with --from.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated, all digits.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="An array of objects.")] = False,
) -> None:
    """Ask stored bars in SQL; reads only, never asks a provider.

    Tables: bars (all timeframes), bars_1m bars_5m bars_15m bars_1h bars_4h bars_1d bars_1wk,
    series, instruments, quality, actions. DESCRIBE bars tells the columns; instants are UTC.

    Of a home, the first query of a timeframe writes its series as Parquet files into the home's
    cache; a later one writes again only those that have changed.
    """
    if as_csv and as_json:
        raise BadInput("choose one of --csv and --json")
    if source is not None and adjust is not None:
        raise BadInput("an export has one basis: leave --adjust away, or export with another one")
    asked = Query.parse(sys.stdin.read() if query == "-" else query)
    with (
        _tables(state_of(context), asked, source, adjust or "splits") as tables,
        answering(asked, tables) as answer,
    ):
        if as_csv:
            _print_csv(answer)
        elif as_json:
            _print_json(answer)
        else:
            _print_table(answer)


@contextmanager
def _tables(state: State, query: Query, source: Path | None, adjust: str) -> Iterator[Tables]:
    if source is not None:
        yield tables_of(source, query)
        return
    basis = parse_adjust(adjust)
    with state.opened() as home:
        wanted = snapshot(home, query, basis)
        with working("reading series", len(wanted.missing)) as told:
            tables = wanted.make(told)
        yield tables


def _print_table(answer: Answer) -> None:
    table = Table(box=None, header_style="bold")
    for column in answer.columns:
        number = column.kind.startswith(_NUMBERS) or "INT" in column.kind
        table.add_column(column.name, justify="right" if number else "left")
    rows = list(islice(answer.rows, _MOST + 1))
    for row in rows[:_MOST]:
        table.add_row(*(_shown(one) for one in row))
    out = console()
    out.print(table)
    if len(rows) > _MOST:
        out.print(f"the first {_MOST} rows; --csv and --json give all of them")


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    return "" if value is None else str(_plain(value))


def _print_csv(answer: Answer) -> None:
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(one.name for one in answer.columns)
    out.writerows([_plain(one) for one in row] for row in answer.rows)


def _print_json(answer: Answer) -> None:
    names = distinct(answer.columns)
    before = "["
    for row in answer.rows:
        told = {name: _in_json(value) for name, value in zip(names, row, strict=True)}
        print(before + json.dumps(told))
        before = ","
    print("[]" if before == "[" else "]")


def distinct(columns: Sequence[Column]) -> list[str]:
    """The columns' names; one that is there already gets a number: ``ts``, ``ts_2``."""
    found: dict[str, None] = {}
    for one in columns:
        name, number = one.name, 1
        while name in found:
            number += 1
            name = f"{one.name}_{number}"
        found[name] = None
    return list(found)


def _in_json(value: Any) -> Any:
    """As JSON has it: what is no number is null, an exact decimal a number."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {str(_plain(key)): _in_json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_in_json(one) for one in value]
    return value if isinstance(value, (int, float, str, type(None))) else str(_plain(value))


def _plain(value: Any) -> Any:
    """Instants and dates in ISO 8601, UTC as Z; anything else as it is."""
    if isinstance(value, datetime):
        return spelled(value)
    return value.isoformat() if isinstance(value, date) else value
