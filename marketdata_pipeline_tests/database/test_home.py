import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, text

from marketdata_pipeline.database.engine import open_engine, writing
from marketdata_pipeline.database.home import (
    History,
    Home,
    Mode,
    Replay,
    make_home,
    open_home,
    upgraded_home,
)
from marketdata_pipeline.database.metadata import home as home_table
from marketdata_pipeline.domain.clock import ReplayClock, SystemClock
from marketdata_pipeline.errors import HomeError, StoreError
from marketdata_pipeline_tests.conftest import ROOT

MARKET = datetime(2013, 2, 15, 21, tzinfo=UTC)
WALL = datetime(2024, 5, 6, 7, tzinfo=UTC)


def live(folder: Path, database_url: str | None = None) -> Home:
    return make_home(folder, database_url=database_url)


def replay(folder: Path, history: History = History.RECORDED, seed: int | None = None) -> Home:
    return make_home(folder, replay=Replay(history, MARKET, WALL, seed))


def everything_in(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_a_new_home_is_its_owners_alone_and_holds_catalog_bars_and_dagster(tmp_path: Path) -> None:
    with live(tmp_path / "deep" / "home") as made:
        assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
        assert (made.folder / "catalog.sqlite").is_file()
        assert made.bars.is_dir()
        assert made.cache.is_dir()
        assert (made.dagster / "dagster.yaml").read_bytes() == (ROOT / "dagster.yaml").read_bytes()
        assert (made.mode, made.history, made.clock) == (Mode.LIVE, None, SystemClock())


def test_an_empty_folder_that_somebody_made_becomes_the_owners_alone(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    live(tmp_path / "home").engine.dispose()
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_a_folder_with_other_files_keeps_its_mode_and_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    (folder / "notes.txt").write_text("mine")
    live(folder).engine.dispose()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["home with ? and #", "50%41", "häuschen"])
def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    live(tmp_path / name).engine.dispose()
    assert (tmp_path / name / "catalog.sqlite").is_file()
    assert [one.name for one in tmp_path.iterdir()] == [name]
    open_home(tmp_path / name).engine.dispose()


def test_making_a_home_again_opens_it_and_keeps_what_a_person_edited(tmp_path: Path) -> None:
    with replay(tmp_path / "home") as first:
        settings = first.dagster / "dagster.yaml"
        settings.write_text("mine: true\n")
    with make_home(tmp_path / "home", replay=Replay(History.RECORDED)) as again:
        assert settings.read_text() == "mine: true\n"
        assert again.clock == first.clock


def test_every_process_agrees_on_the_market_time_of_a_replay_home(tmp_path: Path) -> None:
    with replay(tmp_path / "home") as made, open_home(tmp_path / "home") as opened:
        assert opened.clock == made.clock == ReplayClock(MARKET, WALL)
        assert (opened.mode, opened.history) == (Mode.REPLAY, History.RECORDED)


def test_a_replay_home_starts_now_unless_told(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    with make_home(tmp_path, replay=Replay(History.RECORDED, MARKET)) as made:
        passed = made.clock.market_now() - MARKET
    assert timedelta(0) <= passed <= datetime.now(UTC) - before


def test_a_home_is_live_or_replay_for_life(tmp_path: Path) -> None:
    live(tmp_path / "live").engine.dispose()
    replay(tmp_path / "replay").engine.dispose()
    with pytest.raises(HomeError, match="is a live home for life"):
        replay(tmp_path / "live")
    with pytest.raises(HomeError, match=r"is a replay \(recorded\) home for life"):
        live(tmp_path / "replay")
    with pytest.raises(HomeError, match=r"for a replay \(synthetic, seed 7\) one"):
        replay(tmp_path / "replay", History.SYNTHETIC, 7)
    with open_home(tmp_path / "live") as opened:
        assert opened.mode is Mode.LIVE


def test_made_up_bars_come_of_one_seed_for_life(tmp_path: Path) -> None:
    replay(tmp_path / "home", History.MIXED, 7).engine.dispose()
    with open_home(tmp_path / "home") as opened:
        assert (opened.history, opened.seed) == (History.MIXED, 7)
    with pytest.raises(HomeError, match=r"is a replay \(mixed, seed 7\) home for life"):
        replay(tmp_path / "home", History.MIXED, 8)


def test_a_seed_belongs_to_what_is_made_up() -> None:
    with pytest.raises(HomeError, match="synthetic history needs a seed"):
        Replay(History.SYNTHETIC, MARKET)
    with pytest.raises(HomeError, match="recorded history has no seed"):
        Replay(History.RECORDED, MARKET, seed=1)


def test_a_home_is_opened_and_upgraded_whatever_it_replays(tmp_path: Path) -> None:
    replay(tmp_path / "home", History.SYNTHETIC, 3).engine.dispose()
    found = upgraded_home(tmp_path / "home")
    assert found is not None
    with found:
        assert (found.history, found.seed) == (History.SYNTHETIC, 3)


def test_where_no_home_is_nothing_is_upgraded(tmp_path: Path, postgres_url: str) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "absent", tmp_path / "empty"):
        assert upgraded_home(folder) is None
    assert upgraded_home(tmp_path / "empty", database_url=postgres_url) is None
    with live(tmp_path / "made") as made, writing(made.engine) as connection:
        connection.execute(delete(home_table))
    assert upgraded_home(tmp_path / "made") is None


def test_where_no_home_is_the_error_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "absent", tmp_path / "empty"):
        with pytest.raises(HomeError) as refused:
            open_home(folder)
        assert str(refused.value) == f"no home at {folder}; run marketdata init or make run"
    assert everything_in(tmp_path) == {tmp_path / "empty"}


def test_a_catalog_without_a_home_row_is_no_home(tmp_path: Path) -> None:
    with live(tmp_path / "home") as made, writing(made.engine) as connection:
        connection.execute(delete(home_table))
    with pytest.raises(HomeError, match="no home at"):
        open_home(tmp_path / "home")


@pytest.mark.parametrize("place", ["file/home", "file"])
def test_where_no_folder_can_be_the_error_is_one_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(HomeError, match=r"a home cannot be made at .*: Not a directory"):
        live(tmp_path / place)
    assert everything_in(tmp_path) == {tmp_path / "file"}


def test_a_home_that_failed_half_way_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="needs the market instant"):
        make_home(tmp_path / "a" / "b", replay=Replay(History.RECORDED))
    with pytest.raises(StoreError, match="Connection refused"):
        live(tmp_path / "a" / "b", "postgresql://me:secret@127.0.0.1:1/name")
    assert everything_in(tmp_path) == set()


def test_a_failure_removes_only_what_was_made(tmp_path: Path) -> None:
    (tmp_path / "home" / "bars").mkdir(parents=True)
    (tmp_path / "home" / "notes.txt").write_text("mine")
    before = everything_in(tmp_path)
    with pytest.raises(HomeError):
        make_home(tmp_path / "home", replay=Replay(History.RECORDED))
    assert everything_in(tmp_path) == before


def test_a_home_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    with live(tmp_path / "home") as made, writing(made.engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'later'"))
    for use in (open_home, live):
        with pytest.raises(HomeError, match="newer version"):
            use(tmp_path / "home")


def test_two_hosts_share_one_home_row_in_postgres(tmp_path: Path, postgres_url: str) -> None:
    live(tmp_path / "one", postgres_url).engine.dispose()
    with pytest.raises(HomeError, match="no home at"):
        open_home(tmp_path / "two", database_url=postgres_url)
    live(tmp_path / "two", postgres_url).engine.dispose()
    with open_home(tmp_path / "two", database_url=postgres_url) as opened:
        assert opened.mode is Mode.LIVE
    assert not list(tmp_path.rglob("catalog.sqlite"))
    with pytest.raises(HomeError, match="for life"):
        make_home(
            tmp_path / "three",
            database_url=postgres_url,
            replay=Replay(History.RECORDED, MARKET),
        )
    assert not (tmp_path / "three").exists()


def test_an_empty_postgres_database_is_no_home(tmp_path: Path, postgres_url: str) -> None:
    with pytest.raises(HomeError, match="no home at"):
        open_home(tmp_path, database_url=postgres_url)


def test_a_home_as_context_closes_its_connections(tmp_path: Path) -> None:
    with live(tmp_path / "home") as made:
        assert made.engine.pool.checkedin() == 1  # type: ignore[attr-defined]  # of this pool
    assert made.engine.pool.checkedin() == 0  # type: ignore[attr-defined]  # of this pool


def test_open_engine_and_home_agree_on_the_file(tmp_path: Path) -> None:
    live(tmp_path / "home").engine.dispose()
    engine = open_engine(f"sqlite:///{tmp_path / 'home' / 'catalog.sqlite'}")
    with writing(engine) as connection:
        assert connection.execute(home_table.select()).one().mode == "live"
    engine.dispose()
