"""A run in a process of its own, made to want the same as another one at the same time.

``python -m marketdata_pipeline_tests.ingest.twin HOME DATABASE SIMULATOR SERIES...`` prints
``ready``, waits for a line, updates the series, and prints what each came to as a line of JSON:
by its spelling the bars stored, those that are new, the requests, the coverage, the error.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from marketdata_pipeline.database.home import open_home
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.providers.yahoo import Yahoo
from marketdata_pipeline.providers.yahoo.endpoint import Endpoint, Timeouts
from marketdata_pipeline_tests.fakes import OpenGate, RealWall
from marketdata_pipeline_tests.ingest.world import TruthProvider, World

NOON = datetime(2024, 12, 2, 17, tzinfo=UTC)
"""Market time, which stands."""


def main(folder: str, database: str, simulator: str, *keys: str) -> None:
    clock = RealWall(NOON)
    home = open_home(Path(folder), database_url=database)
    world = World(home, clock, TruthProvider({}, clock))
    yahoo = Yahoo(OpenGate(), clock, Endpoint.simulator(simulator), Timeouts(10, 10))
    updater = world.updater_over(yahoo)
    updater.flights.poll = timedelta(milliseconds=20)
    asked = [Series.parse(one) for one in keys]
    print("ready", flush=True)  # noqa: T201 - its parent reads it
    sys.stdin.readline()
    for one in updater.update_many(asked):
        told = {
            "rows": one.rows,
            "new": one.rows_new,
            "requests": one.requests,
            "coverage": one.judgement and one.judgement.coverage,
            "error": one.error and str(one.error),
        }
        print(json.dumps({str(one.series): told}))  # noqa: T201 - its parent reads it
    home.engine.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
