"""An import that is made to be killed: a process of its own over a home that is there.

Not here: killing it and looking at what is left (test_kills).
"""

from multiprocessing.synchronize import Event
from pathlib import Path

from marketdata_pipeline.database.home import open_home
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.ingest.importing.frames import importer_of
from marketdata_pipeline.ingest.importing.paths import Asked, import_paths
from marketdata_pipeline.ingest.importing.terms import Prices, Side, Terms
from marketdata_pipeline_tests.ingest.world import days

SERIES = [
    Series.parse(f"{name}-USD|{timeframe}")
    for name in ("BTC", "ETH", "SOL")
    for timeframe in ("1h", "1d")
]
SPAN = days("2022-01-01", "2024-03-01")
"""So long that the hourly series are files."""
ASKED = Asked(terms=Terms(side=Side.OPEN, basis=Prices.RAW))


def import_all(
    folder: Path, database_url: str, source: Path, begun: Event | None = None
) -> list[str]:
    """Import everything once; tells by ``begun`` when it is about to begin. What was stored."""
    with open_home(folder, database_url=database_url) as home:
        if begun is not None:
            begun.set()
        done = []
        for one in import_paths(importer_of(home), [source], ASKED, lambda _: None):
            if one.error is not None:
                raise one.error
            done += [str(one.series)] if one.stored else []
    return done
