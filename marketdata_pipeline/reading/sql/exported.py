"""The tables of an export's folder.

Not here: those of a home (snapshot), and writing an export.
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput, StoreError
from marketdata_pipeline.reading.export.facts import Row
from marketdata_pipeline.reading.export.manifest import Layout, Manifest, SeriesLine
from marketdata_pipeline.reading.export.run import ACTIONS, SCORES, SYMBOLS
from marketdata_pipeline.reading.sql.query import Query
from marketdata_pipeline.reading.sql.tables import BarsFile, Tables, bars_tables


def tables_of(folder: Path, query: Query) -> Tables:
    """What a query of the export in ``folder`` reads; its home need not be there.

    Raises:
        BadInput: no export is there, or one of CSV files.
        StoreError: a file that the query reads is not the one that was exported.
    """
    folder = folder.expanduser().resolve()
    known = Manifest.read(folder)
    if known is None:
        raise BadInput(f"{folder} is no export; make one: marketdata export FOLDER --all")
    if known.layout is not Layout.PARQUET:
        raise BadInput(f"{folder} holds CSV; sql reads exports with --format parquet")
    wanted = {
        frame for name, frames in bars_tables().items() if query.mentions(name) for frame in frames
    }
    files = [
        BarsFile(one.series.instrument, one.series.timeframe, folder / file.path)
        for one in known.series
        if one.series.timeframe in wanted
        for file in one.files
    ]
    sizes = {folder / one.path: one.bytes for one in known.files()}
    for file in files:
        _check(file.path, sizes[file.path])
    facts = {
        "series": lambda: map(partial(series_row, basis=known.basis), known.series),
        "instruments": lambda: _listed(folder / SYMBOLS),
        "quality": lambda: quality_rows(_listed(folder / SCORES)),
        "actions": lambda: _listed(folder / ACTIONS),
    }
    return Tables(files, facts, known.adj_close)


def series_row(line: SeriesLine, *, basis: str) -> Row:
    """A series as a row of the table of them."""
    return {
        "series": str(line.series),
        "instrument": str(line.series.instrument),
        "timeframe": str(line.series.timeframe),
        "rows": line.rows,
        "first": line.first,
        "last": line.last,
        "version": line.version,
        "basis": basis,
        "currency": line.currency,
    }


def quality_rows(scores: list[Row]) -> Iterator[Row]:
    """A row for each series and rule, of rows for each series (see ``facts.score_row``)."""
    for one in scores:
        series = Series.parse(one["series"])
        for rule, told in one["rules"].items():
            yield {
                "series": str(series),
                "instrument": str(series.instrument),
                "timeframe": str(series.timeframe),
                "rule": rule,
                **told,
            }


def _check(file: Path, size: int) -> None:
    try:
        found = file.stat().st_size
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror or error}") from error
    if found != size:
        raise StoreError(f"{file} is not the file that was exported; export again")


def _listed(file: Path) -> list[Row]:
    try:
        rows: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise StoreError(f"{file} is damaged: {error}; export again") from error
    return rows
