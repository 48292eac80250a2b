"""The export of a home's series into a folder: series by series, then what says what they are.

Not here: how a series is read (extract), encoded (parquet, gzip_csv), and the folder (folder).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import pandas as pd

from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.reading.export import gzip_csv, manifest, parquet
from marketdata_pipeline.reading.export.extract import Extract, Extractor, Take, spelled
from marketdata_pipeline.reading.export.facts import (
    Providers,
    action_rows,
    score_row,
    symbol_row,
)
from marketdata_pipeline.reading.export.folder import Listing, Unfinished, replacing
from marketdata_pipeline.reading.export.manifest import FileLine, Layout, Manifest, SeriesLine
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.provenance import Provenance, in_grid_order
from marketdata_pipeline.store.verdicts import Verdicts

BARS = "bars"
"""The folder of Parquet files in an export; nothing else is in it, or readers of whole folders
would stumble (pyarrow, pandas and polars over JSON, dask over a folder ``_metadata``)."""
SYMBOLS, PROVIDERS, SCORES, ACTIONS = (
    f"_metadata/{name}.json" for name in ("symbols", "providers", "quality_scores", "actions")
)


@dataclass(frozen=True, slots=True)
class Order:
    """What to export, and how it shall lie; the series' own order and repetitions do not matter."""

    series: tuple[Series, ...]
    layout: Layout
    take: Take


def export(
    home: Home,
    order: Order,
    target: Path,
    *,
    overwrite: bool = False,
    told: Callable[[SeriesLine], None] = lambda _: None,
) -> Manifest:
    """Write an export; afterwards ``target`` is a whole one, or what it was.

    Each series is read at one version, its bars only in memory; a series without bars has no file.

    Args:
        home: an opened one.
        order: what to export.
        target: a folder that is not there or empty; with ``overwrite`` an older export too.
        overwrite: whether an older export may be replaced.
        told: called once a series is written.

    Raises:
        BadInput: the target cannot be written to, or is somebody else's.
        StoreError: the catalog or a file cannot be read, or the disk is full.
    """
    _refuse_own(home, target)
    with replacing(target, overwrite=overwrite) as folder:
        written = _Writer(home, order, folder).run(told)
        folder.put(manifest.NAME, written.to_json().encode())
    return written


def _refuse_own(home: Home, target: Path) -> None:
    """What a home keeps for itself may be empty, and is no place for an export all the same."""
    place = target.expanduser().resolve()
    for own in (home.bars, home.dagster, home.cache):
        if own.resolve() in {place, *place.parents}:
            raise BadInput(f"{own} is the home's own folder; name another one")


class _Writer:
    def __init__(self, home: Home, order: Order, folder: Unfinished) -> None:
        self._order = order
        self._folder = folder
        self._clock = home.clock
        self._catalog = Catalog(home.engine, home.clock)
        self._verdicts = Verdicts(home.engine, home.clock)
        self._extractor = Extractor(Provenance(home.engine, home.bars), self._catalog, order.take)
        self._providers = Providers()

    def run(self, told: Callable[[SeriesLine], None]) -> Manifest:
        """Write all but the manifest."""
        created, market_now = self._clock.wall_now(), self._clock.market_now()
        lines: list[SeriesLine] = []
        with ExitStack() as stack:
            symbols, scores, actions, providers = (
                stack.enter_context(self._folder.listing(path))
                for path in (SYMBOLS, SCORES, ACTIONS, PROVIDERS)
            )
            for line in self._series(symbols, scores, actions):
                lines.append(line)
                told(line)
            providers.add(self._providers.rows())
            facts = tuple(one.end() for one in (symbols, providers, scores, actions))
        within = self._order.take.within
        return Manifest(
            layout=self._order.layout,
            created=spelled(created),
            market_now=spelled(market_now),
            basis=self._order.take.adjust.basis,
            adj_close=self._order.take.adj_close,
            start=None if within is None else spelled(within.start),
            end=None if within is None else spelled(within.end),
            series=tuple(lines),
            facts=facts,
        )

    def _series(self, symbols: Listing, scores: Listing, actions: Listing) -> Iterator[SeriesLine]:
        wanted = sorted(set(self._order.series), key=in_grid_order)
        facts = self._catalog.facts({one.instrument for one in wanted})
        for instrument, ours in groupby(wanted, lambda one: one.instrument):
            frames = [one.timeframe for one in ours]
            known = facts[instrument]
            symbols.add([symbol_row(instrument, known, frames)])
            for number, (extract, of) in enumerate(self._extractor.of(instrument, frames, known)):
                if not number:
                    actions.add(action_rows(instrument, of))
                scores.add([score_row(extract.series, self._verdicts.of(extract.series))])
                self._providers.add(extract)
                yield self._put(extract)

    def _put(self, extract: Extract) -> SeriesLine:
        line = SeriesLine(
            series=extract.series,
            version=extract.version,
            rows=len(extract.bars),
            first=None,
            last=None,
            currency=extract.currency,
            providers=tuple(sorted({one.provider for one in extract.sources.values()})),
            origins=tuple(sorted({one.origin for one in extract.sources.values()})),
            files=tuple(self._files(extract)),
        )
        if not line.rows:
            return line
        index = pd.DatetimeIndex(extract.bars.index)
        return replace(line, first=spelled(index[0]), last=spelled(index[-1]))

    def _files(self, extract: Extract) -> Iterator[FileLine]:
        if self._order.layout is Layout.CSV:
            for path, data in gzip_csv.files_of(extract):
                yield self._folder.put(path, data)
        elif len(extract.bars):
            path = f"{BARS}/{parquet.path_of(extract.series)}"
            yield self._folder.put(path, parquet.encode(extract))
