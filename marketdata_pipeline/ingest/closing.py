"""Declaring that a day of a calendar was closed, or had other hours, and taking that back.

Not here: what a closure does to a calendar (domain.closures). Nothing is fetched: what is expected
from now on counts as missing, what is expected no more is no gap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Engine

from marketdata_pipeline.database import retry
from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.calendars import Calendar, calendar_with
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.closures import Closure, Closures, put_in_force
from marketdata_pipeline.domain.coverage import SpanKind, absent_ranges
from marketdata_pipeline.domain.hours import refuse_impossible, venue_of
from marketdata_pipeline.domain.ranges import TimeRange, intersect, merge, subtract
from marketdata_pipeline.domain.reconsider import (
    UNSETTLED,
    affected,
    around,
    expects_more,
    reconsidered,
)
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import Micros
from marketdata_pipeline.domain.venues import Venue
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.derive import aligned
from marketdata_pipeline.store import closures as kept
from marketdata_pipeline.store import identity, ledger
from marketdata_pipeline.store.bars import BarStore

_AT_ONCE = 100
"""Series that one transaction changes: the catalog is not held for long."""
_NAMED = 5
_NOTHING: Micros = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Witness:
    """What the series of a calendar say of a day: which were traded, have bars, lack it.

    ``silent`` counts those that were never asked for that day.
    """

    traded: tuple[Series, ...]
    untraded: tuple[Series, ...]
    lacking: tuple[Series, ...]
    silent: int

    def __str__(self) -> str:
        return (
            f"of the calendar's series {len(self.lacking)} lack it, {len(self.traded)} have bars "
            f"with trades, {len(self.untraded)} bars without, {self.silent} were not asked"
        )


class Closing:
    """The closures of the catalog behind ``engine``; the table in force follows each change."""

    def __init__(self, engine: Engine, store: BarStore, clock: Clock) -> None:
        self._engine = engine
        self._store = store
        self._clock = clock

    def witness(self, calendar: str, session: date) -> Witness:
        """What is stored of a day, in the series that are fetched; as the rules of hours are."""
        venue = venue_of(calendar)
        regular = calendar_with(venue)
        spans = kept.series_on(self._engine, venue.calendar)
        covered = set(kept.covered_on(self._engine, venue.calendar, around(session)))
        found: dict[str, list[Series]] = {"traded": [], "untraded": [], "lacking": []}
        silent = 0
        for series, stored in spans.items():
            within = affected(series.timeframe, [regular], session)
            if series.timeframe.derived or within is None:
                continue
            held = stored is not None and stored.intersect(within) is not None
            word = self._word(series, within) if held else None
            if word is None and series in covered:
                word = self._covered(series, within)
            if word is None:
                silent += 1
            else:
                found[word].append(series)
        return Witness(
            tuple(found["traded"]), tuple(found["untraded"]), tuple(found["lacking"]), silent
        )

    def put(self, closure: Closure, *, force: bool = False) -> Closure:
        """Keep what is said of a day, with what the catalog's series say of it as evidence.

        The same call again is the same.

        Raises:
            BadInput: the calendar has no such day, the hours overlap with others, or series have
                bars with trades of a day that is to be closed, or outside of the hours; ``force``:
                these stay, no rule asks for them any more.
        """
        venue = venue_of(closure.calendar)
        told = kept.read_closures(self._engine)
        before = told.on(venue.calendar)
        refuse_impossible(venue, closure, told)
        seen = self.witness(venue.calendar, closure.session)
        traded = seen.traded if closure.hours is None else self._outside(venue, closure, before)
        if traded and not force:
            raise BadInput(_refusal(closure, traded))
        named = replace(closure, calendar=venue.calendar, evidence=str(seen))
        done = retry.write(
            self._engine,
            self._clock,
            lambda connection: kept.keep(connection, named, self._clock),
        )
        self._follow(venue, closure.session, before, told.having(done))
        return done

    def forget(self, calendar: str, session: date) -> None:
        """Take back what was said of a day: what its calendar expects counts as missing again.

        Raises:
            BadInput: nothing was said of it.
        """
        venue = venue_of(calendar)
        told = kept.read_closures(self._engine)
        before = told.on(venue.calendar)
        if all(one.session != session for one in before):
            raise BadInput(
                f"nothing was said of {session} of {venue.calendar}; see marketdata calendar list"
            )
        retry.write(
            self._engine,
            self._clock,
            lambda connection: kept.remove(connection, venue.calendar, session),
        )
        self._follow(venue, session, before, told.without(venue.calendar, session))

    def _word(self, series: Series, within: TimeRange) -> str | None:
        """Whether bars of a range were traded; None: there are none."""
        bars = self._store.read(series, within)
        if bars.empty:
            return None
        return "traded" if len(_traded(bars)) else "untraded"

    def _outside(
        self, venue: Venue, closure: Closure, before: tuple[Closure, ...]
    ) -> tuple[Series, ...]:
        """The series with bars with trades of that day outside of its hours."""
        old, hours = calendar_with(venue, before), closure.hours
        found = []
        for series, stored in kept.series_on(self._engine, venue.calendar).items():
            fetched = series.timeframe.intraday and not series.timeframe.derived
            within = affected(series.timeframe, [old], closure.session)
            if hours is None or within is None or stored is None or not fetched:
                continue
            if any(
                len(_traded(self._store.read(series, part)))
                for part in intersect(subtract([within], [hours]), [stored])
            ):
                found.append(series)
        return tuple(found)

    def _covered(self, series: Series, within: TimeRange) -> str | None:
        spans = self._store.coverage([series])[series].spans
        asked = [one.within for one in spans if one.kind is not SpanKind.OUT_OF_DEPTH]
        return "lacking" if intersect(asked, [within]) else None

    def _follow(
        self, venue: Venue, session: date, before: tuple[Closure, ...], told: Closures
    ) -> None:
        """Put the table in force and have the coverage follow it, derived series last."""
        put_in_force(told)
        old, new = calendar_with(venue, before), calendar_with(venue, told.on(venue.calendar))
        more = expects_more(session, old, new)
        found = kept.covered_on(self._engine, venue.calendar, around(session), asked_again=not more)
        for some in (
            [one for one in found if one.timeframe.derived is kind] for kind in (False, True)
        ):
            for at in range(0, len(some), _AT_ONCE):
                changes = list(self._changes(some[at : at + _AT_ONCE], session, old, new))
                retry.write(self._engine, self._clock, partial(_change, changes=changes))

    def _changes(
        self, found: Sequence[Series], session: date, old: Calendar, new: Calendar
    ) -> "Iterator[_Change]":
        for series in found:
            within = affected(series.timeframe, [old, new], session)
            if within is None:
                continue
            frame = series.timeframe
            expected = new.grid(frame, within)
            labels = contract.labels_of(self._store.read(series, within))
            known = np.union1d(old.grid(frame, within).labels, labels)
            still = self._holes_of_base(series)
            if still is None:
                still = absent_ranges(expected, _NOTHING, frame)
            gone = subtract([within], still)
            yield _Change(series, gone, absent_ranges(expected, known, frame))

    def _holes_of_base(self, series: Series) -> list[TimeRange] | None:
        """Where a derived series lacks what its base lacks; None: it is fetched."""
        base = series.base
        if base is None:
            return None
        coverage = self._store.coverage([base])[base]
        return merge(aligned(series, one.within) for one in coverage.spans if one.kind in UNSETTLED)


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """Of a series what is expected no more, and what is from now on."""

    series: Series
    gone: Sequence[TimeRange]
    came: Sequence[TimeRange]


def _change(connection: Connection, changes: Sequence[_Change]) -> None:
    for one in changes:
        known = identity.lock_series(connection, one.series)
        cover = partial(reconsidered, gone=one.gone, came=one.came)
        ledger.change_coverage(connection, known, cover)


def _traded(bars: pd.DataFrame) -> pd.DataFrame:
    """Those of the bars that had trades."""
    return bars[(bars["volume"] > 0) | (bars["high"] > bars["low"])]


def _refusal(closure: Closure, traded: Sequence[Series]) -> str:
    more = len(traded) - _NAMED
    names = ", ".join(str(one) for one in traded[:_NAMED])
    others = f" and {more} others" if more > 0 else ""
    day, what = f"{closure.session}", f"{closure.calendar} was closed"
    if closure.hours is not None:
        day, what = f"{day} outside of these hours", f"{closure.calendar} had them"
    return (
        f"{names}{others} have bars with trades on {day}; if {what} all the same, say --force: "
        "they stay, and nothing asks for them any more"
    )
