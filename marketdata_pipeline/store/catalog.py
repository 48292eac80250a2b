"""What is known of instruments and series beside their bars: facts, actions, summaries, errors.

Not here: bars and coverage (bars), and tracking.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, bindparam, func, select, true, update

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.dialect import one_of, wall_micros
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import (
    action_coverage,
    actions,
    fetches,
    instruments,
)
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.domain.ranges import TimeRange, from_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.store import identity
from marketdata_pipeline.store.actions import action_of, ranges_of
from marketdata_pipeline.store.write import Committed, FetchKind

_LONGEST_MESSAGE = 500
_AnyRow = Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class KnownActions:
    """Actions of an instrument, sorted, and the ranges in which they are all that there are."""

    actions: tuple[Action, ...] = ()
    covered: tuple[TimeRange, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What a provider told of an instrument; None: not told yet.

    ``asset_class`` is the spelling's until a provider told better; None: nothing of it is stored.
    """

    first_trade: date | None = None
    currency: str | None = None
    asset_class: AssetClass | None = None


@dataclass(frozen=True, slots=True)
class SeriesSummary:
    """A series in one line.

    Attributes:
        rows, first, last: what is stored; labels, None where nothing is.
        provider, origin: of the newest fetch that brought bars; empty where there is none.
        requests: HTTP requests that all its fetches took.
        version: rises with each write of bars; ``shown`` is the one that Dagster was last told of.
        base_version: of the base at the last derivation; None for a series that is fetched.
        updated_at: wall instant of the last successful write, bars or not.
        error_category, error_message, error_at: of the last update, where that one failed.
    """

    series: Series
    rows: int = 0
    first: datetime | None = None
    last: datetime | None = None
    provider: str = ""
    origin: str = ""
    requests: int = 0
    version: int = 0
    shown: int = 0
    base_version: int | None = None
    updated_at: datetime | None = None
    error_category: str | None = None
    error_message: str | None = None
    error_at: datetime | None = None

    def after(self, write: Committed) -> "SeriesSummary":
        """What a write made of it; requests and instants stay as they were told."""
        fetch = write.fetch
        return replace(
            self,
            rows=write.rows,
            first=write.first,
            last=write.last,
            provider=fetch.provider if write.brought else self.provider,
            origin=fetch.origin if write.brought else self.origin,
            version=write.version,
            base_version=fetch.base_version,
            error_category=None,
            error_message=None,
            error_at=None,
        )


@dataclass(frozen=True, slots=True)
class LastAsked:
    """The last update of a series: its wall instant, and the error's category where it failed."""

    at: datetime
    failed: str | None = None


class Catalog:
    """The catalog behind ``engine``; each method asks a constant number of queries."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def known_actions(self, wanted: Iterable[Instrument]) -> dict[Instrument, KnownActions]:
        """The actions of each instrument; none and nothing covered for an unknown one."""
        by_key = {one.key: one for one in wanted}
        found: dict[str, list[Action]] = {key: [] for key in by_key}
        covered: dict[str, list[TimeRange]] = {key: [] for key in by_key}
        with reading(self._engine) as connection:
            ours = one_of(connection, instruments.c.key, by_key)
            for row in connection.execute(
                select(instruments.c.key, actions).join_from(actions, instruments).where(ours)
            ):
                found[row.key].append(action_of(row))
            for row in connection.execute(
                select(instruments.c.key, action_coverage)
                .join_from(action_coverage, instruments)
                .where(ours)
                .order_by(action_coverage.c.start)
            ):
                covered[row.key] += ranges_of([row])
        return {
            one: KnownActions(tuple(sorted(found[key])), tuple(covered[key]))
            for key, one in by_key.items()
        }

    def facts(self, wanted: Iterable[Instrument]) -> dict[Instrument, Facts]:
        """What is known of each instrument."""
        by_key = {one.key: one for one in wanted}
        found = dict.fromkeys(by_key.values(), Facts())
        with reading(self._engine) as connection:
            ours = one_of(connection, instruments.c.key, by_key)
            for row in connection.execute(select(instruments).where(ours)):
                first = None if row.first_trade is None else date.fromisoformat(row.first_trade)
                kind = AssetClass(row.asset_class)
                found[by_key[row.key]] = Facts(first, row.currency, kind)
        return found

    def classes(self) -> dict[Instrument, AssetClass]:
        """The asset class of every instrument in the catalog, tracked or not, in one query.

        It is what a provider told, or what the spelling tells as long as none has.
        """
        wanted = select(instruments.c.key, instruments.c.asset_class).order_by(instruments.c.id)
        with reading(self._engine) as connection:
            rows = connection.execute(wanted).all()
        return {Instrument.parse(row.key): AssetClass(row.asset_class) for row in rows}

    def summaries(self, wanted: Iterable[Series] | None = None) -> list[SeriesSummary]:
        """One summary for each series, in the order asked; None: every series in the catalog."""
        keys = None if wanted is None else [str(one) for one in wanted]
        with reading(self._engine) as connection:
            ours = true() if keys is None else one_of(connection, series_table.c.key, keys)
            rows = connection.execute(
                select(series_table).where(ours).order_by(series_table.c.id)
            ).all()
            requests = _requests(connection, ours)
            newest = _newest_fetches(connection, ours, fetches.c.rows > 0)
            derived = _newest_fetches(connection, ours, fetches.c.kind == FetchKind.DERIVED.value)
        found = {
            row.key: _summary(row, requests.get(row.id, 0), newest.get(row.id), derived.get(row.id))
            for row in rows
        }
        if keys is None:
            return list(found.values())
        return [found.get(key) or SeriesSummary(Series.parse(key)) for key in keys]

    def record_error(self, series: Series, category: str, message: str) -> None:
        """Note why the last update of a series failed; its next write clears that."""
        self._note(series, category, message[:_LONGEST_MESSAGE])

    def clear_error(self, series: Series) -> None:
        """The last update of the series did not fail."""
        self._note(series, None, None)

    def failing(self, category: str) -> dict[Series, datetime]:
        """The series whose last update failed so, and the wall instant at which it did."""
        wanted = select(series_table.c.key, series_table.c.error_at).where(
            series_table.c.error_category == category
        )
        with reading(self._engine) as connection:
            rows = connection.execute(wanted).all()
        return {Series.parse(row.key): from_micros(row.error_at) for row in rows}

    def last_asked(self, series: Iterable[Series]) -> dict[Series, LastAsked]:
        """The last update of each series that had one, in one query."""
        by_key, row = {str(one): one for one in series}, series_table.c
        wanted = select(row.key, row.updated_at, row.error_at, row.error_category)
        with reading(self._engine) as connection:
            ours = one_of(connection, row.key, by_key)
            rows = connection.execute(wanted.where(ours)).all()
        return {
            by_key[one.key]: LastAsked(
                from_micros(max(one.updated_at or 0, one.error_at or 0)), one.error_category
            )
            for one in rows
            if one.updated_at is not None or one.error_at is not None
        }

    def note_shown(self, versions: Mapping[Series, int]) -> None:
        """Dagster was told of these series at these versions."""
        if not versions:
            return
        row = series_table.c
        statement = (
            update(series_table)
            .where(row.key == bindparam("told"), row.shown_version < bindparam("version_told"))
            .values(shown_version=bindparam("version_told"))
        )
        rows = [{"told": str(one), "version_told": at} for one, at in versions.items()]
        rows.sort(key=lambda one: str(one["told"]))  # two runs lock rows in the same order
        retry.write(
            self._engine, self._clock, lambda connection: connection.execute(statement, rows)
        )

    def _note(self, series: Series, category: str | None, message: str | None) -> None:
        def note(connection: Connection) -> None:
            known = identity.series_id(connection, series)
            at = None if category is None else wall_micros(connection, self._clock)
            connection.execute(
                update(series_table)
                .where(series_table.c.id == known)
                .values(error_category=category, error_message=message, error_at=at)
            )

        retry.write(self._engine, self._clock, note)


def _requests(connection: Connection, ours: Any) -> dict[int, int]:
    total = (
        select(fetches.c.series_id, func.sum(fetches.c.requests).label("total"))
        .join_from(fetches, series_table)
        .where(ours)
        .group_by(fetches.c.series_id)
    )
    return {row.series_id: int(row.total) for row in connection.execute(total)}


def _newest_fetches(connection: Connection, ours: Any, such: Any) -> dict[int, _AnyRow]:
    """For each series the newest fetch of such as the condition says."""
    newest = (
        select(func.max(fetches.c.id))
        .join_from(fetches, series_table)
        .where(ours, such)
        .group_by(fetches.c.series_id)
    )
    columns = fetches.c["series_id", "provider", "origin", "base_version"]
    wanted = select(*columns).where(fetches.c.id.in_(newest))
    return {row.series_id: row for row in connection.execute(wanted)}


def _summary(
    row: _AnyRow, requests: int, fetch: _AnyRow | None, derived: _AnyRow | None
) -> SeriesSummary:
    return SeriesSummary(
        series=Series.parse(row.key),
        rows=int(row.rows),
        first=_instant(row.first_ts),
        last=_instant(row.last_ts),
        provider="" if fetch is None else fetch.provider,
        origin="" if fetch is None else fetch.origin,
        requests=requests,
        version=int(row.version),
        shown=int(row.shown_version),
        base_version=None if derived is None else int(derived.base_version),
        updated_at=_instant(row.updated_at),
        error_category=row.error_category,
        error_message=row.error_message,
        error_at=_instant(row.error_at),
    )


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
