"""Purchases by plain SQL, as another program makes them, and when their history could be read.

Not here: the services that do the rest (_deployed), the seed beside them (events).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import Engine, text

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.simulator.lives import life_of

BOUGHT = date(2021, 3, 1)
SINCE = datetime(2020, 3, 1, tzinfo=UTC)
_LATEST_START = to_micros(SINCE + timedelta(days=7))
_POLL = 0.2
_INSERT = text("""
    INSERT INTO incoming_transactions (
        external_id, portfolio, instrument, side, quantity, price, currency, executed_at
    ) VALUES (:id, 'main', :instrument, 'buy', 10, 100, :currency, :at)
""")
_STORED = text("""
    SELECT key FROM series WHERE key = ANY(:keys) AND rows > 0 AND first_ts < :latest
""")
_PAIR = text("SELECT pair FROM holdings WHERE instrument = :instrument")
_STAGES = text("""
    SELECT t.recorded_at, t.processed_at, q.asked_at, r.begun, r.ended,
        r.requests + p.requests AS requests
    FROM transactions AS t
    JOIN backfill_queue AS q ON q.instrument = t.instrument
    CROSS JOIN LATERAL (
        SELECT min(ended_at - took) AS begun, max(ended_at) AS ended, count(*) AS requests
        FROM requests WHERE split_part(series, '|', 1) = t.instrument
    ) AS r
    CROSS JOIN LATERAL (
        SELECT count(*) AS requests FROM requests
        WHERE split_part(series, '|', 1) = :pair
    ) AS p
    WHERE t.instrument = :instrument
""")
_STREETS = (("{}", "USD"), ("{}.L", "GBP"), ("{}.T", "JPY"), ("{}.SW", "CHF"), ("{}.TO", "CAD"))


@dataclass(slots=True)
class Purchase:
    """One purchase; instants in unix seconds, None: not yet.

    Attributes:
        inserted: when its INSERT was committed; ``readable``: when all that it needs was there.
        pair: of the currencies; empty: not known yet, or none is needed.
    """

    instrument: Instrument
    currency: str
    inserted: float = 0.0
    readable: float | None = None
    pair: str | None = None

    @property
    def took(self) -> float:
        """Seconds until its history could be read; endless where it never could."""
        return float("inf") if self.readable is None else self.readable - self.inserted


@dataclass(frozen=True, slots=True)
class Stages:
    """Seconds that a purchase spent in each stage, and the requests that it took.

    Those for its pair are counted in, also where another purchase of the same currency made them.
    """

    sensor: float
    queue: float
    launch: float
    fetch: float
    store: float
    requests: int


@dataclass(slots=True)
class Shopping:
    """Purchases through a database, watched until their history is there."""

    engine: Engine
    made: list[Purchase] = field(default_factory=list)

    def insert(self, instrument: Instrument, currency: str) -> Purchase:
        """Make one, as a program that knows nothing but SQL."""
        given = {"id": f"p-{instrument}", "instrument": instrument.key, "currency": currency}
        with self.engine.begin() as connection:
            connection.execute(_INSERT, given | {"at": BOUGHT})
        one = Purchase(instrument, currency, inserted=time.time())
        self.made.append(one)
        return one

    def look(self) -> list[Purchase]:
        """Note what can be read by now; those that are still waited for."""
        waiting = [one for one in self.made if one.readable is None]
        with self.engine.connect() as connection:
            for one in waiting:
                one.pair = (
                    one.pair
                    or connection.execute(_PAIR, {"instrument": one.instrument.key}).scalar()
                )
            keys = [key for one in waiting for key in _needed(one)]
            given = {"keys": keys, "latest": _LATEST_START}
            stored = set(connection.execute(_STORED, given).scalars())
        now = time.time()
        for one in waiting:
            if one.pair is not None and stored.issuperset(_needed(one)):
                one.readable = now
        return [one for one in waiting if one.readable is None]

    def buy(self, wanted: Sequence[tuple[Instrument, str]], apart: float, patience: float) -> None:
        """Make purchases some seconds apart and watch until all can be read, or so many passed."""
        begun, left = time.monotonic(), list(wanted)
        while time.monotonic() - begun < patience:
            due = int((time.monotonic() - begun) / apart) + 1 if apart else len(wanted)
            while left and len(wanted) - len(left) < due:
                self.insert(*left.pop(0))
            if not self.look() and not left:
                return
            time.sleep(_POLL)  # noqa: TID251 - a program of its own, with the machine's clock

    def stages(self, one: Purchase) -> Stages:
        """Where the time went, by the instants that the catalog has of it."""
        with self.engine.connect() as connection:
            given = {"instrument": one.instrument.key, "pair": one.pair}
            row: Any = connection.execute(_STAGES, given).first()
        ended = (one.readable or 0.0) * 1e6
        marks = [row.recorded_at, row.processed_at, row.asked_at, row.begun, row.ended, ended]
        spent = [(late - early) / 1e6 for early, late in pairwise(marks)]
        sensor, queue, launch, fetch, store = spent
        return Stages(sensor, queue, launch, fetch, store, int(row.requests))


def _needed(one: Purchase) -> list[str]:
    legs = [f"{one.instrument}|1d", f"{one.instrument}|1wk"]
    return [*legs, f"{one.pair}|1d"] if one.pair else legs


def new_ones(count: int, seed: int, *, called: str) -> list[tuple[Instrument, str]]:
    """Made-up stocks of five currencies that still trade, with the currencies of their prices."""
    found: list[tuple[Instrument, str]] = []
    number = 0
    while len(found) < count:
        street, currency = _STREETS[len(found) % len(_STREETS)]
        letters = "".join(chr(65 + number // 26**place % 26) for place in (1, 0))
        one = Instrument.parse(street.format(f"{called}{letters}"))
        if life_of(one, seed).delisted is None:
            found.append((one, currency))
        number += 1
    return found
