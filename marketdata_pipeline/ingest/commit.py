"""Committing what was judged against stored bars, again whenever they changed meanwhile.

Not here: the judgement (settle, derive, release), and the transaction (store).
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import WriteConflict
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.write import Committed, Snapshot, Stale, Write

_ATTEMPTS = 20


def commit_over(
    store: BarStore,
    series: Series,
    around: TimeRange,
    judged: Callable[[Snapshot], tuple[Write, bool]],
) -> Committed:
    """Write what ``judged`` makes of the stored bars; judge again whenever they changed meanwhile.

    ``judged`` also says whether it relied on what is stored beyond the bars that it replaces, as a
    hole does, which says that no bar is there.

    Raises:
        WriteConflict: they kept changing.
    """
    for _ in range(_ATTEMPTS):
        stored = store.snapshot(series, around)
        write, relied = judged(stored)
        expected = stored.version if relied or _touches(write.bars, stored) else None
        try:
            return store.commit(write, expected_version=expected)
        except Stale:
            continue
    raise WriteConflict(f"{series}: other writers kept changing it; run the same again")


def _touches(bars: pd.DataFrame, stored: Snapshot) -> bool:
    """Whether any stored bar lies between the first and the last bar to be written."""
    if bars.empty:
        return False
    labels, known = contract.labels_of(bars), contract.labels_of(stored.bars)
    first, after = np.searchsorted(known, [labels[0], labels[-1] + 1])
    return bool(first < after)
