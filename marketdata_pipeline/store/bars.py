"""The bar store: reading a series' bars, and committing a fetch with all that it answers.

Not here: which bars may be stored, and what to do about a stale version; the writer decides.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Engine, Row, bindparam, func, select

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.dialect import one_of
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import coverage, fetches
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.bars import frame, labels_inside
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.coverage import Coverage, Reached, Span
from marketdata_pipeline.domain.quarantine import Kept
from marketdata_pipeline.domain.ranges import MICROSECOND, TimeRange, from_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import ContractViolation, StoreError, WriteConflict
from marketdata_pipeline.store import chunks as chunk_rows
from marketdata_pipeline.store import identity, journal, ledger, quarantine
from marketdata_pipeline.store.codec import Rows, rows_of
from marketdata_pipeline.store.compact import Compactor
from marketdata_pipeline.store.files import GRACE, BarFiles
from marketdata_pipeline.store.history import rows_as_of
from marketdata_pipeline.store.journal import Change, Restatement, against_finals
from marketdata_pipeline.store.newest import newest
from marketdata_pipeline.store.transaction import LONGEST_TAIL, Transaction, stale
from marketdata_pipeline.store.write import Committed, Snapshot, State, Write

_VERSION = select(series_table.c.id, series_table.c.version).where(
    series_table.c.key == bindparam("key")
)
_FETCHED = (
    select(fetches.c.id, fetches.c.fetched_at, fetches.c.provider)
    .join_from(fetches, series_table)
    .where(
        series_table.c.key == bindparam("key"),
        fetches.c.id.between(bindparam("first"), bindparam("last")),
    )
)


class BarStore:
    """The bars of all series: chunks in the catalog behind ``engine``, files below ``folder``."""

    def __init__(
        self, engine: Engine, folder: Path, clock: Clock, *, grace: timedelta = GRACE
    ) -> None:
        self._engine = engine
        self._files = BarFiles(folder)
        self._clock = clock
        self._grace = grace
        self._compactor = Compactor(engine, folder, clock, grace=grace)

    def read(
        self, series: Series, within: TimeRange | None = None, *, as_of: datetime | None = None
    ) -> pd.DataFrame:
        """The raw bars with a label in ``within`` (None: all), as ``domain.bars`` shapes them.

        Args:
            series: which one.
            within: label range.
            as_of: wall instant: only bars whose fetch was committed by then, with the values that
                they had. ``attrs["superseded_since"]`` says from which instant on that is all of
                it (None: always): of what was replaced before, while it was provisional, nothing
                is left, so an earlier ``as_of`` lacks it.

        Raises:
            StoreError: the catalog or a file is unreadable; the text names series and file.
        """
        if as_of is None:
            return _frame(self._rows(series, within))
        with reading(self._engine) as connection:
            rows, since = rows_as_of(connection, self._files, series, within, as_of)
        found = _frame(rows)
        found.attrs = {"as_of": as_of.isoformat(), "superseded_since": since and since.isoformat()}
        return found

    def restatements(self, series: Series, within: TimeRange | None = None) -> list[Restatement]:
        """The changes of final bars with a label in ``within`` (None: all), oldest first."""
        with reading(self._engine) as connection:
            return journal.restatements_of(connection, series, within)

    def read_with_fetches(self, series: Series, within: TimeRange | None = None) -> pd.DataFrame:
        """The same with the columns ``fetch_id`` (int32) and ``state`` (int8, see State)."""
        rows = self._rows(series, within)
        return _frame(rows).assign(fetch_id=rows.fetch_id, state=rows.state)

    def tail(self, series: Series, rows: int) -> pd.DataFrame:
        """The last ``rows`` bars, or all where there are fewer."""
        with reading(self._engine) as connection:
            return _frame(newest(connection, self._files, series, rows))

    def snapshot(self, series: Series, within: TimeRange | None = None) -> Snapshot:
        """The bars in ``within`` at one version, each with its state and its fetch's instant.

        Raises:
            StoreError: as ``read`` does, or a bar's fetch is none of the series'.
        """
        with reading(self._engine) as connection:
            version, rows = self._versioned(connection, series, within)
            at, provider = _fetched(connection, series, rows.fetch_id)
        return Snapshot(version, _frame(rows), at, rows.state, provider)

    def quarantined(self, series: Series, within: TimeRange | None = None) -> list[Kept]:
        """What is or was in quarantine of a series, oldest first, in one query.

        ``within``: only what has bars with a label in it, or none at all; None: everything.
        """
        with reading(self._engine) as connection:
            return quarantine.of_series(connection, series, within)

    def coverage(self, series: Iterable[Series]) -> dict[Series, Coverage]:
        """The coverage of each series, in one query; empty for an unknown one."""
        by_key = {str(one): one for one in series}
        spans: dict[Series, list[Row[*tuple[Any, ...]]]] = {one: [] for one in by_key.values()}
        with reading(self._engine) as connection:
            wanted = (
                select(series_table.c.key, coverage)
                .join_from(coverage, series_table)
                .where(one_of(connection, series_table.c.key, by_key))
                .order_by(coverage.c.start)
            )
            for row in connection.execute(wanted):
                spans[by_key[row.key]].append(row)
        return {one: ledger.spans_of(rows) for one, rows in spans.items()}

    def reached(self, series: Iterable[Series], market_now: datetime) -> dict[Series, Reached]:
        """How far each series is covered at a market instant, in one query; unknown ones nowhere.

        The database sums up the spans, of which a series has ten and more.
        """
        by_key = {str(one): one for one in series}
        found = dict.fromkeys(by_key.values(), Reached())
        with reading(self._engine) as connection:
            ours = one_of(connection, series_table.c.key, by_key)
            for row in connection.execute(ledger.select_reached(market_now).where(ours)):
                found[by_key[row.key]] = ledger.reached_of(row)
        return found

    def cover(self, series: Series, spans: Iterable[Span]) -> Coverage:
        """Put spans over a series' coverage without any fetch; the coverage afterwards.

        Raises:
            WriteConflict: the series was removed meanwhile, or the catalog stayed busy.
            StoreError: the catalog refuses the write.
        """
        fresh = list(spans)

        def overlay(connection: Connection) -> Coverage:
            known = identity.lock_series(connection, series)
            return ledger.change_coverage(connection, known, lambda one: one.overlay(fresh))

        return retry.write(self._engine, self._clock, overlay)

    def versions(self, series: Iterable[Series]) -> dict[Series, int]:
        """The version of each series, in one query; 0 for one without bars."""
        with reading(self._engine) as connection:
            return identity.versions(connection, series)

    def changed_since(self, series: Series, version: int) -> TimeRange | None:
        """The span of all labels that were written after ``version``, or None."""
        with reading(self._engine) as connection:
            first, last = connection.execute(
                select(func.min(fetches.c.first_ts), func.max(fetches.c.last_ts))
                .join_from(fetches, series_table)
                .where(series_table.c.key == str(series), fetches.c.version > version)
            ).one()
        if first is None:
            return None
        return TimeRange(from_micros(first), from_micros(last) + MICROSECOND)

    def commit(self, write: Write, *, expected_version: int | None) -> Committed:
        """Store a fetch, its bars, and the coverage, actions and facts that it answers, or nothing.

        The version rises where there are bars. Errors noted on the series are cleared.

        Args:
            write: what to store.
            expected_version: of the snapshot that the bars were judged against; None where no
                bar was stored between the first and the last of them.

        Raises:
            Stale: that is not so any more; nothing was written.
            WriteConflict: the catalog stayed busy; nothing was written.
            ContractViolation: the bars are unsorted, not unique, or not finite; or final bars
                change without a reason, or would become provisional.
            StoreError: the catalog or the folder refuses the write.
        """
        begun = self._clock.wall_now()
        fresh, known, change = self._against_stored(write, expected_version)
        pieces = chunk_rows.pieces_of(self._files, write.series, fresh, fetched=False)
        transaction = Transaction(
            self._files, self._clock, write, pieces, expected_version, begun, self._grace
        )
        try:
            done = retry.write(
                self._engine,
                self._clock,
                lambda connection: transaction.run(
                    connection, rows_new=len(fresh.ts) - known, change=change
                ),
            )
        except WriteConflict:
            chunk_rows.discard(self._files, pieces)
            raise
        except BaseException:
            # A connection that is lost at COMMIT leaves open whether the chunks now count.
            if not transaction.complete:
                chunk_rows.discard(self._files, pieces)
            raise
        if transaction.tail >= LONGEST_TAIL:
            self._compactor.attempt(write.series)
        return done

    def _against_stored(
        self, write: Write, expected_version: int | None
    ) -> tuple[Rows, int, Change | None]:
        """The bars to write, how many of their labels are stored, and which final bars change."""
        fresh = _checked(write)
        if expected_version is None or not len(fresh.ts):
            return fresh, 0, None
        with reading(self._engine) as connection:
            version, rows = self._versioned(connection, write.series, _span(fresh.ts))
        if version != expected_version:
            raise stale(write.series)
        left, change = against_finals(write.series, rows, fresh, write.reason)
        return left, int(np.isin(left.ts, rows.ts).sum()), change

    def _rows(self, series: Series, within: TimeRange | None) -> Rows:
        with reading(self._engine) as connection:
            return self._versioned(connection, series, within)[1]

    def _versioned(
        self, connection: Connection, series: Series, within: TimeRange | None
    ) -> tuple[int, Rows]:
        row = connection.execute(_VERSION, {"key": str(series)}).first()
        if row is None:
            return 0, chunk_rows.bars_in([], self._files, series, within)
        found = chunk_rows.overlapping(connection, row.id, within)
        return int(row.version), chunk_rows.bars_in(found, self._files, series, within)


def _span(labels: np.ndarray) -> TimeRange:
    return TimeRange(from_micros(int(labels[0])), from_micros(int(labels[-1])) + MICROSECOND)


def _checked(write: Write) -> Rows:
    rows = rows_of(write.bars, 0, write.state)
    rows.state[labels_inside(rows.ts, write.final)] = State.FINAL
    if (np.diff(rows.ts) <= 0).any():
        raise ContractViolation(f"{write.series}: bars to store must be sorted and unique")
    if not all(np.isfinite(column).all() for column in rows.columns.values()):
        raise ContractViolation(f"{write.series}: bars to store must be finite numbers")
    return rows


def _frame(rows: Rows) -> pd.DataFrame:
    return frame(rows.ts, rows.columns)


def _fetched(
    connection: Connection, series: Series, fetch_ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """When the fetch of each bar arrived, and its provider."""
    if not len(fetch_ids):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.str_)
    ids, position = np.unique(fetch_ids, return_inverse=True)
    asked = {"key": str(series), "first": int(ids[0]), "last": int(ids[-1])}
    known = {row.id: row for row in connection.execute(_FETCHED, asked)}
    strange = [one for one in ids.tolist() if one not in known]
    if strange:
        raise StoreError(
            f"{series}: its bars name the fetch {strange[0]}, which is none of the series'; "
            "run marketdata verify"
        )
    found = [known[one] for one in ids.tolist()]
    at = np.array([one.fetched_at for one in found], dtype=np.int64)
    return at[position], np.array([one.provider for one in found])[position]
