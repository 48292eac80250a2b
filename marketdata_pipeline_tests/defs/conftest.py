"""The stage that tests of definitions play on."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from marketdata_pipeline_tests.defs.stage import KNOWN, Choosy, Stage, choosy
from marketdata_pipeline_tests.ingest.world import make_world

QUIET = {"telemetry": {"enabled": False}}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A real instance in memory."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture(scope="module")
def kept_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """One in a folder: a schedule's context takes no other. Making it takes a second or two."""
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as made:
        yield made


@pytest.fixture
def scheduling_instance(kept_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    """An instance without runs, for schedules."""
    kept_instance.wipe()
    return kept_instance


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


@pytest.fixture
def postgres_instance(tmp_path: Path, postgres_url: str) -> Iterator[dg.DagsterInstance]:
    """One whose runs and events are in an empty Postgres."""
    folder = tmp_path / "dagster"
    folder.mkdir()
    settings = f"storage:\n  postgres:\n    postgres_url: {postgres_url}\n"
    (folder / "dagster.yaml").write_text(settings + "telemetry:\n  enabled: false\n")
    with dg.DagsterInstance.from_config(str(folder)) as made:
        yield made


@pytest.fixture(scope="session")
def dagster_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an instance in which nothing happened, to be copied."""
    folder = tmp_path_factory.mktemp("dagster")
    with dg.DagsterInstance.local_temp(str(folder), overrides=QUIET):
        return folder


@pytest.fixture
def sqlite_instance(tmp_path: Path, dagster_files: Path) -> Iterator[dg.DagsterInstance]:
    """One whose runs and events are files."""
    shutil.copytree(dagster_files, tmp_path, dirs_exist_ok=True)
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=QUIET) as made:
        yield made
