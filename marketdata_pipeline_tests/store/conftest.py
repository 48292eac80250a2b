from pathlib import Path

import pytest
from sqlalchemy import Engine

from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline_tests.fakes import FrozenClock


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "bars"


@pytest.fixture
def store(engine: Engine, folder: Path, clock: FrozenClock) -> BarStore:
    return BarStore(engine, folder, clock)
