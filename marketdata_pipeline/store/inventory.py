"""What lies in the store: bars, bytes, chunks and providers, of a series or of all.

Not here: what the bars are worth (verdicts), and how far they reach in time (catalog).
"""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from sqlalchemy import ColumnElement, Connection, Engine, case, func, select

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import chunks, fetches, restatements
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.bars import COLUMNS, labels_of
from marketdata_pipeline.domain.ranges import from_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.store import quarantine
from marketdata_pipeline.store.bars import BarStore

PLAIN_BYTES = 8 * (1 + len(COLUMNS))
"""Of a bar as a label and five numbers of 64 bits, against which compression is measured."""


@dataclass(frozen=True, slots=True)
class Info:
    """What is stored of a series.

    Attributes:
        rows, first, last: its bars and the labels of the first and the last one.
        years: bars by the year (UTC) of their label.
        providers: bars by the provider that each came from; derived ones come from ``derived``.
        chunks, size: chunks that hold them, and their bytes in catalog and files.
        superseded: bars that are kept beside them for reads as of an instant.
        restated: changes of final bars.
    """

    series: Series
    rows: int
    first: datetime | None
    last: datetime | None
    years: dict[int, int]
    providers: dict[str, int]
    chunks: int
    size: int
    superseded: int
    restated: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is stored in all.

    Attributes:
        series, rows: series with bars, and the bars that count.
        chunks, files: chunks that hold them, and how many of these are files.
        size: bytes of those chunks.
        superseded_size: bytes of chunks of which nothing counts any more.
        fetches: requests that were answered, and derivations.
        quarantined: parts of replies that are held in quarantine.
    """

    series: int
    rows: int
    chunks: int
    files: int
    size: int
    superseded_size: int
    fetches: int
    quarantined: int = 0

    @property
    def bytes_a_bar(self) -> float:
        """Bytes of a bar as it is stored; 0 where there is none."""
        return self.size / self.rows if self.rows else 0.0

    @property
    def compression(self) -> float:
        """How many times smaller the bars are than as plain numbers; 0 where there is none."""
        return self.rows * PLAIN_BYTES / self.size if self.size else 0.0


class Inventory:
    """Counts what is in the catalog behind ``engine`` and in the files below ``folder``."""

    def __init__(self, engine: Engine, folder: Path, store: BarStore) -> None:
        self._engine = engine
        self._folder = folder
        self._store = store

    def info(self, series: Series) -> Info:
        """What is stored of a series; nothing of an unknown one.

        Raises:
            StoreError: the catalog or a bar file is unreadable.
        """
        bars = self._store.read_with_fetches(series)
        labels = labels_of(bars)
        years = labels.astype("datetime64[us]").astype("datetime64[Y]").astype(np.int64) + 1970
        ours = series_table.c.key == str(series)
        with reading(self._engine) as connection:
            live = self._size(connection, ours, chunks.c.superseded_at.is_(None))
            lost = select(func.sum(chunks.c.rows)).join_from(chunks, series_table)
            changed = select(func.count()).select_from(restatements.join(series_table))
            return Info(
                series=series,
                rows=len(bars),
                first=from_micros(int(labels[0])) if len(labels) else None,
                last=from_micros(int(labels[-1])) if len(labels) else None,
                years=dict(sorted(Counter(years.tolist()).items())),
                providers=_providers(connection, ours, bars["fetch_id"].to_numpy()),
                chunks=live.chunks,
                size=live.size,
                superseded=connection.execute(
                    lost.where(ours, chunks.c.superseded_at.is_not(None))
                ).scalar()
                or 0,
                restated=connection.execute(changed.where(ours)).scalar_one(),
            )

    def statistics(self) -> Statistics:
        """What is stored in all; read in a constant number of queries, and the files' sizes."""
        with reading(self._engine) as connection:
            live = self._size(connection, chunks.c.superseded_at.is_(None))
            lost = self._size(connection, chunks.c.superseded_at.is_not(None))
            held = series_table.c.rows
            count = func.sum(case((held > 0, 1), else_=0))
            series, rows = connection.execute(select(count, func.sum(held))).one()
            asked = connection.execute(select(func.count()).select_from(fetches)).scalar_one()
            apart = quarantine.held(connection)
        return Statistics(
            series=int(series or 0),
            rows=int(rows or 0),
            chunks=live.chunks,
            files=live.files,
            size=live.size,
            superseded_size=lost.size,
            fetches=asked,
            quarantined=apart,
        )

    def _size(self, connection: Connection, *such: ColumnElement[bool]) -> "_Size":
        inline = (
            select(func.count(), func.sum(func.length(chunks.c.data)))
            .join_from(chunks, series_table)
            .where(chunks.c.path.is_(None), *such)
        )
        count, size = connection.execute(inline).one()
        paths = select(chunks.c.path).join_from(chunks, series_table)
        filed = connection.execute(paths.where(chunks.c.path.is_not(None), *such)).scalars().all()
        total = int(size or 0)
        for path in filed:
            with suppress(FileNotFoundError):  # verify tells
                total += (self._folder / path).stat().st_size
        return _Size(count + len(filed), len(filed), total)


@dataclass(frozen=True, slots=True)
class _Size:
    chunks: int
    files: int
    size: int


def _providers(
    connection: Connection, ours: ColumnElement[bool], fetch_ids: np.ndarray
) -> dict[str, int]:
    """How many bars came from each provider, the most first."""
    ids, counts = np.unique(fetch_ids, return_counts=True)
    wanted = select(fetches.c.id, fetches.c.provider).join_from(fetches, series_table)
    names = {row.id: row.provider for row in connection.execute(wanted.where(ours))}
    total: Counter[str] = Counter()
    for one, count in zip(ids.tolist(), counts.tolist(), strict=True):
        total[names.get(one, "unknown")] += count
    return dict(total.most_common())
