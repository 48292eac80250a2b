"""The one client of a Dagster instance: partition keys and runs.

Not here: definitions (defs), and anything that works without Dagster. Dagster is imported inside
the functions, since it costs a second and more.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput, MarketDataError

if TYPE_CHECKING:
    import dagster as dg

INSTRUMENTS = "instruments"
"""Name of the dynamic partitions that hold the instruments' keys."""
_LONGEST = 240


@contextmanager
def _instance(dagster_home: Path) -> Iterator["dg.DagsterInstance"]:
    """Dagster's instance in that folder; its errors, and its storage's, in one line."""
    import dagster as dg
    from sqlalchemy.exc import SQLAlchemyError

    try:
        opened = dg.DagsterInstance.from_config(str(dagster_home))
    except Exception as error:  # a wrong dagster.yaml raises errors of any kind
        raise _unusable(dagster_home, error) from error
    try:
        with opened as instance:
            yield instance
    except (dg.DagsterError, SQLAlchemyError, OSError) as error:
        raise _unusable(dagster_home, error) from error


def _unusable(dagster_home: Path, error: Exception) -> MarketDataError:
    said = " ".join(str(error).split())[:_LONGEST]
    return MarketDataError(f"Dagster's instance in {dagster_home} cannot be used: {said}")


def register_instruments(dagster_home: Path, instruments: Iterable[Instrument]) -> int:
    """Add the partition keys of these instruments to the instance; returns how many were new.

    Raises:
        MarketDataError: the instance cannot be used.
    """
    with _instance(dagster_home) as instance:
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
        MarketDataError: the instance cannot be used.
    """
    with _instance(dagster_home) as instance:
        known = list(instance.get_dynamic_partitions(INSTRUMENTS))
    places = [known.index(str(one)) for one in instruments if str(one) in known]
    if len(places) < len(instruments):
        raise BadInput("an instrument has no partition yet; run marketdata track first")
    frames = [one.key for one in Timeframe if one in timeframes]
    return f"{known[min(places)]}|{frames[0]}...{known[max(places)]}|{frames[-1]}"
