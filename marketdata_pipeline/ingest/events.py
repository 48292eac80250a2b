"""Transactions in, and what follows from them: holdings, tracked instruments, rows of the queue.

Not here: the decision itself (track), doing what is queued (queue), registering partition keys
(orchestrator).
Whoever inserts a row leaves ``processed_at`` empty; ``process`` looks at such rows, and reads all
others of their instruments with them. So what follows depends on what the table says alone, not on
how often or in which pieces it was looked at.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Engine, select

from marketdata_pipeline.database import retry
from marketdata_pipeline.database.dialect import is_postgres, wall_micros
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import home
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.holding import Position, currency_of, fx_pair, positions
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import from_micros
from marketdata_pipeline.domain.transaction import Transaction, refusal, refuse_unstorable
from marketdata_pipeline.ingest.track import Decision, Keeping, decide
from marketdata_pipeline.logs import get_logger
from marketdata_pipeline.store import (
    backfills,
    holdings,
    identity,
    known,
    launches,
    tracking,
    transactions,
)
from marketdata_pipeline.store.holdings import Holding, Need
from marketdata_pipeline.store.transactions import Recorded

_LIMIT = 500
_log = get_logger(__name__)
_Positions = Mapping[Instrument, Sequence[Position]]


@dataclass(frozen=True, slots=True)
class Processed:
    """What came of some rows.

    Attributes:
        seen: rows that were looked at; ``rejected`` of them can be no transaction.
        tracked: instruments that are tracked from now on, pairs of currencies among them.
        queued: ids of rows of the queue, new ones or such as took in what is wanted.
        left: rows that nobody has looked at yet.
    """

    seen: int = 0
    rejected: int = 0
    tracked: tuple[Instrument, ...] = ()
    queued: tuple[int, ...] = ()
    left: int = 0


class Events:
    """The transactions in the catalog behind ``engine``."""

    def __init__(self, engine: Engine, clock: Clock, keeping: Keeping) -> None:
        self._engine = engine
        self._clock = clock
        self._keeping = keeping

    def record(self, told: Sequence[Transaction]) -> int:
        """Take transactions in; how many were new. What follows is for ``process``.

        One whose portfolio and id are known changes nothing, unless it is voided now.

        Raises:
            BadInput: one of them is none that a row can hold; none was taken in.
        """
        for one in told:
            refuse_unstorable(one)
        return retry.write(
            self._engine,
            self._clock,
            lambda connection: transactions.add_all(connection, self._clock, told),
        )

    def void(self, portfolio: str, external_id: str) -> bool:
        """Have a transaction count as never made; False: there is none of that id."""
        return retry.write(
            self._engine,
            self._clock,
            lambda connection: transactions.void(connection, self._clock, portfolio, external_id),
        )

    def get(self, portfolio: str, external_id: str) -> Transaction | None:
        """The transaction of an id, or None."""
        with reading(self._engine) as connection:
            return transactions.get(connection, portfolio, external_id)

    def process(self, limit: int = _LIMIT) -> Processed:
        """Do what follows from the oldest new rows, at most ``limit`` of them, in one transaction.

        One process at a time does so; another waits for it. Rows that a sender is at just now are
        ``left``, so whoever does all that there is ends when nothing was ``seen``.

        Raises:
            Busy: others were in the way, again and again; nothing was done.
        """
        with reading(self._engine) as connection:  # a look disturbs no writer
            if not transactions.count_unprocessed(connection):
                return Processed()
        done = retry.write(
            self._engine, self._clock, lambda connection: self._process(connection, limit)
        )
        _log.debug(
            "transactions processed", seen=done.seen, rejected=done.rejected,
            tracked=len(done.tracked), queued=len(done.queued), left=done.left,
        )  # fmt: skip
        return done

    def recount(self, instruments: Collection[Instrument]) -> Processed:
        """Reckon anew what is held of these, once their splits or their currency are known."""
        if not instruments:
            return Processed()

        def work(connection: Connection) -> Processed:
            _close_door(connection)
            tracked, queued = self._follow(connection, list(dict.fromkeys(instruments)))
            return Processed(
                tracked=tracked, queued=queued, left=transactions.count_unprocessed(connection)
            )

        return retry.write(self._engine, self._clock, work)

    def recount_all(self) -> list[Instrument]:
        """Reckon anew what is held of everything that was ever traded; what has changed.

        Any reply may tell of a split or a currency, and only a backfill has it reckoned at once.
        """
        changed = self.miscounted()
        for some in _portions(changed):
            self.recount(some)
        return changed

    def miscounted(self) -> list[Instrument]:
        """Those whose holdings are not what their transactions come to now; a look, no more."""
        with reading(self._engine) as connection:
            traded = [Instrument(key) for key in transactions.instruments(connection)]
        return [one for some in _portions(traded) for one in self._miscounted(some)]

    def end_upkeep(self) -> list[Instrument]:
        """End the upkeep of what nobody has held for longer than the grace; bars stay.

        What is held, and by whom, is reckoned anew before. What is tracked by hand stays tracked.
        Rows of the queue that wait for it are removed.
        """
        self.recount_all()
        return retry.write(self._engine, self._clock, self._end_upkeep)

    def _process(self, connection: Connection, limit: int) -> Processed:
        _close_door(connection)
        rows = transactions.unprocessed(connection, at_most=limit)
        market_now = self._clock.market_now()
        reasons: dict[int, str] = {}
        keys: dict[int, Instrument] = {}
        for one in rows:
            why = refusal(one.transaction, market_now)
            if why is None:
                keys[one.id] = Instrument.parse(one.transaction.instrument)
            else:
                reasons[one.id] = why
        self._note(connection, rows, reasons, keys)
        tracked, queued = self._follow(connection, list(dict.fromkeys(keys.values())))
        left = transactions.count_unprocessed(connection)
        return Processed(len(rows), len(reasons), tracked, queued, left)

    def _note(
        self,
        connection: Connection,
        rows: Sequence[Recorded],
        reasons: Mapping[int, str],
        keys: Mapping[int, Instrument],
    ) -> None:
        """Have the rows say that they were looked at; it counts once all else is done."""
        for one in rows:
            if one.id in reasons:
                _log.warning(
                    "transaction rejected", portfolio=one.transaction.portfolio,
                    external_id=one.transaction.external_id, reason=reasons[one.id],
                )  # fmt: skip
        written = {one.id: one.transaction.instrument for one in rows}
        folded = {row: one.key for row, one in keys.items() if written[row] != one.key}
        transactions.respell(connection, folded)
        transactions.mark_processed(connection, self._clock, list(keys))
        transactions.mark_rejected(connection, self._clock, reasons)

    def _follow(
        self, connection: Connection, touched: Sequence[Instrument]
    ) -> tuple[tuple[Instrument, ...], tuple[int, ...]]:
        """What follows from all transactions of these: instruments newly tracked, queue rows."""
        if not touched:
            return (), ()
        found = self._positions(connection, touched)
        before = holdings.all_of(connection, touched)
        after = self._holdings(connection, found)
        holdings.replace_all(connection, before, after)
        pairs = sorted({one.pair for one in (*before, *after) if one.pair is not None})
        needs = holdings.needs(connection, dict.fromkeys((*touched, *pairs)))
        for instrument, each in found.items():
            needs[instrument] = _ever(needs[instrument], each)
        return self._settle(connection, needs)

    def _positions(self, connection: Connection, touched: Sequence[Instrument]) -> _Positions:
        rows = transactions.of_instruments(connection, [one.key for one in touched])
        market_now = self._clock.market_now()
        counted: dict[Instrument, list[Transaction]] = defaultdict(list)
        for one in rows:  # those that still wait for their turn among them
            if refusal(one.transaction, market_now) is None:
                counted[Instrument(one.transaction.instrument)].append(one.transaction)
        splits = known.splits(connection, touched)
        return {one: positions(one, counted.get(one, ()), splits.get(one, ())) for one in touched}

    def _miscounted(self, some: Sequence[Instrument]) -> list[Instrument]:
        with reading(self._engine) as connection:
            before = holdings.all_of(connection, some)
            after = self._holdings(connection, self._positions(connection, some))
        return sorted({one.instrument for one in {*before} ^ {*after}})

    def _holdings(self, connection: Connection, found: _Positions) -> list[Holding]:
        """The rows that these positions come to."""
        told = known.currencies(connection, found)
        return [
            self._holding(instrument, one, told.get(instrument))
            for instrument, each in found.items()
            for one in each
            if one.held
        ]

    def _holding(self, instrument: Instrument, one: Position, told: str | None) -> Holding:
        """The row of a position, ``told`` being the currency that a provider told."""
        reckoned = self._keeping.currency_of(one.portfolio, one.currency)
        pair = None if reckoned is None else fx_pair(currency_of(instrument, told), reckoned)
        return Holding(one.portfolio, instrument, one.quantity, one.acquired_at, pair)

    def _settle(
        self, connection: Connection, needs: Mapping[Instrument, Need]
    ) -> tuple[tuple[Instrument, ...], tuple[int, ...]]:
        """Write what is decided: instruments newly tracked, ids of queue rows."""
        ours = [one for one, need in needs.items() if need.acquired_at is not None]
        identity.add_missing(connection, ours)
        identity.lock_instruments(connection, needs)
        before = tracking.standings(connection, needs)
        now = from_micros(wall_micros(connection, self._clock))
        decisions: dict[Instrument, Decision] = {
            one: decide(one, need, before.get(one), self._keeping, now)
            for one, need in needs.items()
        }
        rows = [one.standing for one in decisions.values() if one.standing is not None]
        tracking.put_standings(connection, rows)
        wanted = [one for each in decisions.values() for one in each.wanted]
        queued = backfills.add_all(connection, self._clock, wanted) if wanted else []
        fresh = tuple(one for one, decision in decisions.items() if decision.fresh)
        return fresh, tuple(dict.fromkeys(queued))

    def _end_upkeep(self, connection: Connection) -> list[Instrument]:
        _close_door(connection)
        tracked = tracking.standings(connection)
        needs = {one: Need() for one, row in tracked.items() if row.untracked_at is None}
        self._settle(connection, needs | holdings.needs(connection))
        now = from_micros(wall_micros(connection, self._clock))
        over = [
            one.instrument
            for one in tracking.standings(connection).values()
            if one.untracked_at is None
            and not one.by_hand
            and not one.holders
            and one.released_at is not None
            and one.released_at <= now - self._keeping.grace_after_sale
        ]
        tracking.end(connection, over, now)
        launches.drop_waiting(connection, over)
        return sorted(over)


def _portions(whole: Sequence[Instrument]) -> Iterator[Sequence[Instrument]]:
    for first in range(0, len(whole), _LIMIT):
        yield whole[first : first + _LIMIT]


def _ever(need: Need, each: Iterable[Position]) -> Need:
    """The same, with those who do not hold it any more counted in for its first purchase."""
    first = [one.acquired_at for one in each]
    if need.acquired_at is not None:
        first.append(need.acquired_at)
    return replace(need, acquired_at=min(first, default=None))


def _close_door(connection: Connection) -> None:
    """One at a time draws conclusions; on SQLite a writing transaction is alone anyway."""
    if is_postgres(connection):
        connection.execute(select(home.c.id).with_for_update()).all()
