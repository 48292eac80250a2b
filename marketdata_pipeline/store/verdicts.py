"""The verdict of each quality rule on each series, the latest one only.

Not here: the rules (quality) and what follows from a verdict (defs).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, bindparam, delete, select

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.dialect import one_of, upsert, wall_micros
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import quality, tracked_instruments
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.ranges import from_micros
from marketdata_pipeline.domain.report import Report
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.store import identity
from marketdata_pipeline.store.reports import note
from marketdata_pipeline.store.standings import Standing, standings

_JUDGED = select(series_table.c.key, quality).join_from(quality, series_table)
_OF_SERIES = _JUDGED.where(series_table.c.key == bindparam("key"))


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on a series, whether it is tracked, and the label of its newest bar (or None)."""

    verdict: Verdict
    tracked: bool
    last: datetime | None


class Verdicts:
    """The quality table in the catalog behind ``engine``."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def put(
        self,
        series: Series,
        verdicts: Mapping[str, Verdict],
        *,
        gone: Collection[str] = (),
        report: Report | None = None,
        run_id: str | None = None,
    ) -> None:
        """Keep a series' verdicts by rule, in place of earlier ones of the same rules.

        Args:
            series: which one.
            verdicts: by rule.
            gone: rules that apply no longer; what they said is forgotten.
            report: what all of it comes to, kept where it differs from the one before.
            run_id: Dagster's run that judges.

        Raises:
            WriteConflict: the series was removed meanwhile, or the catalog stayed busy.
            StoreError: the catalog refuses the write.
        """

        def enter(connection: Connection) -> None:
            known = identity.lock_series(connection, series)
            now = wall_micros(connection, self._clock)
            rows = [
                {
                    "series_id": known,
                    "rule": rule,
                    "passed": one.passed,
                    "score": one.score,
                    "detail": one.detail,
                    "judged_at": now,
                }
                for rule, one in sorted(verdicts.items())
            ]
            upsert(connection, quality, ("series_id", "rule"), rows)
            if gone:
                row = quality.c
                old = one_of(connection, row.rule, sorted(gone))
                connection.execute(delete(quality).where(row.series_id == known, old))
            if report is not None:
                note(connection, known, report, now, run_id)

        retry.write(self._engine, self._clock, enter)

    def of(self, series: Series) -> dict[str, Verdict]:
        """The verdicts on a series by rule; empty where it was never judged."""
        with reading(self._engine) as connection:
            rows = connection.execute(_OF_SERIES, {"key": str(series)})
            return {row.rule: _verdict(row) for row in rows}

    def of_all(self, series: Iterable[Series]) -> dict[Series, dict[str, Verdict]]:
        """The same of each of these series, in one query."""
        by_key = {str(one): one for one in series}
        found: dict[Series, dict[str, Verdict]] = {one: {} for one in by_key.values()}
        with reading(self._engine) as connection:
            ours = one_of(connection, series_table.c.key, by_key)
            for row in connection.execute(_JUDGED.where(ours)):
                found[by_key[row.key]][row.rule] = _verdict(row)
        return found

    def all(self, rule: str, among: Iterable[Series] | None = None) -> dict[Series, Verdict]:
        """The verdict of a rule on every series that it judged, or on those ``among`` some."""
        wanted = _JUDGED.where(quality.c.rule == rule)
        with reading(self._engine) as connection:
            if among is not None:
                keys = [str(one) for one in among]
                wanted = wanted.where(one_of(connection, series_table.c.key, keys))
            rows = connection.execute(wanted)
            return {Series.parse(row.key): _verdict(row) for row in rows}

    def standings(
        self, rules: Collection[str], named: Collection[Series] = (), *, most: int = 20
    ) -> dict[str, Standing]:
        """How each of these rules stands over all series; see ``standings``."""
        with reading(self._engine) as connection:
            return standings(connection, rules, named, most)

    def kept(self, rule: str, also: Collection[Series] = ()) -> dict[Series, Judged]:
        """The verdict of a rule on every series that counts, and on those named.

        A series counts that is tracked; another one once it holds bars, unless its instrument is
        tracked no longer. Neither that one nor what no provider has says anything of what is kept.
        """
        wanted = (
            _JUDGED.add_columns(
                series_table.c.timeframe,
                series_table.c.rows,
                series_table.c.last_ts,
                tracked_instruments.c.timeframes,
                tracked_instruments.c.untracked_at,
            )
            .outerjoin(
                tracked_instruments,
                tracked_instruments.c.instrument_id == series_table.c.instrument_id,
            )
            .where(quality.c.rule == rule)
        )
        named = {str(one) for one in also}
        with reading(self._engine) as connection:
            rows = connection.execute(wanted).all()
        return {
            Series.parse(row.key): Judged(
                _verdict(row),
                _is_tracked(row),
                None if row.last_ts is None else from_micros(row.last_ts),
            )
            for row in rows
            if row.key in named or _counts(row)
        }


def _is_tracked(row: Row[*tuple[Any, ...]]) -> bool:
    known = row.timeframes is not None and row.untracked_at is None
    return known and row.timeframe in row.timeframes.split(",")


def _counts(row: Row[*tuple[Any, ...]]) -> bool:
    return _is_tracked(row) or bool(row.rows and row.untracked_at is None)


def _verdict(row: Row[*tuple[Any, ...]]) -> Verdict:
    return Verdict(passed=row.passed, score=row.score, detail=row.detail)
