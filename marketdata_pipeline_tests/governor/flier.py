"""A process that has an instrument for itself, and holds it until it is killed or told to end.

``python -m marketdata_pipeline_tests.governor.flier URL INSTRUMENT TTL`` prints ``taken`` once it
has it, and gives it up when a line comes.
"""

import sys
from datetime import timedelta

from marketdata_pipeline.database.engine import open_engine
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.governor.flights import Flight, Flights


def main(url: str, instrument: str, ttl: str) -> None:
    engine = open_engine(url)
    flights = Flights(engine, SystemClock(), timedelta(0), ttl=timedelta(seconds=float(ttl)))
    with Flight(flights, Instrument.parse(instrument)) as flight:
        flight.take(0, lambda: None)
        print("taken", flush=True)  # noqa: T201 - its parent reads it
        sys.stdin.readline()
    engine.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
