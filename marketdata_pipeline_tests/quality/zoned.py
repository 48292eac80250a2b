"""What this project says of one small world, on a machine in some zone; a process of its own.

Not here: comparing (test_zones).
"""

import os
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from marketdata_pipeline.domain import schedules
from marketdata_pipeline.domain.bars import PRICES
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.closures import Closure
from marketdata_pipeline.domain.gap import Facts, gaps_of
from marketdata_pipeline.domain.hours import usual_hours, venue_of
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Basis, Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.closing import Closing
from marketdata_pipeline.quality.gate import Around, suspicions
from marketdata_pipeline.reading.why.answer import Source
from marketdata_pipeline.reading.why.ask import label_at, why
from marketdata_pipeline.store.tracking import Tracked
from marketdata_pipeline.store.witnesses import Witnesses
from marketdata_pipeline_tests.databases import lay_catalog
from marketdata_pipeline_tests.ingest.world import World, day, days, make_world, walk

WITHIN = days("2024-02-20", "2024-03-16")
SERIES = [Series.parse(one) for one in ("AAPL|1d", "AAPL|1h", "AAPL|4h", "AAPL|1wk", "0700.HK|1d")]
DAILY, HOURLY, HONG_KONG = SERIES[0], SERIES[1], SERIES[4]
ASKED = (
    (DAILY, "2024-03-05"), (DAILY, "2024-03-06"), (DAILY, "2024-03-09"), (DAILY, "2024-03-18"),
    (DAILY, "2024-02-19"), (HOURLY, "2024-03-11T13:30"), (HOURLY, "2024-03-11T14:30"),
    (HOURLY, "2024-03-08T14:30"), (HOURLY, "2024-03-08T12:00"), (HOURLY, "2024-03-08T23:30"),
    (Series.parse("AAPL|4h"), "2024-03-11T13:30"), (Series.parse("AAPL|1wk"), "2024-03-10"),
    (HONG_KONG, "2024-03-07"), (HONG_KONG, "2024-03-08"),
    (Series.parse("0700.HK|1h"), "2024-03-08T04:00"),
    (Series.parse("EURUSD=X|1h"), "2024-03-09T23:30"), (Series.parse("BTC-USD|1d"), "2024-03-15"),
    (Series.parse("ES=F|1h"), "2024-03-08T22:30"),
)  # fmt: skip


def tell(zone: str, folder: str, answer: Connection) -> None:
    """Send all that is said, a line each, from a process that thinks it is in that zone."""
    os.environ["TZ"] = zone
    time.tzset()
    for built in (schedules._exchange_schedule, schedules._fx_schedule):  # noqa: SLF001
        built.cache_clear()  # what was built before the fork says nothing of this zone
    file = Path(folder) / "catalog.sqlite"
    lay_catalog(file)
    world = make_world(Path(folder), f"sqlite:///{file}")
    answer.send(list(_lines(world)))
    answer.close()


def _lines(world: World) -> Iterator[str]:
    _fill(world)
    yield from _of_calendars()
    for outcome in (world.updater.update(one, WITHIN) for one in SERIES):
        yield f"{outcome.series} {outcome.rows} {outcome.rows_new} {outcome.error}"
    yield from _of_quality(world)
    yield from _of_gaps(world)
    typhoon = Closure("XHKG", date(2024, 3, 7), None, "typhoon")
    yield str(Closing(world.home.engine, world.store, world.clock).put(typhoon))
    yield from _of_gaps(world)
    yield from _of_why(world)


def _fill(world: World) -> None:
    """Days and hours that the provider lacks, around a change of the clocks."""
    bases = [one for one in SERIES if one.base is None]
    world.provider.truth = {one: walk(one, WITHIN) for one in bases}
    world.provider.first_trade = date(2024, 2, 20)
    world.provider.lacking = {
        day("2024-03-05"),
        day("2024-03-07"),
        datetime(2024, 3, 11, 13, 30, tzinfo=UTC),
        datetime(2024, 3, 8, 14, 30, tzinfo=UTC),
    }
    for instrument in {one.instrument for one in SERIES}:
        frames = tuple(one.timeframe for one in SERIES if one.instrument == instrument)
        world.tracking.put(Tracked(instrument, frames, WITHIN.start))


def _of_calendars() -> Iterator[str]:
    for symbol in ("AAPL", "0700.HK", "ES=F", "EURUSD=X", "BTC-USD"):
        calendar = calendar_of(Instrument.parse(symbol))
        for timeframe in (Timeframe.H1, Timeframe.D1, Timeframe.W1):
            grid = calendar.grid(timeframe, days("2024-03-06", "2024-03-14"))
            yield f"{symbol} {timeframe} {grid.labels.tolist()} {grid.closes.tolist()}"
        yield f"{calendar.is_open(WITHIN.end)} {calendar.closed_until(Timeframe.H1, WITHIN.end)}"
    yield str(usual_hours(venue_of("XNYS"), date(2024, 3, 10)))


def _of_quality(world: World) -> Iterator[str]:
    for series in SERIES:
        yield f"{series} {sorted(world.verdicts.of(series).items())}"
    stored = world.store.read(DAILY)
    late = stored.loc["2024-03-11":]
    odd = late.assign(**{name: late[name] * 100 for name in PRICES})
    now = world.clock.market_now()
    reply = Reply(
        series=DAILY, window=days("2024-03-11", "2024-03-16"), bars=odd, basis=Basis.RAW,
        actions=(), actions_within=None, currency="USD", market_at=now, fetched_at=now,
        provider="truth", origin="truth", requests=1,
    )  # fmt: skip
    yield str(suspicions(reply, odd, Around(DAILY, stored.loc[:"2024-03-08"], ())))


def _of_gaps(world: World) -> Iterator[str]:
    for series, coverage in world.store.coverage(SERIES).items():
        yield f"{series} {coverage}"
        until = calendar_of(series.instrument).closed_until(
            series.timeframe, world.clock.market_now()
        )
        facts = Facts(world.clock.market_now(), until, date(2024, 2, 20))
        yield from map(str, gaps_of(series, coverage, WITHIN, facts))


def _of_why(world: World) -> Iterator[str]:
    witnesses = Witnesses(world.home.engine, world.home.bars, world.clock)
    sources = [Source("yahoo", timedelta(days=729))]
    for series, text in ASKED:
        label = label_at(series, datetime.fromisoformat(text).replace(tzinfo=UTC))
        within = TimeRange(label, label + timedelta(microseconds=1))
        (told,) = why(witnesses, series, within, sources)
        yield f"{series} {text} {told.answer}"
