"""The one transaction in which a write becomes part of a series.

Not here: encoding its bars beforehand, and making the transaction again (bars).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, UpdateBase, bindparam, case, update

from marketdata_pipeline.database.dialect import is_postgres, server_clock
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.ranges import MICROSECOND, TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import WriteConflict
from marketdata_pipeline.store import chunks as chunk_rows
from marketdata_pipeline.store import identity, journal, ledger, quarantine
from marketdata_pipeline.store.actions import add_actions
from marketdata_pipeline.store.chunks import Piece, Standing
from marketdata_pipeline.store.files import BarFiles
from marketdata_pipeline.store.journal import Change
from marketdata_pipeline.store.write import Committed, Stale, Write

LONGEST_TAIL = 8192
"""Rows since the last compaction, a chunk counting as 512 at least, from which on it is time."""
_LEAST_GROWTH = 512


@dataclass(slots=True)
class Transaction:
    """The one transaction of a write.

    Attributes:
        pieces: its bars, encoded, since the wall instant ``begun``.
        expected_version: which the series must still have; None: where no bar was stored.
        grace: after half of it the write is given up, since nobody may name its files any more.
        complete: only its COMMIT is left to do.
        tail: what the series' tail is afterwards.
    """

    files: BarFiles
    clock: Clock
    write: Write
    pieces: list[Piece]
    expected_version: int | None
    begun: datetime
    grace: timedelta
    complete: bool = False
    tail: int = 0

    def run(self, connection: Connection, *, rows_new: int, change: Change | None) -> Committed:
        """All statements of the write, on a connection whose caller commits.

        Raises:
            Stale: the series is not as expected any more.
            WriteConflict: the write took so long that its files may be gone.
        """
        self.complete = False
        write = self.write
        instrument = identity.instrument_id(connection, write.series.instrument)
        ledger.lock_instrument(connection, write, instrument)
        series = identity.series_id(connection, write.series)
        raised = self._raise_version(connection, series, rows_new)
        if self.expected_version is None and self.pieces:
            self._look_again(connection, series)
        fetch = ledger.insert_fetch(connection, write, series, self._brought(raised))
        standing = Standing(int(raised.version), fetch)
        chunk_rows.insert_pieces(connection, self.pieces, series, standing)
        if change is not None:
            journal.record(connection, change, series, fetch, int(raised.now))
        coverage = ledger.change_coverage(connection, series, write.coverage)
        add_actions(connection, write, instrument, fetch, int(raised.now))
        if write.apart:
            quarantine.keep_apart(connection, write, series, int(raised.now))
        self._in_time()
        self.tail, self.complete = int(raised.tail), True
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
        self, connection: Connection, series: int, rows_new: int
    ) -> Row[*tuple[Any, ...]]:
        """Lock the series' row, demanding the expected version of it; the row as it is now."""
        server = is_postgres(connection)
        statement = _raising(
            expected=self.expected_version is not None,
            aside=self.write.aside,
            bars=bool(self.pieces),
            server=server,
        )
        given = {"of": series, "rows_new": rows_new, "expected": self.expected_version}
        if not server:
            given["now"] = to_micros(self.clock.wall_now())
        if self.pieces:
            given |= {"first": self.pieces[0].ts_min, "last": self.pieces[-1].ts_max}
            given["grown"] = sum(map(_growth, self.pieces))
        raised = connection.execute(statement, given).first()
        if raised is None:
            raise stale(self.write.series)
        return raised

    def _brought(self, raised: Row[*tuple[Any, ...]]) -> ledger.Brought:
        if not self.pieces:
            return ledger.Brought(int(raised.now))
        first, last = self.pieces[0].ts_min, self.pieces[-1].ts_max
        return ledger.Brought(int(raised.now), int(raised.version), first, last)

    def _look_again(self, connection: Connection, series: int) -> None:
        """Two writers can both have seen an empty window: the second finds the first's bars."""
        span = TimeRange(
            from_micros(self.pieces[0].ts_min), from_micros(self.pieces[-1].ts_max) + MICROSECOND
        )
        found = chunk_rows.overlapping(connection, series, span)
        if len(chunk_rows.bars_in(found, self.files, self.write.series, span).ts):
            raise stale(self.write.series)

    def _in_time(self) -> None:
        filed = any(piece.path is not None for piece in self.pieces)
        if filed and self.clock.wall_now() - self.begun > self.grace / 2:
            raise WriteConflict(f"{self.write.series}: the write took too long; run the same again")


def _growth(piece: Piece) -> int:
    return _LEAST_GROWTH if piece.path is not None else max(_LEAST_GROWTH, piece.rows)


@cache
def _raising(*, expected: bool, aside: bool, bars: bool, server: bool) -> UpdateBase:
    """The statement that raises a series' version where there are bars; made once of each kind.

    It tells the wall instant too, read when the row is locked: of writers that waited for each
    other the later one has the later instant.
    """
    row = series_table.c
    now = server_clock() if server else bindparam("now", type_=BigInteger)
    statement = update(series_table).where(row.id == bindparam("of"))
    if expected:
        statement = statement.where(row.version == bindparam("expected"))
    values: dict[str, Any] = {"rows": row.rows + bindparam("rows_new", type_=BigInteger)}
    if not aside:
        errors = dict.fromkeys(("error_category", "error_message", "error_at"))
        values |= {"updated_at": now, **errors}
    if bars:
        first, last = (bindparam(name, type_=BigInteger) for name in ("first", "last"))
        values |= {
            "version": row.version + 1,
            "first_ts": case((row.first_ts < first, row.first_ts), else_=first),
            "last_ts": case((row.last_ts > last, row.last_ts), else_=last),
            "tail": row.tail + bindparam("grown", type_=BigInteger),
        }
    told = (row.version, row.rows, row.first_ts, row.last_ts, row.tail)
    return statement.values(values).returning(*told, now.label("now"))


def stale(series: Series) -> Stale:
    """The error of a write that was judged against bars that are not the stored ones any more."""
    return Stale(f"{series} was changed by another writer; ask again")
