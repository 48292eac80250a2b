"""Quarantine: bars kept apart until a person judges them, and why they are.

Not here: what makes bars suspect (quality), keeping them (store), releasing them (ingest).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.bars import empty, labels_of, values_of
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, merge
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.verdict import Finding

SPLIT_CONTRADICTED = "split_contradicted"
"""The reason of a reply whose prices disagree with a known split; the gate has the others."""
ANSWERED_SINCE = "a later reply agreed with what is stored"
"""Why nobody has to judge it any more; if it comes again, it is held again."""
CONFIRMED = "the same came again and passed"
"""Why what was held is stored by now."""


class QuarantineStatus(StrEnum):
    """What was decided of a quarantined part of a reply."""

    HELD = "held"
    RELEASED = "released"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a quarantined part, and why, in a sentence."""

    id: int
    status: QuarantineStatus
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class Suspect:
    """A part of a reply that is not stored.

    Attributes:
        finding: why; its rule is the reason.
        bars: raw, as they would have been stored, sorted; empty where only actions are doubted.
        actions: those that are not stored either.
        currency: as the provider writes it.
    """

    finding: Finding
    bars: pd.DataFrame = field(default_factory=empty)
    actions: tuple[Action, ...] = ()
    currency: str | None = None

    def fingerprint(self, series: Series) -> str:
        """Tells the same part of the same reply again: series, reason, labels, values, actions."""
        digest = sha256(f"{series}\n{self.finding.rule}\n".encode())
        digest.update(labels_of(self.bars).astype("<i8").tobytes())
        digest.update(np.ascontiguousarray(values_of(self.bars), dtype="<f8").tobytes())
        for one in sorted(self.actions):
            digest.update(f"{one.ex_date} {one.kind} {one.value}\n".encode())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A part of a reply in quarantine, without its bars.

    Attributes:
        reason: a word, as the gate names its rules.
        detail: a sentence for a person; ``evidence`` are the numbers behind it.
        times: how often it came; ``seen_at`` the last time, ``held_at`` the first.
        window: what was asked, in label space.
        market_at, fetched_at, run_id, currency: of the reply that it came with first.
        rows: how many bars; 0: it holds actions only.
        first, last: labels; None where it has no bar.
        decided_at, decided_why: None as long as it is held.
    """

    id: int
    series: Series
    status: QuarantineStatus
    reason: str
    detail: str
    evidence: Mapping[str, float | int | str | bool]
    fingerprint: str
    times: int
    provider: str
    origin: str
    window: TimeRange
    currency: str | None
    market_at: datetime
    fetched_at: datetime
    run_id: str | None
    rows: int
    first: datetime | None
    last: datetime | None
    actions: tuple[Action, ...]
    held_at: datetime
    seen_at: datetime
    decided_at: datetime | None = None
    decided_why: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A quarantined part with its bars, raw, as ``domain.bars`` shapes them."""

    row: Quarantined
    bars: pd.DataFrame

    @property
    def held(self) -> bool:
        """Whether nobody has judged it yet."""
        return self.row.status is QuarantineStatus.HELD

    @property
    def released(self) -> bool:
        """Whether it is as good as any other reply."""
        return self.row.status is QuarantineStatus.RELEASED

    @property
    def dropped(self) -> bool:
        """Whether a person said that it stays out."""
        gone = self.row.status is QuarantineStatus.DROPPED
        return gone and self.row.decided_why != ANSWERED_SINCE


def same_bars(bars: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """A mask of ``bars`` that ``others`` has with the same values; both sorted by label."""
    labels, there = labels_of(bars), labels_of(others)
    same = np.zeros(len(labels), dtype=bool)
    if not len(labels) or not len(there):
        return same
    at = np.minimum(np.searchsorted(there, labels), len(there) - 1)
    same[:] = (there[at] == labels) & (values_of(bars) == values_of(others)[:, at]).all(axis=0)
    return same


def label_ranges(labels: np.ndarray, length: timedelta) -> list[TimeRange]:
    """The ranges that bars of a length take, in label space; neighbours are one."""
    starts = [from_micros(int(one)) for one in labels]
    return merge(TimeRange(start, start + length) for start in starts)
