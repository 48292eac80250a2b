"""`bars`, and the table of series: what is stored.

Not here: reading it (reading), how the whole home stands (status).
"""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.table import Table

from marketdata_pipeline.cli.state import console, state_of
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.bars import PRICES
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import parse_instant
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.reading.data import Overview, label_range, parse_adjust
from marketdata_pipeline.reading.opened import data_of
from marketdata_pipeline.reading.terminal import chart, chart_room

_TABLE = 20
"""Newest bars in a table, where nobody says how many or from when."""


def bars(
    context: typer.Context,
    instrument: Annotated[str, typer.Argument(help="Yahoo's spelling, e.g. AAPL")],
    timeframe: Annotated[str, typer.Argument(help="1m 5m 15m 1h 4h 1d 1wk")] = "1d",
    *,
    start: Annotated[str, typer.Option(help="First date wanted.")] = "",
    end: Annotated[str, typer.Option(help="The date before which to end.")] = "",
    last: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Only the newest bars, 0 for all; a table without dates shows 20.",
            show_default=False,
        ),
    ] = None,
    adjust: Annotated[str, typer.Option(help="none, splits or all.")] = "splits",
    as_of: Annotated[
        str, typer.Option(help="As it was known at this instant, e.g. 2026-07-24T18:00Z.")
    ] = "",
    as_chart: Annotated[bool, typer.Option("--chart", help="Draw candles here.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated, all digits.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Columns as JSON.")] = False,
) -> None:
    """Show stored bars; never asks a provider."""
    if as_chart + as_csv + as_json > 1:
        raise BadInput("choose one of --chart, --csv and --json")
    series = Series(Instrument.parse(instrument), Timeframe.parse(timeframe))
    within, basis = label_range(start or None, end or None), parse_adjust(adjust)
    with state_of(context).opened() as home:
        if last is None and within is None and not (as_csv or as_json):
            last = chart_room() if as_chart else _TABLE
        known = parse_instant(as_of) if as_of else None
        frame = data_of(home).bars(series, within, basis, last=last or None, as_of=known)
    _warn_of_lost_values(frame, known)
    if as_csv:
        print(frame.to_csv(date_format="%Y-%m-%dT%H:%M:%SZ"), end="")
    elif as_json:
        print(json.dumps(_columns(frame)))
    elif as_chart:
        console().print(chart(frame, title=_title(frame)), end="")
    else:
        console().print(_table(frame, series))


def _warn_of_lost_values(frame: pd.DataFrame, as_of: datetime | None) -> None:
    since = frame.attrs.get("superseded_since")
    if as_of is not None and since is not None and as_of < datetime.fromisoformat(since):
        told = f"bars that were replaced before {since} while provisional are no longer known"
        sys.stderr.write(f"marketdata: {told}\n")


def _columns(frame: pd.DataFrame) -> dict[str, object]:
    index = pd.DatetimeIndex(frame.index)
    return {
        **{str(key): value for key, value in frame.attrs.items()},
        "ts": index.strftime("%Y-%m-%dT%H:%M:%SZ").to_list(),
        **{str(name): frame[name].to_list() for name in frame.columns},
    }


def _title(frame: pd.DataFrame) -> str:
    basis = {"raw": "as traded", "splits": "split-adjusted", "all": "split- and dividend-adjusted"}
    currency = frame.attrs["currency"] or ""
    return f"{frame.attrs['series']}  {basis[frame.attrs['basis']]}  {currency}".rstrip()


def _table(frame: pd.DataFrame, series: Series) -> Table:
    table = Table(title=_title(frame), title_justify="left", box=None, header_style="bold")
    table.add_column("date" if not series.timeframe.intraday else "open (UTC)")
    for name in (*PRICES, "volume"):
        table.add_column(name, justify="right")
    spelling = "%Y-%m-%d %H:%M" if series.timeframe.intraday else "%Y-%m-%d"
    index = pd.DatetimeIndex(frame.index)
    for label, row in zip(index, frame.to_numpy(), strict=True):
        prices = [f"{value:,.10g}" for value in row[:4]]
        table.add_row(label.strftime(spelling), *prices, f"{row[4]:,.0f}")
    return table


def overview_table(overviews: list[Overview], requests: dict[str, int] | None = None) -> Table:
    """A table of series; ``requests`` of this run, else those ever sent."""
    origins = sorted({one.summary.origin for one in overviews if _simulated(one)})
    caption = f"source: {', '.join(origins)}" if origins else None
    table = Table(box=None, header_style="bold", caption=caption, caption_justify="left")
    table.add_column("series")
    for name in ("bars", "first", "last", "coverage"):
        table.add_column(name, justify="right")
    table.add_column("provider")
    table.add_column("requests", justify="right")
    for one in overviews:
        stored = one.summary
        sent = stored.requests if requests is None else requests.get(str(stored.series), 0)
        table.add_row(
            str(stored.series),
            f"{stored.rows:,}",
            spelled(stored.first, stored.series) or "-",
            spelled(stored.last, stored.series) or "-",
            "-" if one.completeness is None else f"{100 * one.completeness:.2f} %",
            stored.provider or "-",
            str(sent),
        )
    return table


def _simulated(one: Overview) -> bool:
    return one.summary.origin.startswith("simulator:")


def spelled(label: datetime | None, series: Series) -> str | None:
    """A label as people write it: a date, intraday with the time in UTC; None as it is."""
    if label is None:
        return None
    return label.strftime("%Y-%m-%d %H:%M" if series.timeframe.intraday else "%Y-%m-%d")


def page_path(home: Home) -> Path:
    """Where the page of a home is written."""
    return home.folder / "bars.html"
