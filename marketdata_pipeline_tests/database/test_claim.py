from pathlib import Path

import pytest

from marketdata_pipeline.database.claim import MARKER, claim
from marketdata_pipeline.database.engine import open_engine, reading
from marketdata_pipeline.database.home import make_home
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.errors import HomeError
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.chunks import MOST_INLINE
from marketdata_pipeline.store.gc import Collector
from marketdata_pipeline_tests.store.writes import COIN, bars_at, minutes, write_of


def fill(folder: Path, url: str | None = None) -> None:
    with make_home(folder, database_url=url) as home:
        bars = bars_at(minutes(0, 2 * MOST_INLINE))
        store = BarStore(home.engine, home.bars, home.clock)
        store.commit(write_of(bars), expected_version=None)


def test_a_folder_of_bars_belongs_to_the_catalog_that_made_it(tmp_path: Path) -> None:
    fill(tmp_path / "home")
    other = f"sqlite:///{tmp_path / 'other.sqlite'}"
    with pytest.raises(HomeError, match="belong to another catalog; a home with a database of its"):
        make_home(tmp_path / "home", database_url=other)
    engine = open_engine(other)
    with make_home(tmp_path / "home") as home:
        assert home.bars.joinpath(MARKER).read_text()
        assert len(BarStore(home.engine, home.bars, home.clock).read(COIN)) == 2 * MOST_INLINE
    engine.dispose()


def test_a_catalog_collects_nothing_in_the_folder_of_another_one(tmp_path: Path) -> None:
    fill(tmp_path / "home")
    with make_home(tmp_path / "other") as other:
        collector = Collector(other.engine, tmp_path / "home" / "bars", SystemClock())
        with pytest.raises(HomeError, match="belong to another catalog"):
            collector.collect()
    assert len(list((tmp_path / "home" / "bars").glob("*/*.parquet"))) == 1


def test_an_unmarked_folder_is_its_who_names_a_file_of_it(tmp_path: Path) -> None:
    fill(tmp_path / "home")
    marker = tmp_path / "home" / "bars" / MARKER
    name = marker.read_text()
    marker.unlink()
    with (
        make_home(tmp_path / "other") as other,
        reading(other.engine) as connection,
        pytest.raises(HomeError, match="belong to another catalog"),
    ):
        claim(connection, marker.parent)
    assert not marker.exists()
    make_home(tmp_path / "home").engine.dispose()
    assert marker.read_text() == name
