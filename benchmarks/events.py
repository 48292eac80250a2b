"""From a transaction's INSERT to bars that can be read: idle, under a seed, and in a burst.

Not here: the purchases (_bought), the services (_deployed): webserver, daemon and code server of
deploy/postgres on a Postgres of their own, with a simulator that grants 2,000 requests an hour.
Beside it the same updates by one call in a process that runs already: what Dagster and the queue
add to that is the price of nobody having to wait for it.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles

from _bought import BOUGHT, Purchase, Shopping, new_ones
from _deployed import Stack, own_server, stack
from _report import Figure, Options, options, report
from sqlalchemy import TextClause, text

from marketdata_pipeline.assembly import assemble
from marketdata_pipeline.config import load_settings
from marketdata_pipeline.database.home import History, Home, Replay, make_home
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.queue import Queue
from marketdata_pipeline.ingest.track import track
from marketdata_pipeline.store.backfills import Wanted

SEED = 11
START = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
"""A Friday, an hour and a half after the close in New York."""
FRAMES = (Timeframe.H1, Timeframe.D1, Timeframe.W1)
QUOTA = "2000/3600"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done: purchases in each part, instruments of the seed, rows of the burst."""

    purchases: int
    seed: int
    burst: int
    patience: float


FULL = Size(purchases=20, seed=8000, burst=10_000, patience=300.0)
QUICK = Size(purchases=1, seed=60, burst=0, patience=40.0)


@dataclass(frozen=True, slots=True)
class Place:
    """A home with its services, and purchases on it."""

    home: Home
    services: Stack
    shopping: Shopping


def main() -> int:
    """Measure and report."""
    asked = options(__doc__.partition("\n")[0] if __doc__ else "")
    size = QUICK if asked.quick else FULL
    with _place() as place:
        figures = list(_figures(place, size, asked))
    return report(figures, asked, {"quota": QUOTA, "seeded": size.seed})


def _figures(place: Place, size: Size, asked: Options) -> Iterator[Figure]:
    yield from _idle(place, size, quick=asked.quick)
    _say("the seed begins")
    _seed(place, size.seed)
    for part, apart in (("at once", 0.0), ("3 s apart", 3.0)):
        if asked.quick and apart:
            continue
        _say(f"purchases under the seed, {part}")
        wanted = new_ones(size.purchases, SEED, called=f"U{part[0]}".upper())
        bought = _bought(place, wanted, apart, size)
        yield from _told(f"under a seed of {size.seed:,}, {part}", bought, place, most=60.0)
    yield from _seeded(place)
    if size.burst:
        _say("a burst of inserts")
        yield from _burst(place, size.burst)


def _idle(place: Place, size: Size, *, quick: bool) -> Iterator[Figure]:
    """One after the other: with Dagster, and by a call in this process, in turns."""
    _say("purchases while nothing else is done")
    wanted = new_ones(2 * size.purchases, SEED, called="I")
    bought: list[Purchase] = []
    called: list[float] = []
    with _caller(place) as call:
        for ours, theirs in zip(wanted[::2], wanted[1::2], strict=True):
            bought += _bought(place, [ours], 0.0, size)
            called.append(call(theirs[0]))
    yield from _told("idle, one by one", bought, place, most=30.0)
    yield Figure("the same by one call, in a process that runs", tuple(called), "s")
    if not quick:
        together = _bought(place, new_ones(size.purchases, SEED, called="T"), 0.0, size)
        yield from _told("idle, all at once", together, place, most=30.0)


def _bought(
    place: Place, wanted: Sequence[tuple[Instrument, str]], apart: float, size: Size
) -> list[Purchase]:
    before = len(place.shopping.made)
    place.shopping.buy(wanted, apart, size.patience)
    return place.shopping.made[before:]


def _told(what: str, bought: Sequence[Purchase], place: Place, *, most: float) -> Iterator[Figure]:
    took = sorted(one.took for one in bought)
    yield Figure(f"{what}: INSERT to readable, p50", (_quantile(took, 50),), "s")
    yield Figure("... p95", (_quantile(took, 95),), "s", most=most)
    stages = [place.shopping.stages(one) for one in bought if one.readable is not None]
    for name in ("sensor", "queue", "launch", "fetch", "store"):
        spent = sorted(getattr(one, name) for one in stages)
        yield Figure(f"... in the {name}, p50", (_quantile(spent, 50),), "s")
    requests = max((one.requests for one in stages), default=0)
    yield Figure("... requests, the most of one", (float(requests),), most=5)
    unread = sum(one.readable is None or not _read(place, one) for one in bought)
    yield Figure("... not readable from 2020-03-01", (float(unread),), most=0)


def _read(place: Place, one: Purchase) -> bool:
    """Whether the bars are there by the reading call."""
    from marketdata_pipeline.reading.opened import data_of

    first = [
        data_of(place.home).bars(Series(one.instrument, frame)).index[0]
        for frame in (Timeframe.D1, Timeframe.W1)
    ]
    return all(str(at)[:7] <= "2020-03" for at in first)


def _quantile(values: Sequence[float], percent: int) -> float:
    if len(values) < 2:  # noqa: PLR2004 - quantiles wants two
        return values[0] if values else float("nan")
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def _seed(place: Place, count: int) -> None:
    """Put the catalog into the queue, and wait until runs are at it."""
    letters = ["".join(chr(65 + one // 26**place % 26) for place in (2, 1, 0))
               for one in range(count)]  # fmt: skip
    wanted = [
        Wanted(Instrument.parse(f"S{one}"), FRAMES, priority=Priority.CATALOG) for one in letters
    ]
    Queue(place.home.engine, place.home.clock).enqueue_all(wanted)
    at_work = text("SELECT count(*) FROM backfill_queue WHERE status = 'in_progress'")
    _wait(lambda: _scalar(place, at_work) > 0, 60.0)


def _seeded(place: Place) -> Iterator[Figure]:
    done = text(
        "SELECT count(*) FROM backfill_queue WHERE status = 'completed' AND instrument LIKE 'S___'"
    )
    failed = text("SELECT count(*) FROM backfill_queue WHERE status = 'failed'")
    yield Figure("of the seed done meanwhile", (float(_scalar(place, done)),))
    yield Figure("failed for good", (float(_scalar(place, failed)),), most=0)


def _burst(place: Place, count: int) -> Iterator[Figure]:
    """As many purchases in one statement, of 8,000 instruments that nobody knows yet."""
    inserted = text("""
        INSERT INTO incoming_transactions (
            external_id, portfolio, instrument, side, quantity, price, currency, executed_at
        )
        SELECT 'b' || n, 'burst', 'B' || (n % 8000), 'buy', 1, 1, 'USD', CAST(:at AS date)
        FROM generate_series(1, :count) AS n
    """)
    with place.home.engine.begin() as connection:
        connection.execute(inserted, {"count": count, "at": BOUGHT})
    begun = time.time()
    left = text("SELECT count(*) FROM transactions WHERE processed_at IS NULL")
    _wait(lambda: not _scalar(place, left), 600.0)
    yield Figure(f"{count:,} INSERTs: tracked and queued", (time.time() - begun,), "s", most=300)
    for name, longest in _longest_ticks(place, begun).items():
        yield Figure(f"... the longest tick of {name}", (longest,), "s", most=10)
    resident = sum(one.resident for one in place.services.memory()["daemon"])
    yield Figure("... memory of the daemon", (resident,), "MB", most=512)


def _longest_ticks(place: Place, since: float) -> dict[str, float]:
    """The seconds that the longest tick of each sensor took, its runs' launches included."""
    import dagster as dg

    os.environ["DAGSTER_PG_URL"] = place.services.environment["DAGSTER_PG_URL"]
    longest: dict[str, float] = {}
    with dg.DagsterInstance.from_config(str(place.home.dagster)) as instance:
        for one in instance.all_instigator_state():
            ticks = instance.get_ticks(one.instigator_origin_id, one.selector_id, after=since)
            spans = [tick.end_timestamp - tick.timestamp for tick in ticks if tick.end_timestamp]
            if one.instigator_type.value == "SENSOR":
                longest[one.name] = max(spans, default=0.0)
    return longest


def _scalar(place: Place, statement: TextClause) -> int:
    with place.home.engine.connect() as connection:
        return int(connection.execute(statement).scalar_one())


def _wait(done: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not done():
        time.sleep(0.2)  # noqa: TID251 - a program of its own, with the machine's clock


@contextmanager
def _caller(place: Place) -> Iterator[Callable[[Instrument], float]]:
    """Tracks an instrument and updates it by one call; the seconds that this takes."""
    names = {**place.services.environment, "MARKETDATA_LOG_LEVEL": "error"}
    ours = {name: value for name, value in names.items() if name.startswith("MARKETDATA_")}
    os.environ.update(ours)
    pipeline = assemble(load_settings(), place.home)
    since = datetime(2020, 3, 1, tzinfo=UTC)

    def call(one: Instrument) -> float:
        begun = time.perf_counter()
        track(pipeline.tracking, pipeline.clock, [one], since=since)
        series = [Series(one, frame) for frame in (*FRAMES, Timeframe.H4)]
        for done in pipeline.updater.update_many(series):
            if done.error is not None:
                raise done.error
        return time.perf_counter() - begun

    yield call


@contextmanager
def _place() -> Iterator[Place]:
    with own_server() as server, tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        replay = Replay(History.SYNTHETIC, START, seed=SEED)
        url = server.database("marketdata")
        with make_home(where / "home", database_url=url, replay=replay) as home:
            settings = {
                "MARKETDATA_PORTFOLIO_CURRENCIES": "main=EUR",
                "MARKETDATA_DAGSTER_RETENTION": str(timedelta(days=30).days),
            }
            _say("starting the services")
            with stack(
                home,
                server.database("dagster"),
                where / "logs",
                settings=settings,
                simulator=("--quota", QUOTA),
            ) as services:
                yield Place(home, services, Shopping(home.engine))


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
