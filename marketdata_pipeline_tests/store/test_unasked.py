"""Days of which a part was never asked for are found however spans are split over them."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, delete, select, update

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import coverage, instruments, tracked_instruments
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.coverage import Span, SpanKind
from marketdata_pipeline.domain.ranges import TimeRange, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.store import unasked
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.tracking import Tracked, Tracking
from marketdata_pipeline_tests.fakes import FrozenClock

NOW = datetime(2024, 3, 15, 21, tzinfo=UTC)
DAY = timedelta(days=1)
WHOLE = TimeRange(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 3, 16, tzinfo=UTC))


def _day(number: int, length: int = 1) -> TimeRange:
    start = datetime(2024, 3, number, tzinfo=UTC)
    return TimeRange(start, start + length * DAY)


def _keep(engine: Engine, store: BarStore, key: str, *spans: Span) -> Series:
    """A tracked series that was answered, but for some spans."""
    one = Series.parse(key)
    Tracking(engine, FrozenClock(NOW, NOW)).put(Tracked(one.instrument, (one.timeframe,)))
    store.cover(one, [Span(WHOLE, SpanKind.ANSWERED)])
    store.cover(one, spans)
    return one


def _not_asked(
    engine: Engine, frame: Timeframe, within: TimeRange
) -> dict[str, tuple[TimeRange, list[TimeRange]]]:
    with reading(engine) as connection:
        found = unasked.not_asked(connection, frame, within)
    return {str(one.series): (one.within, sorted(asked)) for one, asked in found}


def test_what_lacks_a_part_of_two_days_was_not_asked_for_however_its_spans_are_split(
    engine: Engine, store: BarStore
) -> None:
    _keep(engine, store, "AAPL|1h")
    _keep(engine, store, "IBM|1h", Span(_day(6), SpanKind.NO_TRADE))
    part = _keep(engine, store, "MSFT|1h")
    _keep(engine, store, "KO|1h")
    with engine.begin() as connection:
        ids = dict(connection.execute(select(series_table.c.key, series_table.c.id)).all())
        of = coverage.c.series_id
        connection.execute(
            update(coverage).where(of == ids[str(part)]).values(end=to_micros(_day(6).start))
        )
        connection.execute(delete(coverage).where(of == ids["KO|1h"]))
    both = _day(5, 2)
    assert _not_asked(engine, Timeframe.H1, both) == {
        "MSFT|1h": (both, [TimeRange(WHOLE.start, _day(6).start)]),
        "KO|1h": (both, []),
    }
    assert set(_not_asked(engine, Timeframe.H1, _day(5))) == {"KO|1h"}
    assert _not_asked(engine, Timeframe.D1, both) == {}


def test_what_is_not_kept_or_was_not_listed_is_not_missed_before_it_is_lost(
    engine: Engine, store: BarStore
) -> None:
    keys = ("AAPL|1h", "MSFT|1h", "IBM|1h", "KO|1h", "PEP|1h", "GE|1h")
    series = [_keep(engine, store, key) for key in keys]
    noon = _day(6).start + DAY / 2
    with engine.begin() as connection:
        connection.execute(delete(coverage))
        for key, listed in (("IBM", "2024-03-06"), ("KO", "2024-03-07"), ("PEP", "1999-01-04")):
            row = update(instruments).where(instruments.c.key == key)
            connection.execute(row.values(first_trade=listed))
        for one, since in zip(series, (noon, _day(9).start), strict=False):
            of = select(instruments.c.id).where(instruments.c.key == one.instrument.key)
            row = update(tracked_instruments).where(
                tracked_instruments.c.instrument_id == of.scalar_subquery()
            )
            connection.execute(row.values(since=to_micros(since)))
    found = _not_asked(engine, Timeframe.H1, _day(5, 2))
    assert {key: within.start for key, (within, _) in found.items()} == {
        "AAPL|1h": noon,
        "IBM|1h": _day(6).start,
        "PEP|1h": _day(5).start,
        "GE|1h": _day(5).start,
    }
