"""`import`: bars that others made, from files and folders.

Not here: reading and storing them (ingest.importing).
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from marketdata_pipeline.cli.reading import spelled
from marketdata_pipeline.cli.state import console, state_of
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.cleaning import WORDS
from marketdata_pipeline.ingest.importing.frames import importer_of
from marketdata_pipeline.ingest.importing.importer import Importer
from marketdata_pipeline.ingest.importing.outcome import Imported
from marketdata_pipeline.ingest.importing.paths import Asked, Format, Read, import_paths
from marketdata_pipeline.ingest.importing.terms import (
    Prices,
    Side,
    Terms,
    parse_day,
    parse_provider,
    parse_splits,
    parse_zone,
)
from marketdata_pipeline.quality.rules import refuse_unknown

_BAR = 20
_SHARES = 20
_FEW = 5
"""Rows that were dropped, of each series, that are told one by one."""


def import_bars(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files or folders of bars.")
    ],
    *,
    instrument: Annotated[str, typer.Option(help="Yahoo's spelling; else names say it.")] = "",
    timeframe: Annotated[str, typer.Option("--timeframe", "-t", help="1m 5m 15m 1h 1d ...")] = "",
    labels: Annotated[str, typer.Option(help="Which end of a bar its time is: open, close.")] = "",
    zone: Annotated[str, typer.Option(help="IANA zone of times that name none.")] = "",
    basis: Annotated[str, typer.Option(help="Prices: raw, or divided by later splits.")] = "",
    adjusted_to: Annotated[
        str, typer.Option(help="The day up to which splits were taken out; default: today.")
    ] = "",
    splits: Annotated[
        str, typer.Option(help="All splits since the first bar: 2024-06-10=10:1,... or none.")
    ] = "",
    currency: Annotated[str, typer.Option(help="Of the prices, as Yahoo writes it.")] = "",
    provider: Annotated[str, typer.Option(help="Who made the bars; default: import.")] = "",
    kind: Annotated[
        str, typer.Option("--format", help="auto, csv, parquet, yfinance, folder.")
    ] = "auto",
    extended_hours: Annotated[
        bool, typer.Option("--extended-hours", help="Leave out bars outside of sessions.")
    ] = False,
    over: Annotated[
        str, typer.Option(help="provisional: replace provisional bars that differ.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do all but store.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Store bars from files; they fill holes, what is stored stays."""
    terms = Terms(
        side=Side.parse(labels) if labels else None,
        zone=parse_zone(zone) if zone else None,
        basis=Prices.parse(basis) if basis else None,
        adjusted_to=parse_day(adjusted_to, "--adjusted-to") if adjusted_to else None,
        splits=parse_splits(splits) if splits else None,
        currency=currency or None,
        provider=parse_provider(provider) if provider else None,
        extended=extended_hours or None,
    )
    asked = Asked(
        Instrument.parse(instrument) if instrument else None,
        Timeframe.parse(timeframe) if timeframe else None,
        terms,
        Format.parse(kind),
    )
    if over not in {"", "provisional"}:
        raise BadInput(f"--over is {over[:20]!r}, it can only be provisional: final bars stay")
    thresholds = refuse_unknown(state_of(context).settings.thresholds)
    with state_of(context).opened() as home:
        importer = importer_of(home, thresholds, over=bool(over), dry_run=dry_run)
        _run(importer, paths, asked, as_json=as_json)


def _run(importer: Importer, paths: Sequence[Path], asked: Asked, *, as_json: bool) -> None:
    """Import, and tell what was done also where it is interrupted."""
    done: list[Imported] = []
    try:
        with _followed(show=not as_json) as told:
            for one in import_paths(importer, paths, asked, told):
                done.append(one)  # noqa: PERF402 - what was done before an interrupt counts
    finally:
        if as_json:
            print(json.dumps([as_data(one) for one in done]))
        elif any(one.counts for one in done):
            _print(done, dry_run=importer.dry_run)
    _refuse_refused(done)


@contextmanager
def _followed(*, show: bool) -> Iterator[Callable[[Read], None]]:
    """Shows how far the reading is: a bar on a terminal; elsewhere a line for every 5 %."""
    out = console()
    if not show:
        yield lambda _: None
        return
    if not out.is_terminal:
        yield _Lines(out).told
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=_BAR),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def told(one: Read) -> None:
            rows = f"  {one.rows:,} rows" if one.rows else ""
            bar.update(task, description=one.name + rows, completed=one.files, total=one.total)

        yield told


class _Lines:
    """Progress where nobody can draw over it."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._said = 0

    def told(self, one: Read) -> None:
        share = one.files * _SHARES // one.total
        if one.total > _SHARES and share > self._said:
            self._said = share
            self._out.print(f"  {one.files}/{one.total} files")


def _print(done: Sequence[Imported], *, dry_run: bool) -> None:
    out = console()
    out.print(_table(done))
    for one in done:
        for line in remarks(one):
            out.print(line)
    for line in _hints(done):
        out.print(line)
    counts = [one.counts for one in done if one.counts is not None]
    new, known = sum(one.new for one in counts), sum(one.known for one in counts)
    replaced = sum(one.replaced for one in counts)
    told = f"{new:,} new, {known:,} known" + (f", {replaced:,} replaced" if replaced else "")
    out.print(f"{told}; a dry run, nothing was stored" if dry_run else told)


def _table(done: Sequence[Imported]) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column("series")
    for name in ("rows", "dropped", "moved", "new", "known", "differing", "first", "last"):
        table.add_column(name, justify="right")
    for one in done:
        if one.counts is None or one.series is None:
            continue
        counts, first, last = one.counts, *_ends(one)
        numbers = (counts.read, len(one.dropped), counts.moved, counts.new, counts.known)
        cells = [f"{number:,}" for number in (*numbers, counts.differing)]
        table.add_row(str(one.series), *cells, first or "-", last or "-")
    return table


def _ends(one: Imported) -> tuple[str | None, str | None]:
    """The first and the last label."""
    if one.span is None or one.series is None:
        return None, None
    last = one.span.end - one.series.timeframe.length
    return spelled(one.span.start, one.series), spelled(last, one.series)


def remarks(one: Imported) -> list[str]:
    """What a person should know of a series beside the numbers, a line each."""
    what = str(one.series or one.files[0].name)
    if one.counts is None:
        return [f"{what}: refused: {one.error}"]
    told = []
    for rule, count in one.reasons().items():
        spots = [each.spot for each in one.dropped if each.rule == rule]
        more = "; ..." if len(spots) > _FEW else ""
        told.append(f"{count:,} dropped, {WORDS[rule]}: {'; '.join(spots[:_FEW])}{more}")
    left = {
        "without any price": one.counts.empty,
        "outside of sessions": one.counts.outside,
        "that repeat another one": one.counts.merged,
    }
    told += [f"rows left out {which}: {count:,}" for which, count in left.items() if count]
    told += _differing(one)
    if one.counts.actions:
        told.append(f"splits and payments that were not known: {one.counts.actions:,}")
    if one.error is not None:
        told.append(f"stored, but not judged: {one.error}")
    return [f"{what}: {line}" for line in told]


def _differing(one: Imported) -> list[str]:
    if one.counts is None or one.series is None or not one.counts.differing:
        return []
    shown = [
        f"{spelled(each.ts, one.series)} {each.column} {each.stored:.10g} stored, "
        f"{each.imported:.10g} imported"
        for each in one.differences
    ]
    more = "; ..." if one.counts.differing > len(shown) else ""
    over = one.counts.replaced
    kept = f"{over:,} of them are replaced" if over else "which stay"
    return [f"{one.counts.differing:,} differ from stored bars, {kept}: {'; '.join(shown)}{more}"]


def _hints(done: Sequence[Imported]) -> Iterator[str]:
    """What to do next: about splits that nobody knows, and to keep series up to date."""
    blind = dict.fromkeys(
        str(one.series.instrument) for one in done if one.series and not one.splits_known
    )
    if blind:
        names = " ".join(blind)
        yield f"adjusted prices lack splits until they are known: marketdata backfill {names}"
    loose: dict[str, list[str]] = defaultdict(list)
    for one in done:
        if one.series is not None and one.counts is not None and not one.tracked:
            loose[str(one.series.instrument)].append(str(one.series.timeframe))
    alike: dict[str, list[str]] = defaultdict(list)
    for instrument, frames in loose.items():
        alike[",".join(dict.fromkeys(frames))].append(instrument)
    for each, names_of in alike.items():
        names = " ".join(names_of)
        yield f"not tracked; to keep up to date: marketdata track {names} -t {each}"


def as_data(one: Imported) -> dict[str, Any]:
    """An outcome as JSON has it."""
    first, last = _ends(one)
    counts = {} if one.counts is None else asdict(one.counts)
    return {
        "series": None if one.series is None else str(one.series),
        "files": [str(each) for each in one.files],
        **counts,
        "dropped": dict(one.reasons()),
        "differences": [{**asdict(each), "ts": each.ts.isoformat()} for each in one.differences],
        "first": first,
        "last": last,
        "tracked": one.tracked,
        "splits_known": one.splits_known,
        "stored": one.stored,
        "error": None if one.error is None else str(one.error),
    }


def _refuse_refused(done: Sequence[Imported]) -> None:
    """Raise one sentence on what was not imported.

    Raises:
        BadInput: a series was refused.
    """
    refused = [one for one in done if one.counts is None]
    if not refused:
        return
    first = refused[0].error
    if len(done) == 1 and isinstance(first, BadInput):
        raise first
    reasons = len({str(one.error) for one in refused})
    more = f" (and {reasons - 1} other reasons)" if reasons > 1 else ""
    raise BadInput(f"{len(refused)} of {len(done)} were refused: {first}{more}")
