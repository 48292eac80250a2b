"""The world that tests of ingest play in, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from marketdata_pipeline_tests.ingest.world import World, make_world


@pytest.fixture
def world(tmp_path: Path, catalog_url: str) -> Iterator[World]:
    """An empty home with a provider of truth; once on SQLite, once on Postgres."""
    made = make_world(tmp_path, catalog_url)
    yield made
    made.home.engine.dispose()
