"""A series as it is taken out: adjusted, each bar with its provider and state, at one version.

Not here: which series, and how they become files (parquet, gzip_csv).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.actions import Action, Adjust, adjusted
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.store.catalog import Catalog, Facts
from marketdata_pipeline.store.provenance import Provenance, Source
from marketdata_pipeline.store.write import State

STATES = np.array([one.name.lower() for one in sorted(State)], dtype=object)
"""How a state is spelled, by its number."""


@dataclass(frozen=True, slots=True)
class Take:
    """What of each series is taken out.

    Attributes:
        within: label range; None: all.
        adjust: the basis of open, high, low, close and volume.
        adj_close: whether a column of that name is added: the close adjusted for splits and
            dividends, whatever the basis of the others.
    """

    within: TimeRange | None = None
    adjust: Adjust = Adjust.SPLITS
    adj_close: bool = False

    @property
    def pays(self) -> bool:
        """Whether payments are taken out of any column, which needs the closes of days."""
        return self.adj_close or self.adjust is Adjust.ALL


@dataclass(frozen=True, slots=True, eq=False)
class Extract:
    """A series, taken out.

    Attributes:
        version: of what was read; 0 where nothing is stored.
        basis: ``raw``, ``splits`` or ``all``.
        currency: as the provider writes it; None: not told.
        bars: shaped as ``domain.bars`` says, with ``adj_close`` where it was asked for.
        fetch_id, state: aligned to ``bars``; a state is its number.
        sources: of each fetch that a bar points to.
    """

    series: Series
    version: int
    basis: str
    currency: str | None
    bars: pd.DataFrame
    fetch_id: np.ndarray
    state: np.ndarray
    sources: Mapping[int, Source]

    def rows(self, at: slice) -> "Extract":
        """Some of its rows."""
        ids = self.fetch_id[at]
        kept = {one: self.sources[one] for one in np.unique(ids).tolist()}
        return Extract(
            series=self.series,
            version=self.version,
            basis=self.basis,
            currency=self.currency,
            bars=self.bars.iloc[at],
            fetch_id=ids,
            state=self.state[at],
            sources=kept,
        )

    def providers(self) -> np.ndarray:
        """The provider of each bar."""
        ids, position = np.unique(self.fetch_id, return_inverse=True)
        names = [self.sources[one].provider for one in ids.tolist()]
        return np.array(names, dtype=object)[position]


@dataclass(frozen=True, slots=True)
class Extractor:
    """Takes series out, one after the other; nothing of one is kept for the next instrument."""

    provenance: Provenance
    catalog: Catalog
    take: Take

    def of(
        self, instrument: Instrument, timeframes: Iterable[Timeframe], facts: Facts
    ) -> Iterator[tuple[Extract, tuple[Action, ...]]]:
        """Each of an instrument's series with the actions that it was adjusted by.

        Raises:
            StoreError: the catalog or a file is unreadable; the text names series and file.
        """
        actions = self.catalog.known_actions([instrument])[instrument].actions
        days = Series(instrument, Timeframe.D1)
        daily = cache(lambda: self.provenance.read(days).bars["close"])
        for timeframe in timeframes:
            series = Series(instrument, timeframe)
            found = self.provenance.read(series, self.take.within)
            bars = adjusted(found.bars, series, self.take.adjust, actions, daily)
            if self.take.adj_close:
                fully = adjusted(found.bars, series, Adjust.ALL, actions, daily)
                bars = bars.assign(adj_close=fully["close"])
            extract = Extract(
                series=series,
                version=found.version,
                basis=self.take.adjust.basis,
                currency=facts.currency,
                bars=bars,
                fetch_id=found.fetch_id,
                state=found.state,
                sources=found.sources,
            )
            yield extract, actions


def spelled(at: datetime) -> str:
    """An instant in UTC, to the second where it has no finer part: ``2024-01-31T14:30:00Z``."""
    return at.isoformat().replace("+00:00", "Z")
