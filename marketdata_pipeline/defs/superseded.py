"""Which of Dagster's events are superseded, and by which later one: decided from plain values.

Not here: reading and deleting them (dagster_tables).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

PLANNED, MATERIALIZED = "ASSET_MATERIALIZATION_PLANNED", "ASSET_MATERIALIZATION"
OF_CHECKS = ("ASSET_CHECK_EVALUATION_PLANNED", "ASSET_CHECK_EVALUATION")


@dataclass(frozen=True, slots=True)
class Entry:
    """An event: its number, its kind (None: a line of a run's log), of what it tells.

    An event of a check names no asset here; its executions tell whether it is needed.
    """

    number: int
    kind: str | None
    asset: str | None
    partition: str | None


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest event of each kind of each partition, and the last planned of each asset."""

    by_partition: Mapping[tuple[str | None, str | None, str | None], int]
    planned: Mapping[str | None, int]

    @classmethod
    def of(cls, entries: Collection[Entry]) -> Self:
        """Out of one entry for each kind of each partition."""
        planned: dict[str | None, int] = {}
        for one in entries:
            if one.kind == PLANNED:
                planned[one.asset] = max(one.number, planned.get(one.asset, 0))
        return cls({(one.asset, one.kind, one.partition): one.number for one in entries}, planned)

    def successor(self, entry: Entry) -> int | None:
        """The event after which no status is read from that of an asset; None: it is needed.

        A later one of the same kind of the same partition; of what was planned also the
        materialization that followed, but the last that was planned for an asset is needed.
        """
        same = self.by_partition.get((entry.asset, entry.kind, entry.partition), 0)
        if same > entry.number:
            return same
        if entry.kind != PLANNED or entry.number >= self.planned.get(entry.asset, 0):
            return None
        done = self.by_partition.get((entry.asset, MATERIALIZED, entry.partition), 0)
        return done if done > entry.number else None
