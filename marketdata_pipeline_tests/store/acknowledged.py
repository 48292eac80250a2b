"""What a store must hold once its writers have told what was acknowledged.

Not here: the writers (writer).
"""

from collections import defaultdict

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.bars import labels_of
from marketdata_pipeline.domain.ranges import TimeRange, from_micros, subtract
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline_tests.store.writer import Job
from marketdata_pipeline_tests.store.writes import COIN, MINUTE, bars_at


def newest(jobs: list[Job]) -> dict[int, int]:
    """For each label the latest fetch that has it."""
    found: dict[int, int] = defaultdict(int)
    for job in jobs:
        for label in job.labels.tolist():
            found[label] = max(found[label], job.fetched)
    return found


def assert_nothing_lost(store: BarStore, stored: list[Job], begun: list[Job]) -> None:
    """Each label has the bar of its latest acknowledged fetch, or of a later one that was begun."""
    found = store.read(COIN)
    marks = dict(zip(labels_of(found).tolist(), found["volume"].astype(int), strict=True))
    acknowledged = newest(stored)
    assert [label for label, fetch in acknowledged.items() if marks.get(label, 0) < fetch] == []
    by_fetch = {job.fetched: bars_at(job.labels, job.fetched) for job in begun}
    for mark, rows in found.groupby(found["volume"].astype(int)):
        written = by_fetch[int(mark)]
        pd.testing.assert_frame_equal(rows, written.loc[rows.index], check_freq=False)
    answered = [one.within for one in store.coverage([COIN])[COIN].spans]
    asked = [
        TimeRange(from_micros(int(job.labels[0])), from_micros(int(job.labels[-1]) + MINUTE))
        for job in stored
    ]
    assert subtract(asked, answered) == []
    assert len(store.tail(COIN, 10**6)) == len(found) == len(np.unique(labels_of(found)))
