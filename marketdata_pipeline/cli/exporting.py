"""`export`: stored bars as Parquet or CSV files for other programs.

Not here: writing them (reading.export), and queries over them (sql).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from marketdata_pipeline.cli.choosing import Choice
from marketdata_pipeline.cli.state import console, state_of
from marketdata_pipeline.cli.tracking import parse_timeframes
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.reading.data import label_range, not_kept, parse_adjust
from marketdata_pipeline.reading.export.extract import Take
from marketdata_pipeline.reading.export.folder import refuse
from marketdata_pipeline.reading.export.manifest import Layout, Manifest
from marketdata_pipeline.reading.export.run import Order
from marketdata_pipeline.reading.export.run import export as write
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.provenance import Provenance
from marketdata_pipeline.store.tracking import Tracking

_BAR = 20


def export(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Absent or empty; it appears whole at the end.")
    ],
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SERIES|INSTRUMENT]...", help="AAPL|1d, or AAPL: all that is kept of it."
        ),
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that is kept.")] = False,
    asset_class: Annotated[
        str, typer.Option("--class", help="What is kept of a class: equity, etf, crypto, ...")
    ] = "",
    file: Annotated[
        Path | None, typer.Option(help="A file with one instrument a line, # for comments.")
    ] = None,
    timeframes: Annotated[
        str, typer.Option("--timeframes", "-t", help="Comma-separated; default: all kept ones.")
    ] = "",
    start: Annotated[str, typer.Option(help="First date wanted, e.g. 2020-01-31.")] = "",
    end: Annotated[str, typer.Option(help="The date before which to end.")] = "",
    layout: Annotated[str, typer.Option("--format", help="parquet or csv.")] = "parquet",
    adjust: Annotated[str, typer.Option(help="none, splits or all.")] = "splits",
    adj_close: Annotated[
        bool, typer.Option("--adj-close", help="Add the close adjusted for splits and dividends.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an older export, and nothing else.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON.")] = False,
) -> None:
    """Write stored bars as Parquet or CSV files; never asks a provider."""
    typed = [parse_wanted(one) for one in wanted or []]
    instruments = [str(getattr(one, "instrument", one)) for one in typed]
    choice = Choice.parse(instruments, asset_class, file, everything=everything)
    frames = parse_timeframes(timeframes)
    take = Take(label_range(start or None, end or None), parse_adjust(adjust), adj_close)
    form = parse_layout(layout)
    with state_of(context).opened() as home:
        refuse(folder, overwrite=overwrite)
        kept, classes = kept_in(home), Catalog(home.engine, home.clock).classes()
        asked = typed or list(choice.named)
        if asked:
            series = named(asked, kept, frames)
        else:
            series = among(choice.of(kept, classes, word="kept"), kept, frames)
        with working("exporting", len(series)) as told:
            order = Order(tuple(series), form, take)
            done = write(home, order, folder, overwrite=overwrite, told=lambda _: told())
    _tell(done, folder, as_json=as_json)


def parse_wanted(text: str) -> Series | Instrument:
    """The series of ``AAPL|1d``, the instrument of ``AAPL``.

    Raises:
        BadInput: neither.
    """
    return Series.parse(text) if "|" in text else Instrument.parse(text)


def kept_in(home: Home) -> dict[Instrument, tuple[Timeframe, ...]]:
    """Every instrument that is tracked or has bars, with the timeframes that are or have."""
    found: dict[Instrument, set[Timeframe]] = {}
    for one in Tracking(home.engine, home.clock).all():
        found.setdefault(one.instrument, set()).update(one.timeframes)
    for stored in Provenance(home.engine, home.bars).stored():
        found.setdefault(stored.series.instrument, set()).add(stored.series.timeframe)
    return {one: tuple(frame for frame in Timeframe if frame in had) for one, had in found.items()}


def named(
    asked: Iterable[Series | Instrument],
    kept: Mapping[Instrument, Sequence[Timeframe]],
    frames: Sequence[Timeframe],
) -> list[Series]:
    """The series that were named, each once; of an instrument those of ``frames``, or all kept.

    Raises:
        BadInput: one is not kept, or has its timeframe named twice.
    """
    found: dict[Series, None] = {}
    for one in asked:
        if isinstance(one, Series) and frames:
            raise BadInput(f"{str(one)!r} names its timeframe; leave --timeframes away")
        if isinstance(one, Instrument) and one not in kept:
            raise BadInput(f"not kept here: {one}; run: marketdata track {one}")
        ours = [one] if isinstance(one, Series) else [Series(one, it) for it in frames or kept[one]]
        found |= dict.fromkeys(ours)
    for series in found:
        if series.timeframe not in kept.get(series.instrument, ()):
            raise not_kept(series)
    return list(found)


def among(
    instruments: Iterable[Instrument],
    kept: Mapping[Instrument, Sequence[Timeframe]],
    frames: Sequence[Timeframe],
) -> list[Series]:
    """What is kept of the instruments, of ``frames`` only where any are given.

    Raises:
        BadInput: nothing.
    """
    found = [
        Series(one, frame)
        for one in instruments
        for frame in kept[one]
        if not frames or frame in frames
    ]
    if not found:
        raise BadInput(f"nothing of that is kept at {', '.join(map(str, frames))}")
    return found


@contextmanager
def working(title: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal's standard error, one step at each call; elsewhere nothing."""
    out = Console(stderr=True, highlight=False, markup=False)
    columns = (TextColumn(title), BarColumn(bar_width=_BAR), MofNCompleteColumn())
    with Progress(
        *columns, TimeElapsedColumn(), console=out, transient=True, disable=not out.is_terminal
    ) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)


def parse_layout(text: str) -> Layout:
    """The layout of ``parquet`` or ``csv``.

    Raises:
        BadInput: anything else.
    """
    try:
        return Layout(text.strip().lower())
    except ValueError as error:
        raise BadInput(f"the format is {text[:20]!r}, it must be parquet or csv") from error


def _tell(done: Manifest, folder: Path, *, as_json: bool) -> None:
    files = list(done.files())
    empty = [str(one.series) for one in done.series if not one.rows]
    told = {
        "folder": str(folder),
        "format": done.layout.value,
        "basis": done.basis,
        "series": len(done.series),
        "empty": empty,
        "bars": done.rows,
        "files": len(files),
        "bytes": sum(one.bytes for one in files),
    }
    if as_json:
        print(json.dumps(told))
        return
    out = console()
    out.print(f"{done.rows:,} bars of {len(done.series):,} series ({done.basis}) in {folder}")
    if empty:
        out.print(f"without a bar there: {', '.join(empty)}")
