"""A reply beside what is stored and what is in quarantine: what of it passes, what is kept apart.

Not here: what makes bars suspect (quality), and writing either (settle).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.bars import labels_inside, labels_of
from marketdata_pipeline.domain.quarantine import (
    ANSWERED_SINCE,
    CONFIRMED,
    SPLIT_CONTRADICTED,
    Decision,
    Kept,
    QuarantineStatus,
    Suspect,
    label_ranges,
    same_bars,
)
from marketdata_pipeline.domain.ranges import TimeRange, to_micros
from marketdata_pipeline.domain.reply import Reply
from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.errors import MalformedReply, QuarantinedReply, SplitContradicted
from marketdata_pipeline.quality.gate import Around, suspicions
from marketdata_pipeline.quality.plausible import contradicted_split
from marketdata_pipeline.quality.terms import impossible_dividends
from marketdata_pipeline.store.write import Apart, Snapshot

_IMPOSSIBLE_DIVIDEND = "impossible_dividend"
_CURRENCY = "currency"
_AGREES = 0.01
"""By as much may the close of a reply that passes differ from the stored one it agrees with."""


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """What is known when a reply arrives.

    Attributes:
        stored: bars in and around its window.
        kept: all that is or was in quarantine of the series.
        actions: of the instrument, as paid, the reply's own among them.
        currency: of what is stored; None: not known.
    """

    stored: Snapshot
    kept: Sequence[Kept] = ()
    actions: Sequence[Action] = ()
    currency: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sifted:
    """What becomes of a reply.

    Attributes:
        bars, actions: what passes.
        apart: what it does to the quarantine.
        in_vain: label ranges that are stored, were asked again and got no answer to be trusted.
        doubted: those of all bars that are held, or stay out of this reply.
        currency: that of the reply; None: it is another one than before.
        refusal: why nothing of it passes; None: the rest does.
    """

    bars: pd.DataFrame
    actions: tuple[Action, ...]
    apart: Apart = Apart()  # noqa: RUF009 - frozen
    in_vain: tuple[TimeRange, ...] = ()
    doubted: tuple[TimeRange, ...] = ()
    currency: str | None = None
    refusal: Finding | None = None


def contradiction(
    reply: Reply, raw: pd.DataFrame, stored: Snapshot, known: Sequence[Action]
) -> Finding | None:
    """The finding that a reply's prices disagree with a known split, where they do."""
    split = contradicted_split(raw, stored.bars, reply.series, known)
    if split is None:
        return None
    detail = (
        f"prices from {reply.provider} disagree with the split of {split.ex_date} ({split.value}:1)"
    )
    evidence = {"ex_date": str(split.ex_date), "ratio": str(split.value)}
    return Finding(SPLIT_CONTRADICTED, reply.window, detail, evidence)


def error_of(reply: Reply, finding: Finding) -> MalformedReply:
    """The error of a reply of which nothing passes."""
    kind = SplitContradicted if finding.rule == SPLIT_CONTRADICTED else QuarantinedReply
    return kind(
        f"{reply.series}: {finding.detail}; nothing was stored",
        provider=reply.provider,
        series=str(reply.series),
    )


def sift(
    reply: Reply,
    raw: pd.DataFrame,
    inside: np.ndarray,
    before: Before,
    contradicted: Finding | None = None,
) -> Sifted:
    """Part what passes of a reply from what is kept apart.

    Bars that are stored with the same values, or were released with them, are never doubted; those
    that a person dropped stay out whether they are doubted or not. Where a finding is about every
    bar, nothing passes.

    Args:
        reply: what came.
        raw: its bars as traded.
        inside: a mask of those that were asked for.
        before: what is known.
        contradicted: the finding that a split is, where it is.
    """
    sieve = _Sieve(reply, raw, before)
    found = [contradicted] if contradicted else suspicions(reply, raw, _around(reply, before))
    about_bars = [one for one in found if one.rule != _IMPOSSIBLE_DIVIDEND]
    for one in about_bars:
        if sieve.is_about_all(one):
            return sieve.refused(one, inside)
    for one in about_bars:
        sieve.doubt(one, inside)
    for one in found:
        if one.rule == _IMPOSSIBLE_DIVIDEND:
            sieve.doubt_actions(one)
    other = any(one.rule == _CURRENCY for one in found)
    return replace(sieve.passed(inside), currency=None if other else reply.currency)


def sift_actions(reply: Reply, raw: pd.DataFrame, before: Before) -> Sifted:
    """The same of a reply that was asked for its actions only: impossible payments are kept apart.

    ``raw`` are its bars as traded, which say what a payment can have been.
    """
    sieve = _Sieve(reply, raw, before)
    for one in impossible_dividends(reply, raw, before.stored.bars, before.actions):
        sieve.doubt_actions(one)
    return sieve.passed(np.zeros(len(raw), dtype=bool))


def _around(reply: Reply, before: Before) -> Around:
    return Around(reply.series, before.stored.bars, before.actions, before.currency)


@dataclass(slots=True, eq=False)
class _Sieve:
    """A reply while it is sifted: masks over its bars, and what is kept apart so far."""

    reply: Reply
    raw: pd.DataFrame
    before: Before
    sure: np.ndarray = field(init=False)
    out: np.ndarray = field(init=False)
    doubted: list[Action] = field(default_factory=list)
    held: list[Suspect] = field(default_factory=list)
    again: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.sure = same_bars(self.raw, self.before.stored.bars)
        for one in self.before.kept:
            if one.released:
                self.sure |= same_bars(self.raw, one.bars)
        self.out = np.zeros(len(self.raw), dtype=bool)
        for one in self.before.kept:
            if one.dropped:
                self.out |= self._recognised(one, ~self.sure)

    def _recognised(self, kept: Kept, among: np.ndarray) -> np.ndarray:
        """The bars ``among`` some that are in quarantine with the same values."""
        same: np.ndarray = same_bars(self.raw, kept.bars) & among
        if same.any():
            self.again.add(kept.row.id)
        return same

    def is_about_all(self, finding: Finding) -> bool:
        """Whether every bar is doubted, and any of them is not known better."""
        if not labels_inside(labels_of(self.raw), [finding.within]).all():
            return False
        return bool((~self.sure & ~self.out).any())

    def refused(self, finding: Finding, inside: np.ndarray) -> Sifted:
        """Nothing of the reply passes; what was asked for is kept apart."""
        self._hold(finding, inside & ~self.sure & ~self.out, self.reply.actions)
        self.out |= ~self.sure
        return Sifted(
            self.raw.iloc[:0], (), self._apart(), doubted=self._in_doubt(), refusal=finding
        )

    def doubt(self, finding: Finding, inside: np.ndarray) -> None:
        """The bars that a finding is about do not pass; those asked for are kept apart.

        Others would pass for what is stored already by other values.
        """
        of_it = labels_inside(labels_of(self.raw), [finding.within]) & ~self.sure & ~self.out
        self._hold(finding, of_it & inside)
        self.out |= of_it

    def doubt_actions(self, finding: Finding) -> None:
        """The payments on the day that a finding is about are kept apart."""
        days = finding.within.start.date(), finding.within.end.date()
        paid = [one for one in self.reply.actions if one.kind is not ActionKind.SPLIT]
        these = [one for one in paid if days[0] <= one.ex_date < days[1]]
        for kept in self.before.kept:
            if kept.released:
                these = [one for one in these if one not in kept.row.actions]
        self.doubted += these
        for kept in self.before.kept:
            if kept.dropped and any(one in kept.row.actions for one in these):
                self.again.add(kept.row.id)
                these = [one for one in these if one not in kept.row.actions]
        if these:
            suspect = Suspect(finding, actions=tuple(these), currency=self.reply.currency)
            self.held.append(suspect)

    def _hold(
        self, finding: Finding, doubted: np.ndarray, actions: tuple[Action, ...] = ()
    ) -> None:
        """Bars that are held already for the same reason are not held twice."""
        for one in self.before.kept:
            if one.held and one.row.reason == finding.rule:
                doubted = doubted & ~self._recognised(one, doubted)
        if doubted.any():
            bars = self.raw[doubted]
            self.held.append(Suspect(finding, bars, actions, self.reply.currency))

    def passed(self, inside: np.ndarray) -> Sifted:
        """All but what was doubted."""
        passing = self.raw[~self.out]
        gone = tuple(self.doubted)
        stored = np.isin(labels_of(self.raw), labels_of(self.before.stored.bars))
        in_vain = labels_of(self.raw)[self.out & stored & inside]
        return Sifted(
            passing,
            tuple(one for one in self.reply.actions if one not in gone),
            self._apart(tuple(self._closed(passing, inside[~self.out]))),
            self._ranges(in_vain),
            self._in_doubt(),
        )

    def _in_doubt(self) -> tuple[TimeRange, ...]:
        held = [labels_of(one.bars) for one in self.before.kept if one.held]
        return self._ranges(np.concatenate([labels_of(self.raw)[self.out], *held]))

    def _ranges(self, labels: np.ndarray) -> tuple[TimeRange, ...]:
        return tuple(label_ranges(labels, self.reply.series.timeframe.length))

    def _apart(self, decided: tuple[Decision, ...] = ()) -> Apart:
        return Apart(tuple(self.held), tuple(sorted(self.again)), decided)

    def _closed(self, passing: pd.DataFrame, inside: np.ndarray) -> Iterator[Decision]:
        """What nobody has to judge any more, now that these bars pass."""
        waiting = [one for one in self.before.kept if one.held and one.row.rows]
        stored = self.before.stored
        if not waiting or passing.empty:
            return
        answered = labels_of(passing)[_agrees(passing, stored.bars, inside)]
        there = labels_of(stored.bars)
        for one in waiting:
            if one.row.id in self.again:
                continue
            if same_bars(one.bars, passing[inside]).all():
                yield Decision(one.row.id, QuarantineStatus.RELEASED, CONFIRMED)
                continue
            since = there[stored.fetched_at > to_micros(one.row.fetched_at)]
            labels = labels_of(one.bars)
            here = np.isin(labels, answered)
            if here.any() and (here | np.isin(labels, since)).all():
                yield Decision(one.row.id, QuarantineStatus.DROPPED, ANSWERED_SINCE)


def _agrees(passing: pd.DataFrame, stored: pd.DataFrame, inside: np.ndarray) -> np.ndarray:
    """A mask of the bars that are stored much the same, or not at all and will be now."""
    labels, there = labels_of(passing), labels_of(stored)
    agrees = np.asarray(inside & ~np.isin(labels, there))
    _, ours, theirs = np.intersect1d(labels, there, assume_unique=True, return_indices=True)
    ratio = passing["close"].to_numpy()[ours] / stored["close"].to_numpy()[theirs]
    agrees[ours] = np.abs(ratio - 1) <= _AGREES
    return agrees
