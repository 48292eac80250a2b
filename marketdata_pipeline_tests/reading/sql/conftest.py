"""A home to ask, on both databases, and the shortest way to ask it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from marketdata_pipeline_tests.ingest.world import World
from marketdata_pipeline_tests.reading.homes import stocked


@pytest.fixture
def world(tmp_path: Path, catalog_url: str) -> Iterator[World]:
    """Four months of AAPL and EURUSD=X by the day, AAPL by the week too."""
    made = stocked(tmp_path, catalog_url, "AAPL|1d", "AAPL|1wk", "EURUSD=X|1d")
    yield made
    made.home.engine.dispose()
