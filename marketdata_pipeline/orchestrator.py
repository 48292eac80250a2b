"""The one client of a Dagster instance: partition keys and runs.

Not here: definitions (defs), and anything that works without Dagster. Dagster is imported inside
the functions, since it costs a second and more.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput

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


def partition_range(
    dagster_home: Path, instruments: Sequence[Instrument], timeframes: Sequence[Timeframe]
) -> str:
    """The range of partition keys that holds these instruments at these timeframes.

    Dagster orders instruments as they were added; others that lie between are in the range too.

    Raises:
        BadInput: an instrument has no partition key yet.
    """
    import dagster as dg

    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        known = list(instance.get_dynamic_partitions(INSTRUMENTS))
    places = [known.index(str(one)) for one in instruments if str(one) in known]
    if len(places) < len(instruments):
        raise BadInput("an instrument has no partition yet; run marketdata track first")
    frames = [one.key for one in Timeframe if one in timeframes]
    return f"{known[min(places)]}|{frames[0]}...{known[max(places)]}|{frames[-1]}"
