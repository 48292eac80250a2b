"""A process that takes a provider's turns and tells when it asked for each and when it came.

``python -m marketdata_pipeline_tests.governor.worker URL SECONDS`` prints ``ready``, waits for a
line, takes turns for so many seconds, and prints its lines of ``asked came`` at the end.
"""

import sys
import time
from datetime import timedelta

from marketdata_pipeline.database.engine import open_engine, reading
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.governor.governor import Governor


def main(url: str, seconds: str) -> None:
    engine = open_engine(url)
    gate = Governor(engine, SystemClock()).gate("yahoo", max_wait=timedelta(seconds=20))
    with reading(engine):
        print("ready", flush=True)  # noqa: T201 - its parent reads it
    sys.stdin.readline()
    turns = []
    end = time.time() + float(seconds)
    while (asked := time.time()) < end:
        gate.turn(Errand())
        turns.append(f"{asked} {time.time()}")
    print("\n".join(turns))  # noqa: T201 - its parent reads it
    engine.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
