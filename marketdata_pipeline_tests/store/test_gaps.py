"""Holes of many series: counted, moved and changed by the database."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Engine, insert, update

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.doubting import quarantine
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.database.metadata import tracked_instruments
from marketdata_pipeline.domain.coverage import Coverage, Span, SpanKind
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import MICROSECOND, TimeRange, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.store import gaps, retrying
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.tracking import Tracked, Tracking
from marketdata_pipeline_tests.fakes import FrozenClock

NOW = datetime(2024, 3, 15, 21, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WHOLE = TimeRange(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 3, 16, tzinfo=UTC))


def _day(number: int, length: int = 1) -> TimeRange:
    start = datetime(2024, 3, number, tzinfo=UTC)
    return TimeRange(start, start + length * DAY)


def _hole(within: TimeRange, due_in: timedelta = -HOUR, age: timedelta = HOUR) -> Span:
    return Span(within, SpanKind.HOLE, NOW + due_in, 0, NOW - age)


def _keep(engine: Engine, store: BarStore, key: str, *spans: Span) -> Series:
    """A tracked series that was answered, but for some spans."""
    one, tracking = Series.parse(key), Tracking(engine, FrozenClock(NOW, NOW))
    kept = tracking.get(one.instrument)
    frames = {one.timeframe, *(kept.timeframes if kept else ())}
    tracking.put(Tracked(one.instrument, tuple(each for each in Timeframe if each in frames)))
    store.cover(one, [Span(WHOLE, SpanKind.ANSWERED)])
    store.cover(one, spans)
    with engine.begin() as connection:
        first = update(series_table).where(series_table.c.key == key)
        connection.execute(
            first.values(first_ts=to_micros(WHOLE.start), last_ts=to_micros(WHOLE.end))
        )
    return one


def _held(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(update(tracked_instruments).values(holders=1))


def test_due_are_the_holes_of_tracked_series_longest_due_first(
    engine: Engine, store: BarStore
) -> None:
    first = _keep(engine, store, "AAPL|1d", _hole(_day(5)), _hole(_day(12)), _hole(_day(14), HOUR))
    _held(engine)
    second = _keep(engine, store, "MSFT|1d", _hole(_day(6), -2 * HOUR))
    _keep(engine, store, "IBM|1d", _hole(_day(6), HOUR))
    store.cover(Series.parse("IBM|1h"), [_hole(_day(6))])  # a timeframe that nobody tracks
    with reading(engine) as connection:
        found = gaps.due(connection, NOW, 9)
    assert [(one.series, one.within, one.held) for one in found] == [
        (second, _day(6), False),
        (first, TimeRange(_day(5).start, _day(12).end), True),
    ]


def test_holes_of_the_same_range_are_counted_together(engine: Engine, store: BarStore) -> None:
    for key in ("AAPL|1d", "MSFT|1d", "0700.HK|1d", "AAPL|1wk"):
        _keep(engine, store, key, _hole(_day(4, 7)))
    _keep(engine, store, "IBM|1d", _hole(_day(4, 7), age=2 * DAY))
    with reading(engine) as connection:
        found = gaps.alike(
            connection, seen_after=NOW - DAY, seen_before=NOW, labels_after=_day(8).start
        )
    assert {(one.calendar, str(one.timeframe), one.series) for one in found} == {
        ("XNYS", "1d", 2),
        ("XHKG", "1d", 1),
    }


def test_holes_of_long_ago_and_those_before_the_first_bar_are_not_counted(
    engine: Engine, store: BarStore
) -> None:
    old = Span(_day(4), SpanKind.HOLE, NOW)  # since when was not noted
    series = [_keep(engine, store, key, old, _hole(_day(12))) for key in ("AAPL|1d", "MSFT|1d")]

    def found(labels_after: datetime) -> dict[TimeRange, int]:
        with reading(engine) as connection:
            alike = gaps.alike(
                connection, seen_after=NOW - DAY, seen_before=NOW, labels_after=labels_after
            )
        return {one.within: one.series for one in alike}

    assert found(_day(4).start) == {_day(4): 2, _day(12): 2}
    assert found(_day(5).start) == {_day(12): 2}
    with engine.begin() as connection:
        young = update(series_table).where(series_table.c.key == str(series[0]))
        connection.execute(young.values(first_ts=to_micros(_day(7).start)))
    assert found(_day(4).start) == {_day(4): 1, _day(12): 2}
    with reading(engine) as connection:
        lacking = gaps.lacking(connection, "XNYS", [_day(4), _day(12)])
        assert gaps.asked(connection, "XNYS", Timeframe.D1, _day(4)) == (0, 1)
    assert len(lacking) == 3


def test_only_holes_of_just_these_ranges_wait(engine: Engine, store: BarStore) -> None:
    keys = ("AAPL|1d", "MSFT|1d", "IBM|1d")
    wide = _hole(_day(11, 2))
    holes = (_hole(_day(12)), wide, _hole(_day(12)))
    series = [_keep(engine, store, key, hole) for key, hole in zip(keys, holes, strict=True)]
    with reading(engine) as connection:
        *_, third = gaps.lacking(connection, "XNYS", [_day(12)])

    def parked(frame: Timeframe) -> int:
        move = partial(
            retrying.park,
            calendar="XNYS",
            holes={frame: {_day(12)}},
            at=NOW + 9 * DAY,
            but={third.series_id},
        )
        return retry.write(engine, FrozenClock(NOW, NOW), move)

    assert parked(Timeframe.H1) == 0
    assert (parked(Timeframe.D1), parked(Timeframe.D1)) == (1, 0)
    assert _later(store, *series) == [True, False, False]


def test_asked_counts_who_has_a_range_and_who_lacks_it(engine: Engine, store: BarStore) -> None:
    _keep(engine, store, "AAPL|1d", _hole(_day(4, 7)))
    _keep(engine, store, "MSFT|1d")
    _keep(engine, store, "IBM|1d", Span(_day(1, 14), SpanKind.PROVISIONAL, NOW))
    _keep(engine, store, "KO|1d", Span(_day(1, 14), SpanKind.OUT_OF_DEPTH))
    _keep(engine, store, "0700.HK|1d")
    young = _keep(engine, store, "PEP|1d")
    with engine.begin() as connection:
        late = update(series_table).where(series_table.c.key == str(young))
        connection.execute(late.values(first_ts=to_micros(_day(14).start)))
    with reading(engine) as connection:
        assert gaps.asked(connection, "XNYS", Timeframe.D1, _day(5)) == (2, 1)
        assert gaps.asked(connection, "XNYS", Timeframe.D1, _day(14)) == (4, 0)
        assert gaps.asked(connection, "XNYS", Timeframe.H1, _day(5)) == (0, 0)


def _moved(engine: Engine, *ranges: TimeRange, **which: object) -> int:
    move = partial(retrying.retry_at, calendar="XNYS", ranges=ranges, at=NOW + 9 * DAY, **which)  # type: ignore[arg-type]
    return retry.write(engine, FrozenClock(NOW, NOW), move)


def _later(store: BarStore, *series: Series) -> list[bool]:
    found = store.coverage(series)
    return [{one.recheck_at for one in found[each].holes()} == {NOW + 9 * DAY} for each in series]


def test_the_next_try_of_many_holes_is_moved_at_once(engine: Engine, store: BarStore) -> None:
    inside = _keep(engine, store, "AAPL|1d", _hole(_day(12)))
    weekly = _keep(engine, store, "AAPL|1wk", _hole(_day(11, 7)))
    wide = _keep(engine, store, "MSFT|1d", _hole(_day(11, 2)))
    other = _keep(engine, store, "0700.HK|1d", _hole(_day(12)))
    assert _moved(engine, _day(12)) == 2
    assert _later(store, inside, weekly, wide, other) == [True, True, False, False]
    assert _moved(engine, _day(12)) == 0
    assert _moved(engine, _day(11, 2)) == 1


def test_only_some_series_or_all_but_some(engine: Engine, store: BarStore) -> None:
    keys = ("AAPL|1d", "MSFT|1d", "IBM|1d")
    series = [_keep(engine, store, key, _hole(_day(12))) for key in keys]
    with reading(engine) as connection:
        first, second, _ = gaps.lacking(connection, "XNYS", [_day(12)])
    assert _moved(engine, _day(12), only={first.series_id}) == 1
    assert _later(store, *series) == [True, False, False]
    assert _moved(engine, _day(12), but={second.series_id}) == 1
    assert _later(store, *series) == [True, False, True]


def test_lacking_are_holes_that_overlap_and_are_no_long_ones(
    engine: Engine, store: BarStore
) -> None:
    _keep(engine, store, "AAPL|1d", _hole(_day(4, 7)), _hole(_day(14)))
    _keep(engine, store, "AAPL|1wk", _hole(_day(4, 7)))
    _keep(engine, store, "MSFT|1d")
    long = TimeRange(WHOLE.start, WHOLE.start + 70 * DAY)
    _keep(engine, store, "IBM|1d", _hole(long))
    with reading(engine) as connection:
        found = gaps.lacking(connection, "XNYS", [_day(5), _day(6)])
    assert sorted(one.timeframe for one in found) == ["1d", "1wk"]
    assert {one[2:] for one in found} == {
        (
            to_micros(_day(4).start),
            to_micros(_day(10).end),
            to_micros(NOW - HOUR),
            to_micros(NOW - HOUR),
            0,
        )
    }


def test_due_holes_of_the_same_range_are_told_at_once_and_who_has_them(
    engine: Engine, store: BarStore
) -> None:
    pair = [_keep(engine, store, key, _hole(_day(6))) for key in ("AAPL|1d", "MSFT|1d")]
    _keep(engine, store, "IBM|1d", _hole(_day(7), HOUR))
    with reading(engine) as connection:
        (alike,) = gaps.due_alike(connection, NOW)
        assert (alike.series, alike.within) == (2, _day(6))
        assert sorted(map(str, gaps.having(connection, alike))) == sorted(map(str, pair))


def test_a_change_is_made_of_the_coverage_as_it_is_then(engine: Engine, store: BarStore) -> None:
    one = _keep(engine, store, "AAPL|1d", _hole(_day(6)))
    seen: list[Coverage] = []

    def emptied(coverage: Coverage) -> Coverage:
        seen.append(coverage)
        return Coverage()

    change = partial(gaps.change, series=one, moved=emptied)
    assert retry.write(engine, FrozenClock(NOW, NOW), change) == Coverage()
    assert len(seen[0].holes()) == 1
    assert store.coverage([one])[one] == Coverage()


def test_of_quarantine_what_is_held_is_told_by_the_labels_of_its_bars(
    engine: Engine, store: BarStore
) -> None:
    one = _keep(engine, store, "AAPL|1d")
    first, last = _day(5).start, _day(7).start
    row = {
        "series_id": 1, "reason": "level_shift", "detail": "x100", "evidence": "{}", "times": 1,
        "provider": "yahoo", "origin": "internet", "window_start": 0, "window_end": 1,
        "market_at": 0, "fetched_at": 0, "rows": 2, "first_ts": to_micros(first),
        "last_ts": to_micros(last), "data": b"-", "checksum": "-", "actions": "[]", "held_at": 0,
        "seen_at": 0,
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(quarantine).values(**row, status="held", fingerprint="a"))
        gone = {**row, "first_ts": 1, "decided_at": 1, "decided_why": "seen"}
        connection.execute(insert(quarantine).values(**gone, status="dropped", fingerprint="b"))
    with reading(engine) as connection:
        assert gaps.held_apart(connection) == {one: (TimeRange(first, last + MICROSECOND),)}


def test_an_instrument_of_a_calendar_tells_its_rules(engine: Engine, store: BarStore) -> None:
    _keep(engine, store, "MSFT|1d")
    with reading(engine) as connection:
        assert gaps.some_instrument(connection, "XNYS") == Instrument("MSFT")
        with pytest.raises(StoreError, match="no instrument follows the calendar XHKG"):
            gaps.some_instrument(connection, "XHKG")
