"""The one client of a Dagster instance: partition keys and runs.

Not here: definitions (defs), and anything that works without Dagster. Dagster is imported inside
the functions, since it costs a second and more.
"""

from collections.abc import Iterable
from pathlib import Path

from marketdata_pipeline.domain.instrument import Instrument

INSTRUMENTS = "instruments"
"""Name of the dynamic partitions that hold the instruments' keys."""


def register_instruments(dagster_home: Path, instruments: Iterable[Instrument]) -> int:
    """Add the partition keys of these instruments to the instance; returns how many were new."""
    import dagster as dg

    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        known = set(instance.get_dynamic_partitions(INSTRUMENTS))
        fresh = [str(one) for one in instruments if str(one) not in known]
        if fresh:
            instance.add_dynamic_partitions(INSTRUMENTS, fresh)
    return len(fresh)
