"""The reports on each series: one row whenever what it says differs from the one before.

Not here: making a report (quality), the verdicts of its rules (verdicts).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, bindparam, delete, func, insert, select

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.dialect import one_of, wall_micros
from marketdata_pipeline.database.doubting import reports
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.ranges import from_micros, to_micros
from marketdata_pipeline.domain.report import Report
from marketdata_pipeline.domain.series import Series

_NEWEST = (
    select(reports.c.report)
    .where(reports.c.series_id == bindparam("of_series"))
    .order_by(reports.c.id.desc())
    .limit(1)
)
_INSERT = insert(reports)


@dataclass(frozen=True, slots=True)
class Kept:
    """A report, the wall instant at which it was noted, and the run that made it."""

    report: Report
    judged_at: datetime
    run_id: str | None


def note(
    connection: Connection, series_id: int, report: Report, now: int, run_id: str | None
) -> bool:
    """Enter a report unless it says what the one before says; whether it was entered.

    ``series_id`` is of a row that the transaction holds, ``now`` in wall microseconds.
    """
    newest = connection.execute(_NEWEST, {"of_series": series_id}).scalar()
    before = None if newest is None else Report.of_json(json.loads(newest))
    told = report.after(before)
    if before is not None and told.says_the_same_as(before):
        return False
    row = {
        "series_id": series_id,
        "judged_at": now,
        "market_at": to_micros(told.market_at),
        "run_id": run_id,
        "is_valid": told.is_valid,
        "score": told.score,
        "report": json.dumps(told.as_json(), separators=(",", ":")),
    }
    connection.execute(_INSERT, row)
    return True


class Reports:
    """The table of reports in the catalog behind ``engine``."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def of(self, series: Series) -> list[Kept]:
        """All that is kept of a series, oldest first."""
        wanted = (
            select(reports)
            .join_from(reports, series_table)
            .where(series_table.c.key == str(series))
            .order_by(reports.c.id)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(wanted).all()
        return [
            Kept(Report.of_json(json.loads(row.report)), from_micros(row.judged_at), row.run_id)
            for row in rows
        ]

    def newest(self, series: Iterable[Series]) -> dict[Series, Report]:
        """The last report on each series that has one, in one query."""
        by_key = {str(one): one for one in series}
        with reading(self._engine) as connection:
            last = (
                select(func.max(reports.c.id))
                .join_from(reports, series_table)
                .where(one_of(connection, series_table.c.key, by_key))
                .group_by(reports.c.series_id)
            )
            wanted = (
                select(series_table.c.key, reports.c.report)
                .join_from(reports, series_table)
                .where(reports.c.id.in_(last))
            )
            rows = connection.execute(wanted).all()
        return {by_key[row.key]: Report.of_json(json.loads(row.report)) for row in rows}

    def prune(self, kept: timedelta) -> int:
        """Remove reports that are older; the last one on each series stays. How many those were."""

        def remove(connection: Connection) -> int:
            before = wall_micros(connection, self._clock) - to_micros(from_micros(0) + kept)
            newest = select(func.max(reports.c.id)).group_by(reports.c.series_id)
            old = delete(reports).where(reports.c.judged_at < before, reports.c.id.not_in(newest))
            return connection.execute(old).rowcount

        return retry.write(self._engine, self._clock, remove)
