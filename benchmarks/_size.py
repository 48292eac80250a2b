"""Bytes that a bar takes with each keeper, in prices of two to four digits.

Not here: what reading and writing take (_contest). The store is measured as it is kept: a fetch a
day, each bar with its fetch and state. A peer writes the year once, at its best, without either.
"""

from collections.abc import Iterator
from pathlib import Path

from _kept import Store, folder_bytes
from _peers import GzipCsv, SqliteRows, YearParquet
from _subjects import Work, arctic
from _walk import DIGITS, minutes

from marketdata_pipeline.domain.series import Series


def sizes(sessions: int, store: Store, folder: Path) -> Iterator[tuple[str, int, float]]:
    """Who, digits, bytes a bar."""
    for digits in DIGITS:
        bars, series = minutes(sessions, digits), Series.parse(f"B{digits}|1m")
        store.write_daily(series, bars)
        yield "store", digits, store.stored_bytes(series) / len(bars)
        place = folder / f"{digits}"
        place.mkdir()
        csv, parquet, rows = place / "csv", place / "parquet", place / "rows"
        GzipCsv(csv).write(series, bars)
        YearParquet(parquet).write(series, bars)
        table = SqliteRows(rows)
        table.write(series, bars)
        table.close()
        for name, where in (("gzip CSV", csv), ("Parquet", parquet), ("SQLite rows", rows)):
            yield name, digits, folder_bytes(where) / len(bars)
        with arctic(place / "arctic") as subject:
            if subject is not None:
                subject.ask(Work.WRITE, [series], bars, 1)
                yield subject.name, digits, folder_bytes(place / "arctic" / "lmdb") / len(bars)
