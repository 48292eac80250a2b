"""From a reply to stored bars: judge what is there, commit bars, coverage and actions together.

Not here: asking providers (work), traded prices (raw), derived bars (derive), the comparison with
what is stored (confirm).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.bars import BadRow
from marketdata_pipeline.domain.coverage import Span
from marketdata_pipeline.domain.ranges import TimeRange, intersect, merge, span, subtract, to_micros
from marketdata_pipeline.domain.reply import Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.settlement import unsettled
from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.errors import MalformedReply
from marketdata_pipeline.ingest.apart import refusal, with_apart
from marketdata_pipeline.ingest.commit import commit_over
from marketdata_pipeline.ingest.confirm import at_odds, compare, unconfirmed
from marketdata_pipeline.ingest.covering import Lacking, covering
from marketdata_pipeline.ingest.plan import absent_labels
from marketdata_pipeline.ingest.raw import Settled, to_raw
from marketdata_pipeline.ingest.sift import (
    Before,
    Sifted,
    contradiction,
    error_of,
    sift,
    sift_actions,
)
from marketdata_pipeline.quality.gate import neighbourhood
from marketdata_pipeline.quality.plausible import emptier
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.write import Apart, Committed, Fetch, FetchKind, Snapshot, Write


@dataclass(frozen=True, slots=True)
class Listing:
    """What is known beside the reply.

    Attributes:
        first_trade: the listing's first day.
        run_id: the run that works.
        too_old: a range that is wanted but out of the provider's depth.
        disowned: splits that were known until the reply listed them no more and disagreed.
        currency: of what is stored, as a provider wrote it.
        another_try: where a split is contradicted, one follows before the reply is kept apart.
    """

    first_trade: date | None = None
    run_id: str | None = None
    too_old: TimeRange | None = None
    disowned: tuple[Action, ...] = ()
    currency: str | None = None
    another_try: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """A reply as traded, the missing ``parts`` that it answers, and what of it is settled.

    ``provisional``: the spans that are not, ``final``: the ranges that are.
    """

    reply: Reply
    settled: Settled
    parts: tuple[TimeRange, ...]
    provisional: Sequence[Span]
    final: tuple[TimeRange, ...]
    listing: Listing


def settle(
    store: BarStore,
    reply: Reply,
    parts: Sequence[TimeRange],
    known: Sequence[Action],
    listing: Listing,
) -> Committed:
    """Store the ``parts`` of a reply that were missing, in one transaction with their coverage.

    Bars that a later fetch already holds are left out; expected bars that neither the reply nor
    the store has become holes. What is not settled yet is provisional, and due again; a final bar
    that the same provider tells otherwise by now is restated, with the reason in the journal. Bars
    that disagree with what is stored go to quarantine and count as absent.

    Raises:
        MalformedReply: too many bad rows.
        SplitContradicted: the prices disagree with a known split; nothing is stored.
        QuarantinedReply: all of it disagrees with what is stored; only quarantine and holes are.
        WriteConflict: other writers kept coming first.
        StoreError: the catalog or a file refused.
    """
    settled = to_raw(reply, known)
    provisional = unsettled(reply.series, reply.market_at)
    final = _before(provisional, reply.window)
    answer = _Answer(reply, settled, tuple(parts), provisional, final, listing)
    refusals: list[Finding | None] = []

    def judged(stored: Snapshot) -> tuple[Write, bool]:
        kept = store.quarantined(reply.series, reply.window)
        before = Before(stored, kept, known, listing.currency)
        sifted = _sift(answer, before)
        refusals.append(sifted.refusal)
        return _write_of(answer, sifted, stored)

    committed = commit_over(store, reply.series, _padded(reply), judged)
    if refusals[-1] is not None:
        raise error_of(reply, refusals[-1])
    return committed


def actions_only(
    store: BarStore, reply: Reply, listing: Listing, known: Sequence[Action] = ()
) -> None:
    """Keep the actions of a reply and when they were asked; its bars are somebody else's.

    Payments that are impossible go to quarantine.
    """
    before = Before(
        store.snapshot(reply.series, reply.window),
        store.quarantined(reply.series, reply.window),
        known,
    )
    sifted = sift_actions(reply, _plain(reply, known), before)
    write = Write(
        series=reply.series,
        bars=contract.empty(),
        fetch=_fetch_of(reply, (), listing),
        coverage=lambda before: before,
        actions=sifted.actions,
        actions_within=reply.actions_within,
        first_trade=reply.first_trade,
        asset_class=reply.series.instrument.believed(reply.asset_class),
        aside=True,
        apart=sifted.apart,
    )
    store.commit(write, expected_version=None)


def _plain(reply: Reply, known: Sequence[Action]) -> pd.DataFrame:
    """The reply's bars as traded; none where they cannot be trusted."""
    try:
        return to_raw(reply, known).bars
    except MalformedReply:
        return contract.empty()


def refused(
    store: BarStore, series: Series, parts: Sequence[TimeRange], fetch: Fetch, listing: Listing
) -> Committed:
    """Remember that a provider does not go back so far: a hole, asked again ever more rarely."""

    def judged(stored: Snapshot) -> tuple[Write, bool]:
        present = contract.labels_of(stored.bars)
        absent = absent_labels(series, parts, present, listing.first_trade)
        lacking = Lacking(series, parts, absent, present)
        cover = covering(lacking, listing.too_old, fetch.market_at)
        return Write(series, fetch, coverage=cover), True

    return commit_over(store, series, TimeRange(parts[0].start, parts[-1].end), judged)


def _before(provisional: Sequence[Span], window: TimeRange) -> tuple[TimeRange, ...]:
    """The part of a window that is older than what is provisional."""
    if not provisional:
        return (window,)
    older = span(window.start, min(window.end, provisional[0].within.start))
    return () if older is None else (older,)


def _padded(reply: Reply) -> TimeRange:
    around = neighbourhood(reply.series.timeframe)
    return TimeRange(reply.window.start - around, reply.window.end + around)


def _held(bars: pd.DataFrame, stored: Snapshot, fetched_at: int) -> np.ndarray:
    """A mask of the bars for which a better one is stored.

    That is one of a later fetch, a final one, or one with volume where the reply has none.
    """
    labels = contract.labels_of(bars)
    later = contract.labels_of(stored.bars)[stored.fetched_at > fetched_at]
    better: np.ndarray = np.isin(labels, np.union1d(later, stored.finals()))
    better |= emptier(bars, stored.bars)
    return better


def _sift(answer: _Answer, before: Before) -> Sifted:
    """What passes, unless a wider reply is to be asked for first."""
    reply, bars = answer.reply, answer.settled.bars
    found = contradiction(reply, bars, before.stored, before.actions)
    if found is not None and answer.listing.another_try:
        raise error_of(reply, found)
    return sift(
        reply, bars, contract.labels_inside(contract.labels_of(bars), answer.parts), before, found
    )


def _write_of(answer: _Answer, sifted: Sifted, stored: Snapshot) -> tuple[Write, bool]:
    """What passes, with what is kept apart; nothing but that where nothing passes."""
    silent = unconfirmed(answer.reply, answer.settled.bars, stored, answer.final)
    asked = intersect(answer.parts, silent)
    sifted = replace(sifted, in_vain=tuple(merge([*sifted.in_vain, *asked])))
    reply, parts = answer.reply, tuple(subtract(answer.parts, sifted.in_vain))
    told = replace(reply, actions=sifted.actions)
    settled = replace(answer.settled, bars=sifted.bars)
    write, relied = _write(replace(answer, reply=told, settled=settled, parts=parts), stored)
    if sifted.refusal is not None:
        present = contract.labels_of(stored.bars)
        absent = absent_labels(reply.series, parts, present, answer.listing.first_trade)
        lacking = Lacking(reply.series, absent, absent, present, contract.labels_of(reply.bars))
        holes = covering(lacking, answer.listing.too_old, reply.market_at)
        return refusal(replace(write, coverage=holes), sifted, parts), True
    return with_apart(write, sifted), relied or bool(sifted.apart)


def _write(answer: _Answer, stored: Snapshot) -> tuple[Write, bool]:
    reply, bars, listing = answer.reply, answer.settled.bars, answer.listing
    labels = contract.labels_of(bars)
    becomes_final = contract.labels_inside(labels, answer.final)
    fetched_at = to_micros(reply.fetched_at)
    compared = compare(bars, stored, (reply.provider, fetched_at), becomes_final)
    held = _held(bars, stored, fetched_at)
    restated = compared.restated & becomes_final
    keep = (contract.labels_inside(labels, answer.parts) & ~held & ~compared.known) | restated
    present = np.union1d(labels, contract.labels_of(stored.bars))
    first_trade = reply.first_trade or listing.first_trade
    absent = absent_labels(reply.series, answer.parts, present, first_trade)
    came = contract.labels_of(reply.bars)
    lacking = Lacking(reply.series, answer.parts, absent, present, came)
    write = Write(
        series=reply.series,
        bars=bars[keep],
        fetch=_fetch_of(reply, answer.settled.dropped, listing),
        coverage=covering(lacking, listing.too_old, reply.market_at, answer.provisional),
        actions=reply.actions,
        actions_within=reply.actions_within,
        disowned=listing.disowned,
        first_trade=reply.first_trade,
        asset_class=reply.series.instrument.believed(reply.asset_class),
        final=answer.final,
        reason=f"{reply.provider} tells it otherwise by now" if restated.any() else None,
        apart=Apart(at_odds(reply, bars[compared.at_odds])),
    )
    return write, bool(absent) or bool(restated.any())


def _fetch_of(reply: Reply, dropped: tuple[BadRow, ...], listing: Listing) -> Fetch:
    return Fetch(
        kind=FetchKind.REPLY,
        provider=reply.provider,
        origin=reply.origin,
        window=reply.window,
        basis=reply.basis,
        currency=reply.currency,
        market_at=reply.market_at,
        fetched_at=reply.fetched_at,
        requests=reply.requests,
        dropped=dropped,
        base_version=None,
        run_id=listing.run_id,
    )
