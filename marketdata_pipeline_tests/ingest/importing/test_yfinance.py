"""Frames that the real yfinance makes, over recorded bars, become what was traded."""

from collections.abc import Iterator
from concurrent.futures import Executor
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from marketdata_pipeline.database.home import make_home
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.frames import import_frame, importer_of
from marketdata_pipeline.ingest.importing.paths import Asked, import_paths
from marketdata_pipeline.ingest.importing.terms import Terms
from marketdata_pipeline.simulator.recorded import recorded_history, replay_start
from marketdata_pipeline.simulator.server import Simulator, running
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.simulator import yfinance_client
from marketdata_pipeline_tests.simulator.yfinance_client import fresh_process

AAPL = Series.parse("AAPL|1d")


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    with fresh_process(tmp_path_factory.mktemp("yfinance")) as pool:
        yield pool


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    history = recorded_history()
    clock = FrozenClock(market=replay_start(history) + timedelta(days=1))
    with running(history, clock) as made:
        yield made


@pytest.fixture(scope="module")
def frame(process: Executor, simulator: Simulator) -> pd.DataFrame:
    """All of AAPL's days, divided by two splits, with its dividends."""
    asked = process.submit(yfinance_client.history, simulator.port, "AAPL", period="max")
    found = asked.result(60)
    assert isinstance(found, pd.DataFrame), found
    return found


@pytest.mark.parametrize("saved", [None, "csv", "parquet"])
def test_a_frame_and_the_file_that_it_was_saved_in_become_what_was_traded(
    saved: str | None, frame: pd.DataFrame, simulator: Simulator, tmp_path: Path
) -> None:
    of = simulator.history.listing(AAPL.instrument, simulator.clock.market_now())
    assert of is not None
    terms = Terms(adjusted_to=frame.index[-1].date())
    with make_home(tmp_path / "home") as home:
        importer = importer_of(home)
        if saved is None:
            (found,) = import_frame(importer, frame, "1d", "AAPL", terms)
        else:
            path = tmp_path / f"AAPL_1d.{saved}"
            _ = frame.to_csv(path) if saved == "csv" else frame.to_parquet(path)
            (found,) = import_paths(importer, [path], Asked(terms=terms), lambda _: None)
        assert (found.error, found.dropped) == (None, ())
        known = importer.catalog.known_actions([AAPL.instrument])[AAPL.instrument]
        stored = importer.store.read(AAPL)
    raw = of.bars[AAPL.timeframe]
    pd.testing.assert_frame_equal(stored, raw.loc[: stored.index[-1]], check_freq=False)
    assert len(stored) == len(frame)
    assert set(known.actions) == set(of.actions)


def test_what_auto_adjust_makes_is_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    from yfinance.utils import auto_adjust

    with (
        make_home(tmp_path / "home") as home,
        pytest.raises(BadInput, match="auto_adjust=False, then Close is unadjusted beside Adj Clo"),
    ):
        import_frame(importer_of(home), auto_adjust(frame), "1d", "AAPL")
