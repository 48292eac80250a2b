"""A clean terminal, an empty home, and one with a year of bars."""

import logging
from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest
import structlog

from marketdata_pipeline import logs
from marketdata_pipeline.database.folders import CATALOG
from marketdata_pipeline.database.home import Home, make_home
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline_tests.cli.stand_in import StandIn
from marketdata_pipeline_tests.cli.terminal import Terminal, environment
from marketdata_pipeline_tests.databases import lay_catalog
from marketdata_pipeline_tests.ingest.world import World, days, make_world, walk

SPLIT = Action(date(2024, 1, 10), ActionKind.SPLIT, Fraction(4))
PAID = Action(date(2024, 2, 9), ActionKind.DIVIDEND, Fraction("0.24"))
AAPL, WEEKLY = Series.parse("AAPL|1d"), Series.parse("AAPL|1wk")


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No setting of the machine's, an empty working directory; logging as it was before."""
    import os

    for key in set(os.environ) - set(environment()):
        monkeypatch.delenv(key)
    for key, value in environment().items():
        monkeypatch.setenv(key, value)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    handlers, level = logging.root.handlers[:], logging.getLogger(logs.PACKAGE).level
    yield
    logging.root.handlers[:] = handlers
    logging.getLogger(logs.PACKAGE).setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def marketdata(capsys: pytest.CaptureFixture[str]) -> Terminal:
    """The command, in this process."""
    return Terminal(capsys)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """An empty live home that the settings name."""
    folder = tmp_path / "home"
    monkeypatch.setenv("MARKETDATA_HOME", str(folder))
    lay_catalog(folder / CATALOG)
    with make_home(folder) as made:
        yield made


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A home that the settings name, with a year of AAPL, a split and a dividend in it."""
    folder = tmp_path / "home"
    monkeypatch.setenv("MARKETDATA_HOME", str(folder))
    made = make_world(tmp_path, f"sqlite:///{folder / 'catalog.sqlite'}")
    made.provider.truth = {AAPL: walk(AAPL, days("2023-03-15", "2024-03-16"), SPLIT)}
    made.provider.actions = (SPLIT, PAID)
    made.provider.first_trade = date(2023, 3, 15)
    assert not [one.error for one in made.updater.update_many([AAPL, WEEKLY]) if one.error]
    yield made
    made.home.engine.dispose()


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """A program in Dagster's place, for children of this process."""
    made = StandIn(tmp_path / "stand_in")
    made.install()
    monkeypatch.setenv("PYTHONPATH", str(made.folder))
    return made
