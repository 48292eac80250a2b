"""The one transaction in which a write becomes part of a series.

Not here: encoding its bars beforehand, and making the transaction again (bars).
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, UpdateBase, bindparam, case, update

from marketdata_pipeline.database.dialect import wall_micros
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.ranges import MICROSECOND, TimeRange, from_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.store import chunks as chunk_rows
from marketdata_pipeline.store import identity, ledger
from marketdata_pipeline.store.chunks import Piece
from marketdata_pipeline.store.files import BarFiles
from marketdata_pipeline.store.write import Committed, Stale, Write


@dataclass(slots=True)
class Transaction:
    """The one transaction of a write; ``complete`` once only its COMMIT is left to do."""

    files: BarFiles
    clock: Clock
    write: Write
    pieces: list[Piece]
    expected_version: int | None
    complete: bool = False

    def run(self, connection: Connection, *, rows_new: int) -> Committed:
        """All statements of the write, on a connection whose caller commits.

        Raises:
            Stale: the series is not as expected any more.
        """
        self.complete = False
        write = self.write
        instrument = identity.instrument_id(connection, write.series.instrument)
        ledger.lock_instrument(connection, write, instrument)
        series = identity.series_id(connection, write.series)
        now = wall_micros(connection, self.clock)
        raised = self._raise_version(connection, series, rows_new, now)
        if self.expected_version is None and self.pieces:
            self._look_again(connection, series)
        fetch = ledger.insert_fetch(connection, write, series, now)
        chunk_rows.insert_pieces(connection, self.pieces, series, fetch, int(raised.version))
        coverage = ledger.change_coverage(connection, series, write.coverage)
        ledger.add_actions(connection, write, instrument, fetch)
        self.complete = True
        return Committed(
            fetch_id=fetch,
            fetch=write.fetch,
            brought=bool(self.pieces),
            rows_new=rows_new,
            version=int(raised.version),
            rows=int(raised.rows),
            first=None if raised.first_ts is None else from_micros(raised.first_ts),
            last=None if raised.last_ts is None else from_micros(raised.last_ts),
            coverage=coverage,
        )

    def _raise_version(
        self, connection: Connection, series: int, rows_new: int, now: int
    ) -> Row[*tuple[Any, ...]]:
        """Lock the series' row, demanding the expected version of it; the row as it is now."""
        statement = _raising(
            expected=self.expected_version is not None,
            aside=self.write.aside,
            bars=bool(self.pieces),
        )
        given = {"of": series, "rows_new": rows_new, "now": now, "expected": self.expected_version}
        if self.pieces:
            given |= {"first": self.pieces[0].ts_min, "last": self.pieces[-1].ts_max}
        raised = connection.execute(statement, given).first()
        if raised is None:
            raise stale(self.write.series)
        return raised

    def _look_again(self, connection: Connection, series: int) -> None:
        """Two writers can both have seen an empty window: the second finds the first's bars."""
        span = TimeRange(
            from_micros(self.pieces[0].ts_min), from_micros(self.pieces[-1].ts_max) + MICROSECOND
        )
        found = chunk_rows.overlapping(connection, series, span)
        if len(chunk_rows.bars_in(found, self.files, self.write.series, span).ts):
            raise stale(self.write.series)


@cache
def _raising(*, expected: bool, aside: bool, bars: bool) -> UpdateBase:
    """The statement that raises a series' version where there are bars; made once of each kind."""
    row = series_table.c
    statement = update(series_table).where(row.id == bindparam("of"))
    if expected:
        statement = statement.where(row.version == bindparam("expected"))
    values: dict[str, Any] = {"rows": row.rows + bindparam("rows_new", type_=BigInteger)}
    if not aside:
        errors = dict.fromkeys(("error_category", "error_message", "error_at"))
        values |= {"updated_at": bindparam("now"), **errors}
    if bars:
        first, last = (bindparam(name, type_=BigInteger) for name in ("first", "last"))
        values |= {
            "version": row.version + 1,
            "first_ts": case((row.first_ts < first, row.first_ts), else_=first),
            "last_ts": case((row.last_ts > last, row.last_ts), else_=last),
        }
    return statement.values(values).returning(row.version, row.rows, row.first_ts, row.last_ts)


def stale(series: Series) -> Stale:
    """The error of a write that was judged against bars that are not the stored ones any more."""
    return Stale(f"{series} was changed by another writer; ask again")
