"""Which series go into one run: a long list is cut by instruments.

Not here: what is on the list (due, track), and starting runs.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

from marketdata_pipeline.domain.series import Series

BATCH = 100
"""Instruments in one run."""
MASS = {"marketdata/tier": "mass"}
"""Tags of the runs of mass work; ``dagster.yaml`` bounds how many of them run at once."""


def batches(series: Sequence[Series]) -> Iterator[list[Series]]:
    """The series of 100 instruments at a time, an instrument's together."""
    by_instrument: dict[str, list[Series]] = {}
    for one in series:
        by_instrument.setdefault(one.instrument.key, []).append(one)
    groups = iter(by_instrument.values())
    while batch := list(islice(groups, BATCH)):
        yield [one for group in batch for one in group]
