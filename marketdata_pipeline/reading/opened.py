"""Opening a home for reading.

Not here: which home it is (the settings), and reading itself (data).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from marketdata_pipeline.database.home import Home, open_home
from marketdata_pipeline.reading.data import DataManager
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.closures import heed
from marketdata_pipeline.store.tracking import Tracking
from marketdata_pipeline.store.verdicts import Verdicts


@contextmanager
def opened(folder: Path, database_url: str | None) -> Iterator[DataManager]:
    """The data of the home in ``folder``, closed again at the end.

    Raises:
        HomeError: no home is there, or one of another version.
        StoreError: the database does not answer.
    """
    home = open_home(folder, database_url=database_url)
    try:
        heed(home.engine)
        yield data_of(home)
    finally:
        home.engine.dispose()


def data_of(home: Home) -> DataManager:
    """The reader of an opened home."""
    return DataManager(
        store=BarStore(home.engine, home.bars, home.clock),
        catalog=Catalog(home.engine, home.clock),
        tracking=Tracking(home.engine, home.clock),
        verdicts=Verdicts(home.engine, home.clock),
        clock=home.clock,
    )
