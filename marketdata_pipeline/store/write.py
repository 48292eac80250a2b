"""What a writer hands to the bar store, and what it gets back.

Not here: how it is written (bars, ledger).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum, StrEnum

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.bars import BadRow, empty, labels_of
from marketdata_pipeline.domain.coverage import Coverage
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.quarantine import Decision, Suspect
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Basis
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import Micros
from marketdata_pipeline.errors import WriteConflict


class Stale(WriteConflict):
    """The series changed since the writer looked; nothing was written: judge again and retry."""


class State(IntEnum):
    """What a stored bar is: may still change, or was confirmed past its settlement window."""

    PROVISIONAL = 0
    FINAL = 1


class FetchKind(StrEnum):
    """Where a fetch's bars come from: a provider's reply, or the base series."""

    REPLY = "reply"
    DERIVED = "derived"


@dataclass(frozen=True, slots=True)
class Fetch:
    """One answered request, or one derivation, as it is kept.

    Attributes:
        window: what was asked, in label space.
        basis: how the prices came; what is stored is raw.
        market_at: the market instant at which it was asked.
        fetched_at: the wall instant at which it arrived; among provisional bars the later wins.
        requests: HTTP requests that were sent for it.
        dropped: rows that broke a hard rule and were left out.
        base_version: of the base series, for a derived fetch; None for a reply.
        run_id: the Dagster run that asked, or None.
    """

    kind: FetchKind
    provider: str
    origin: str
    window: TimeRange
    basis: Basis
    currency: str | None
    market_at: datetime
    fetched_at: datetime
    requests: int = 0
    dropped: tuple[BadRow, ...] = ()
    base_version: int | None = None
    run_id: str | None = None


def _unchanged(coverage: Coverage) -> Coverage:
    return coverage


@dataclass(frozen=True, slots=True)
class Apart:
    """What a write does to the quarantine of its series.

    Attributes:
        held: parts of the reply that are kept apart from now on.
        again: ids of those in quarantine that came again.
        decided: what becomes of those that are there.
    """

    held: tuple[Suspect, ...] = ()
    again: tuple[int, ...] = ()
    decided: tuple[Decision, ...] = ()

    def __bool__(self) -> bool:
        """Whether it does anything."""
        return bool(self.held or self.again or self.decided)


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """One fetch with its bars and all that it answers; stored whole or not at all.

    Attributes:
        bars: raw, shaped as ``domain.bars`` says, sorted, unique; empty where nothing came, or
            where all of it is held already from a later fetch.
        coverage: a pure function from the coverage as stored to the one after this fetch; it is
            called inside the transaction, perhaps several times.
        actions: of the instrument; ``actions_within`` is the range in which the reply lists all.
        disowned: known splits that the reply lists no more and that its prices disagree with.
        first_trade: the listing's first day, where the reply tells it.
        asset_class: of the instrument, where the reply tells better than its spelling.
        state: of each bar.
        final: label ranges whose bars are final, whatever ``state`` says; sorted, apart.
        reason: why final bars change, where some do; they are journalled with it.
        aside: the reply was asked for something else than the series' bars: its error and its last
            update stay as they are.
        apart: what it does to the quarantine.
    """

    series: Series
    fetch: Fetch
    bars: pd.DataFrame = field(default_factory=empty)
    coverage: Callable[[Coverage], Coverage] = _unchanged
    actions: tuple[Action, ...] = ()
    actions_within: TimeRange | None = None
    disowned: tuple[Action, ...] = ()
    first_trade: date | None = None
    asset_class: AssetClass | None = None
    state: State = State.PROVISIONAL
    final: tuple[TimeRange, ...] = ()
    reason: str | None = None
    aside: bool = False
    apart: Apart = Apart()


@dataclass(frozen=True, slots=True)
class Committed:
    """What a write became.

    Attributes:
        fetch: what was written.
        brought: whether bars came with it.
        rows_new: bars with a label that was not stored before.
        version, rows, first, last, coverage: of the series, with this write (first and last are
            labels; None: it has no bars).
    """

    fetch_id: int
    fetch: Fetch
    brought: bool
    rows_new: int
    version: int
    rows: int
    first: datetime | None
    last: datetime | None
    coverage: Coverage


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Stored bars at one version; 0 where the series has none.

    Aligned to ``bars`` are ``fetched_at``: when the fetch of each arrived, in wall microseconds,
    ``state``, as ``State`` has it, and ``provider``, the fetch's.
    """

    version: int
    bars: pd.DataFrame
    fetched_at: np.ndarray
    state: np.ndarray
    provider: np.ndarray

    def finals(self) -> Micros:
        """The labels of the bars that only a restatement changes."""
        labels: Micros = labels_of(self.bars)[self.state == State.FINAL]
        return labels
