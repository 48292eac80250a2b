"""The update of one instrument: its fetched series first, then those derived from them.

Not here: many instruments at once (update), and what becomes of one reply (settle).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.coverage import Coverage
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.hole import due_within
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, span
from marketdata_pipeline.domain.reply import Basis, Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import (
    CircuitOpen,
    CredentialsRefused,
    MalformedReply,
    MarketDataError,
    OutOfDepth,
    ProviderError,
    SplitContradicted,
    Unavailable,
)
from marketdata_pipeline.ingest.acts import Acts
from marketdata_pipeline.ingest.derive import Base, due_parts, write_derived
from marketdata_pipeline.ingest.plan import (
    Ask,
    Plan,
    bars_before,
    never_asked,
    plan,
    wanted_range,
    with_neighbours,
)
from marketdata_pipeline.ingest.retries import Retries
from marketdata_pipeline.ingest.settle import Listing, actions_only, refused, settle
from marketdata_pipeline.ingest.wish import Tally, Wish
from marketdata_pipeline.logs import get_logger
from marketdata_pipeline.providers.base import Provider
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import SeriesSummary
from marketdata_pipeline.store.write import Committed, Fetch, FetchKind

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Request:
    """One request to come; ``oldest`` and ``too_old`` are of the whole plan that it is part of.

    ``wider`` is asked instead where the reply contradicts a split; None: nothing is.
    """

    provider: Provider
    series: Series
    ask: Ask
    errand: Errand
    oldest: datetime
    too_old: TimeRange | None
    wider: Ask | None = None


@dataclass(slots=True, eq=False)
class InstrumentWork:
    """One instrument's turn: what is known of it, growing with every reply."""

    instrument: Instrument
    providers: Sequence[Provider]
    store: BarStore
    clock: Clock
    stored: dict[Series, SeriesSummary]
    coverage: dict[Series, Coverage]
    acts: Acts
    first_trade: date | None
    currency: str | None
    errand: Errand
    retries: Retries

    @property
    def run_id(self) -> str | None:
        """As in the errand."""
        return self.errand.run_id

    def fetch_missing(self, wish: Wish, tally: Tally) -> None:
        """Ask for what is missing of a fetched series and store it, newest window first.

        Raises:
            ProviderError: no provider gave all of it; what came before is stored.
        """
        wanted = self._wanted(wish)
        if wanted is None:
            return
        failure: ProviderError | None = None
        for provider in self._candidates(wish.series):
            try:
                self._fetch_from(provider, wish.series, wanted, tally)
            except (Unavailable, MalformedReply, CircuitOpen, CredentialsRefused) as error:
                _log.warning("provider failed", series=str(wish.series), error=str(error))
                failure = error
                continue
            return
        if failure is not None:
            raise failure

    def needs_requests(self, wish: Wish) -> bool:
        """Whether anything of a fetched series is missing."""
        wanted = self._wanted(wish)
        return wanted is not None and any(
            self._plan(one, wish.series, wanted).asks for one in self._candidates(wish.series)
        )

    def let_go(self, wish: Wish) -> None:
        """Note of due holes that no provider will be asked for them."""
        series, now = wish.series, self.clock.market_now()
        holes = due_within(self.coverage.get(series, Coverage()), self._wanted(wish), now)
        depths = [one.timeframes[series.timeframe].depth for one in self._candidates(series)]
        if gone := never_asked(holes, depths, self.first_trade, now):
            self.coverage[series] = self.store.cover(series, gone)

    def _wanted(self, wish: Wish) -> TimeRange | None:
        return wanted_range(wish.series, wish.since, wish.until, self.clock.market_now())

    def _candidates(self, series: Series) -> list[Provider]:
        able = [one for one in self.providers if series.timeframe in one.timeframes]
        if not able:
            raise Unavailable(f"no provider serves {series}", series=str(series))
        return able

    def _fetch_from(
        self, provider: Provider, series: Series, wanted: TimeRange, tally: Tally
    ) -> None:
        todo = self._plan(provider, series, wanted)
        oldest = min((ask.window.start for ask in todo.asks), default=wanted.start)
        for ask in todo.asks:
            newest = ask is todo.asks[0]
            errand = self.errand if newest else self.errand.for_the_past()
            wider = with_neighbours(
                ask, wanted, provider.timeframes[series.timeframe].longest_window
            )
            request = _Request(provider, series, ask, errand, oldest, todo.out_of_depth, wider)
            try:
                self._bring(request, tally)
            except SplitContradicted:
                if wider is None:
                    raise
                self._bring(replace(request, ask=wider, wider=None), tally)

    def _bring(self, request: _Request, tally: Tally) -> None:
        """Ask and store what comes, again as the table of retries says."""
        self.retries.run(
            lambda errand: self._attempt(replace(request, errand=errand), tally), request.errand
        )

    def _attempt(self, request: _Request, tally: Tally) -> None:
        """Ask once and store what comes; what a refused reply told of splits is forgotten."""
        before = self.acts
        try:
            reply = self._asked(request)
            tally.requests += reply.requests
            self._learn(reply)
            self._know_actions(request, reply, tally)
            self._settle_or_disown(reply, request, tally)
        except MarketDataError as error:
            self.acts = before
            if isinstance(error, ProviderError):
                tally.requests += error.requests
            raise

    def _asked(self, request: _Request) -> Reply:
        """The provider's reply; that it does not go back so far is remembered as an answer."""
        provider, series, ask = request.provider, request.series, request.ask
        try:
            return provider.fetch(series, ask.window, request.errand)
        except OutOfDepth as error:
            fetch = Fetch(
                kind=FetchKind.REPLY,
                provider=provider.name,
                origin=error.origin or provider.name,
                window=ask.window,
                basis=Basis.RAW,
                currency=None,
                market_at=self.clock.market_now(),
                fetched_at=self.clock.wall_now(),
                requests=error.requests,
                run_id=self.run_id,
            )
            listing = Listing(self.first_trade, self.run_id, request.too_old)
            self._note(series, refused(self.store, series, ask.parts, fetch, listing))
            raise

    def _plan(self, provider: Provider, series: Series, wanted: TimeRange) -> Plan:
        return plan(
            series,
            wanted,
            self.coverage.get(series, Coverage()),
            provider.timeframes[series.timeframe],
            first_trade=self.first_trade,
            market_now=self.clock.market_now(),
        )

    def _learn(self, reply: Reply) -> None:
        self.first_trade = reply.first_trade or self.first_trade
        self.acts = self.acts.learned(reply)

    def _as_paid(self, reply: Reply) -> Reply:
        self.acts, paid = self.acts.paid(reply)
        return paid

    def _know_actions(self, request: _Request, reply: Reply, tally: Tally) -> None:
        """Before prices are un-split, every action from the window to now has to be known."""
        needed = span(reply.window.start, reply.market_at)
        if reply.bars.empty and not reply.actions:
            return
        if not self.instrument.asset_class.has_actions or needed is None:
            return
        unexplained = bars_before(self.acts.within, self.stored.values())
        if unexplained is None and not self.acts.lacks(needed):
            return
        daily = Series(self.instrument, Timeframe.D1)
        oldest = min(unexplained or request.oldest, request.oldest)
        whole = TimeRange(oldest, reply.market_at)
        wide = request.provider.fetch(daily, whole, request.errand)
        tally.requests += wide.requests
        self._learn(wide)
        paid, listing = self._as_paid(wide), Listing(self.first_trade, self.run_id)
        actions_only(self.store, paid, listing, self.acts.actions)
        if self.acts.lacks(needed):
            raise MalformedReply(
                f"{reply.series}: {reply.provider} does not tell all splits of "
                f"{self.instrument} from {needed.start:%Y-%m-%d} on; nothing was stored",
                provider=reply.provider,
                series=str(reply.series),
            )

    def _settle_or_disown(self, reply: Reply, request: _Request, tally: Tally) -> None:
        """Store what came; a split that it contradicts and does not list any more was none."""
        try:
            self._settle(self._as_paid(reply), request, tally)
        except SplitContradicted:
            gone = self.acts.disowned(reply)
            if not gone:
                raise
            self.acts = self.acts.without(gone)
            self._settle(self._as_paid(reply), request, tally, gone)

    def _settle(
        self, reply: Reply, request: _Request, tally: Tally, gone: tuple[Action, ...] = ()
    ) -> None:
        another = request.wider is not None or bool(not gone and self.acts.disowned(reply))
        listing = Listing(
            self.first_trade, self.run_id, request.too_old, gone, self.currency, another
        )
        parts = request.ask.parts
        committed = settle(self.store, reply, parts, self.acts.actions, listing=listing)
        self._note(reply.series, committed)
        self.currency = reply.currency or self.currency
        tally.rows_new += committed.rows_new
        if committed.brought:
            tally.written.append(reply.window)

    def _note(self, series: Series, committed: Committed) -> None:
        """Whoever else writes meanwhile is heard of with the next write, or by the next call."""
        self.stored[series] = self.stored[series].after(committed)
        self.coverage[series] = committed.coverage

    def derive(self, wish: Wish, tally: Tally) -> None:
        """Bring a derived series up to what its base holds now."""
        series, base = wish.series, wish.series.base
        wanted = self._wanted(wish)
        if wanted is None or base is None:
            return
        known = self._base(base, self.stored[series].base_version)
        coverage = self.coverage.get(series, Coverage())
        parts = due_parts(series, wanted, coverage, known, self.clock)
        if not parts:
            return
        committed = write_derived(self.store, series, parts, known, self.clock, self.run_id)
        self._note(series, committed)
        tally.rows_new += committed.rows_new
        tally.written.extend(parts)

    def _base(self, base: Series, derived_from: int | None) -> Base:
        """What a series is derived from; ``derived_from`` is the base's version the last time."""
        stored, changed = self.stored[base], None
        if derived_from is not None and derived_from != stored.version:
            changed = self.store.changed_since(base, derived_from)
        return Base(
            coverage=self.coverage.get(base, Coverage()),
            origin=stored.origin,
            version=stored.version,
            actions=self.acts.actions,
            changed=changed,
            first_trade=self.first_trade,
        )
