"""A home to export, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from marketdata_pipeline_tests.ingest.world import World
from marketdata_pipeline_tests.reading.homes import stocked

KEYS = ("AAPL|1d", "AAPL|1wk", "EURUSD=X|1d")


@pytest.fixture
def world(tmp_path: Path, catalog_url: str) -> Iterator[World]:
    """Four months of AAPL and EURUSD=X by the day, AAPL by the week too."""
    made = stocked(tmp_path, catalog_url, *KEYS)
    yield made
    made.home.engine.dispose()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A folder that is not there yet, in one of its own."""
    (tmp_path / "exports").mkdir()
    return tmp_path / "exports" / "out"
