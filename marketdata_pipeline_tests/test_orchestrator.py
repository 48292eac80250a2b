"""The client of a Dagster instance."""

from pathlib import Path

import dagster as dg
import pytest

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput, MarketDataError
from marketdata_pipeline.orchestrator import INSTRUMENTS, partition_range, register_instruments

AAPL, IBM, MSFT = (Instrument(key) for key in ("AAPL", "IBM", "MSFT"))
DAILY = (Timeframe.D1, Timeframe.W1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of an instance that knows MSFT, AAPL and IBM, in this order."""
    made = tmp_path_factory.mktemp("dagster")
    assert register_instruments(made, [MSFT, AAPL]) == 2
    assert register_instruments(made, [AAPL, IBM]) == 1
    return made


def test_keys_are_in_the_order_of_their_registration_each_once(folder: Path) -> None:
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        assert list(instance.get_dynamic_partitions(INSTRUMENTS)) == ["MSFT", "AAPL", "IBM"]


@pytest.mark.parametrize(
    ("instruments", "timeframes", "expected"),
    [
        ([AAPL], [Timeframe.D1], "AAPL|1d...AAPL|1d"),
        ([AAPL, MSFT], DAILY, "MSFT|1d...AAPL|1wk"),
        ([IBM, MSFT], DAILY[::-1], "MSFT|1d...IBM|1wk"),
    ],
)
def test_a_range_runs_from_the_first_registered_to_the_last(
    folder: Path, instruments: list[Instrument], timeframes: list[Timeframe], expected: str
) -> None:
    assert partition_range(folder, instruments, timeframes) == expected


def test_an_instrument_without_a_key_has_no_range(folder: Path) -> None:
    with pytest.raises(BadInput, match="run marketdata track first"):
        partition_range(folder, [AAPL, Instrument("META")], DAILY)


def test_a_folder_that_is_none_fails_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(MarketDataError, match="cannot be used: ") as found:
        register_instruments(tmp_path / "none", [AAPL])
    assert "\n" not in str(found.value)


def test_a_storage_that_is_none_fails_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "history").write_text("no folder")
    with pytest.raises(MarketDataError, match="cannot be used: "):
        register_instruments(tmp_path, [AAPL])
