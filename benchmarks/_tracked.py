"""A catalog as full as a size says: tracked instruments, and coverage as a year of use leaves it.

Not here: Dagster's side of the grid (_materialized). Seed and dates are fixed: two runs fill alike.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from string import ascii_uppercase

import numpy as np
from sqlalchemy import Engine, Table, insert

from marketdata_pipeline.database import metadata as tables
from marketdata_pipeline.database.engine import writing
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.coverage import SpanKind
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import MICROSECOND, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import UnknownSymbol

SEED = 20240316
CLOSED = datetime(2024, 3, 16, 12, 40, tzinfo=UTC)
"""A Saturday: only crypto trades, and the last refresh was a minute ago."""
OPEN = datetime(2024, 3, 18, 15, 40, tzinfo=UTC)
"""The Monday after, not refreshed since: New York, London, FX and CME have traded."""

_HOLES = {Timeframe.M1: 40, Timeframe.M5: 6, Timeframe.M15: 6, Timeframe.H1: 4, Timeframe.H4: 4}
"""Holes of a series at most; days and weeks have none."""
_BEHIND, _NEVER, _HOLED = 0.04, 0.07, 0.10
"""Shares of all series, cumulated: five days behind; never asked; with a hole that is due. The
rest has no news on that Saturday."""
_UNKNOWN = 100
"""Each hundredth instrument is one that no provider knows."""
_USUAL = timedelta(days=7300)
_AT_ONCE = 20_000
_FOREIGN = ("L{0}.L", "M{0}.L", "{1}.T", "{1}.HK", "C{0}-USD", "{2}USD=X", "{0}=F")
Row = dict[str, object]


def instruments(count: int) -> list[Instrument]:
    """Of twenty: 13 of New York, 2 of London, one each of Tokyo, Hong Kong, crypto, FX, CME."""
    spellings = [*_FOREIGN, *["N{0}"] * 13]
    return [
        Instrument.parse(spellings[one % 20].format(one, 1000 + one, _letters(one)))
        for one in range(count)
    ]


def _letters(number: int) -> str:
    return "".join(ascii_uppercase[number // 26**place % 26] for place in (2, 1, 0))


def fill(engine: Engine, wanted: Sequence[Instrument], known: int) -> int:
    """Track these at all seven timeframes, with coverage, after ``known`` others; the new spans."""
    numbered = list(enumerate(wanted, start=known + 1))
    everything = [(number, Series(one, frame)) for number, one in numbered for frame in Timeframe]
    series = list(enumerate(everything, start=known * len(Timeframe) + 1))
    _put(engine, tables.instruments, map(_instrument_row, numbered))
    _put(engine, tables.tracked_instruments, map(_tracked_row, numbered))
    _put(engine, tables.series, (_series_row(number, *one) for number, one in series))
    return _put(engine, tables.coverage, _coverage_rows([(at, one) for at, (_, one) in series]))


def _put(engine: Engine, table: Table, rows: Iterator[Row]) -> int:
    count = 0
    while batch := list(islice(rows, _AT_ONCE)):
        with writing(engine) as connection:
            connection.execute(insert(table), batch)
        count += len(batch)
    return count


def _instrument_row(numbered: tuple[int, Instrument]) -> Row:
    number, one = numbered
    kind, venue = str(one.asset_class), one.venue.calendar
    return {"id": number, "key": one.key, "asset_class": kind, "venue": venue}


def _tracked_row(numbered: tuple[int, Instrument]) -> Row:
    frames = ",".join(map(str, Timeframe))
    at = {"first_tracked_at": numbered[0], "last_tracked_at": numbered[0]}
    kept = {"by_hand": True, "holders": 0}
    return {"instrument_id": numbered[0], "timeframes": frames, **at, **kept}


def _series_row(number: int, instrument: int, series: Series) -> Row:
    unknown = instrument % _UNKNOWN == 0
    return {
        "id": number,
        "key": str(series),
        "instrument_id": instrument,
        "timeframe": str(series.timeframe),
        "error_category": UnknownSymbol.category if unknown else None,
        "error_at": to_micros(CLOSED) if unknown else None,
    }


def _coverage_rows(series: Sequence[tuple[int, Series]]) -> Iterator[Row]:
    dice = np.random.default_rng((SEED, series[0][0]))
    ends: dict[tuple[str, Timeframe], int] = {}
    for number, one in series:
        luck = dice.random()
        if _BEHIND <= luck < _NEVER:
            continue
        kind = one.instrument.venue.calendar, one.timeframe
        if kind not in ends:
            closed = calendar_of(one.instrument).closed_until(one.timeframe, CLOSED)
            ends[kind] = to_micros(closed or CLOSED)
        behind = timedelta(days=5) // MICROSECOND if luck < _BEHIND else 0
        for row in _spans(one.timeframe, ends[kind] - behind, dice, due=_NEVER <= luck < _HOLED):
            yield {"series_id": number, **row}


def _spans(
    timeframe: Timeframe, end: int, dice: np.random.Generator, *, due: bool
) -> Iterator[Row]:
    """Answered from thrice the depth ago up to ``end``, but for holes of one bar each.

    Those that are out of depth by now wait for ever, the others beyond that Monday.
    """
    length = timeframe.length // MICROSECOND
    depth = (timeframe.depth or _USUAL) // length // MICROSECOND
    asked_again = 2 * max(1, timedelta(hours=3) // timeframe.length) if due else None
    many = dice.integers(_HOLES.get(timeframe, 0) + 1)
    places = {*(2 * dice.integers(2, 3 * depth // 2, many)).tolist(), asked_again} - {None}
    edges = [3 * depth + 2, *sorted(places, reverse=True), 0]
    for before, place in pairwise(edges):
        start = end - (before - (before in places)) * length
        hole = end - place * length
        yield _row(start, hole, SpanKind.ANSWERED)
        if place:
            waits = hole + timedelta(days=30) // MICROSECOND
            if place <= depth:
                waits = to_micros(CLOSED if place == asked_again else OPEN + timedelta(days=3))
            yield _row(hole, hole + length, SpanKind.HOLE, waits)


def _row(start: int, end: int, kind: SpanKind, recheck_at: int | None = None) -> Row:
    return {
        "start": start,
        "end": end,
        "kind": kind.value,
        "recheck_at": recheck_at,
        "tries": 0 if recheck_at is None else 3,
    }
