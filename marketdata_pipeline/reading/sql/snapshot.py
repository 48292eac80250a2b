"""The tables of a home: each series that a query can use as a Parquet file in the home's cache.

Not here: exports that are kept (exported).

A file is named by the version of its series and by what it is adjusted by, and never changed. So
only what has changed since the last query is written again, and a query that is under way keeps the
files that it began with.
"""

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.actions import Adjust
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.quality.rules import RULES
from marketdata_pipeline.reading.export import parquet
from marketdata_pipeline.reading.export.extract import Extractor, Take, spelled
from marketdata_pipeline.reading.export.facts import Row, action_rows, score_row, symbol_row
from marketdata_pipeline.reading.sql.exported import quality_rows
from marketdata_pipeline.reading.sql.query import Query
from marketdata_pipeline.reading.sql.tables import BarsFile, Tables, bars_tables
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.provenance import ActionsMark, Provenance, Stored
from marketdata_pipeline.store.verdicts import Verdicts

_KEPT = 2
"""Files of a series: the newest, and the one that a query under way may have begun with."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What a query of a home reads, before it is made ready.

    Attributes:
        stored: every series that has bars.
        files: of those that the query mentions, each where it is or will be.
        missing: the files that are not there yet.
    """

    home: Home
    adjust: Adjust
    stored: Sequence[Stored]
    files: Sequence[BarsFile]
    missing: Sequence[BarsFile]

    def make(self, told: Callable[[], None] = lambda: None) -> Tables:
        """Write the missing files; ``told`` is called after each.

        Raises:
            StoreError: the catalog or a file cannot be read, the cache cannot be written.
        """
        provenance = Provenance(self.home.engine, self.home.bars)
        catalog = Catalog(self.home.engine, self.home.clock)
        extractor = Extractor(provenance, catalog, Take(adjust=self.adjust))
        facts = catalog.facts({one.instrument for one in self.missing})
        empty = set()
        for instrument, ours in groupby(self.missing, lambda one: one.instrument):
            paths = {one.timeframe: one for one in ours}
            for extract, _ in extractor.of(instrument, paths, facts[instrument]):
                file = paths[extract.series.timeframe]
                if len(extract.bars):
                    _write(file.path, parquet.encode(extract))
                else:  # its bars were taken back meanwhile
                    empty.add(file)
                told()
        known = _Known(self, catalog, Verdicts(self.home.engine, self.home.clock))
        return Tables([one for one in self.files if one not in empty], known.tables())

    def instruments(self) -> dict[Instrument, list[Timeframe]]:
        """The instruments that have bars, and at which timeframes."""
        return {
            instrument: [one.series.timeframe for one in ours]
            for instrument, ours in groupby(self.stored, lambda one: one.series.instrument)
        }


def snapshot(home: Home, query: Query, adjust: Adjust) -> Snapshot:
    """What a query of a home reads; nothing is written yet. A few queries, whatever is stored.

    Raises:
        StoreError: the catalog is unreadable.
    """
    provenance = Provenance(home.engine, home.bars)
    stored = provenance.stored()
    frames = {
        frame for name, those in bars_tables().items() if query.mentions(name) for frame in those
    }
    wanted = [one for one in stored if one.series.timeframe in frames]
    marks = {}
    if adjust is not Adjust.NONE:
        marks = provenance.marks_of_actions({one.series.instrument for one in wanted})
    days = {}
    if adjust is Adjust.ALL:
        days = {
            one.series.instrument: one for one in stored if one.series.timeframe is Timeframe.D1
        }
    folder = home.cache / "sql" / adjust.basis
    files = [
        BarsFile(
            one.series.instrument,
            one.series.timeframe,
            folder
            / _path_of(one, marks.get(one.series.instrument), days.get(one.series.instrument)),
        )
        for one in wanted
    ]
    return Snapshot(home, adjust, stored, files, [one for one in files if not one.path.is_file()])


def _path_of(one: Stored, mark: ActionsMark | None, days: Stored | None) -> Path:
    """Where a series' file lies; another path once its bars would be others.

    ``days`` are those whose closes payments are measured against, where any are taken out.
    """
    actions = mark and (mark.count, mark.newest)
    known = repr((parquet.FORMAT, one.written, actions, days and (days.version, days.written)))
    digest = hashlib.sha256(known.encode()).hexdigest()[:12]
    return Path(parquet.path_of(one.series, f"{one.version}-{digest}.parquet"))


def _write(file: Path, data: bytes) -> None:
    """Write a file that is whole whenever it is there, and forget those before it."""
    unfinished = file.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("xb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        unfinished.rename(file)
        _forget(file.parent)
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def _forget(folder: Path) -> None:
    """Remove all but the newest files; another process may do the same."""
    with suppress(FileNotFoundError):
        by_age = sorted(
            folder.glob("*.parquet"), key=lambda one: one.stat().st_mtime_ns, reverse=True
        )
        for old in by_age[_KEPT:]:
            old.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """What is known of a home's series beside their bars."""

    of: Snapshot
    catalog: Catalog
    verdicts: Verdicts

    def tables(self) -> dict[str, Callable[[], Iterator[Row]]]:
        return {
            "series": self._series,
            "instruments": self._instruments,
            "quality": self._quality,
            "actions": self._actions,
        }

    def _series(self) -> Iterator[Row]:
        facts = self.catalog.facts(self.of.instruments())
        for one in self.of.stored:
            yield {
                "series": str(one.series),
                "instrument": str(one.series.instrument),
                "timeframe": str(one.series.timeframe),
                "rows": one.rows,
                "first": spelled(one.first),
                "last": spelled(one.last),
                "version": one.version,
                "basis": self.of.adjust.basis,
                "currency": facts[one.series.instrument].currency,
            }

    def _instruments(self) -> Iterator[Row]:
        frames = self.of.instruments()
        facts = self.catalog.facts(frames)
        return (symbol_row(one, facts[one], frames[one]) for one in frames)

    def _quality(self) -> Iterator[Row]:
        found: dict[Series, dict[str, Verdict]] = {one.series: {} for one in self.of.stored}
        for rule in RULES:
            for one, verdict in self.verdicts.all(rule, found).items():
                found[one][rule] = verdict
        return quality_rows([score_row(one, those) for one, those in found.items()])

    def _actions(self) -> Iterator[Row]:
        for instrument, known in self.catalog.known_actions(self.of.instruments()).items():
            yield from action_rows(instrument, known.actions)
