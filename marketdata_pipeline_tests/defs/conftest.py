"""The stage that tests of definitions play on."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from marketdata_pipeline_tests.defs.stage import KNOWN, Choosy, Stage, choosy
from marketdata_pipeline_tests.ingest.world import make_world


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A real instance in memory."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def stage(tmp_path: Path, instance: dg.DagsterInstance) -> Iterator[Stage]:
    """An empty home behind Dagster, with partition keys of the three stocks that have truth."""
    world = make_world(tmp_path, f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    choosy(world)
    made = Stage(world, instance)
    made.register(*KNOWN)
    yield made
    world.home.engine.dispose()


@pytest.fixture
def provider(stage: Stage) -> Choosy:
    """The stage's provider."""
    assert isinstance(stage.world.provider, Choosy)
    return stage.world.provider
