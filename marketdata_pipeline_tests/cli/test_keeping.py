"""`backup`, `restore`, `downgrade` as a person types them."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from marketdata_pipeline.database.home import Home, open_home
from marketdata_pipeline.database.metadata import REVISIONS
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.reading.opened import data_of
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline_tests.cli.terminal import PROGRAM, Terminal, command, environment, listing
from marketdata_pipeline_tests.database.filled import as_earlier_versions_wrote
from marketdata_pipeline_tests.ingest.world import World

AAPL = Series.parse("AAPL|1d")
NEWEST = REVISIONS[-1]


def keys(folder: Path) -> list[str]:
    with dg.DagsterInstance.from_config(str(folder / "dagster")) as instance:
        return list(instance.get_dynamic_partitions("instruments"))


def test_what_is_backed_up_is_restored_with_its_partitions(
    world: World, tmp_path: Path, marketdata: Terminal
) -> None:
    marketdata("track", "MSFT", "^GSPC", "-t", "1d")
    bars = world.store.read(AAPL)
    said = marketdata("backup", tmp_path / "saved here")
    assert (said.code, said.err) == (0, "")
    first, second = said.out.splitlines()
    assert first.startswith(f"backup of {world.home.folder} in {tmp_path}/saved here: ")
    assert first.endswith(f"0 bar files, {_megabytes(tmp_path)} MB, revision {NEWEST}")
    assert second == f"put it back with: marketdata --home NEW_HOME restore '{tmp_path}/saved here'"
    new = tmp_path / "new"
    told = marketdata("--home", new, "restore", tmp_path / "saved here")
    assert (told.code, told.err) == (0, "")
    assert told.out.splitlines()[0] == f"live home at {new}, from {tmp_path}/saved here"
    assert f"equal: 26 tables, 0 bar files; {_stored(world)} bars of 2 series read" in told.out
    assert keys(new) == ["MSFT", "^GSPC", "AAPL"]
    with open_home(new) as home:
        assert BarStore(home.engine, home.bars, home.clock).read(AAPL).equals(bars)
        assert len(data_of(home).overviews()) == len(data_of(world.home).overviews())
        (summary, *_) = Catalog(home.engine, home.clock).summaries([AAPL])
        assert summary.shown == 0 < summary.version
    assert "MSFT" in marketdata("--home", new, "status").out


def _megabytes(folder: Path) -> str:
    return f"{(folder / 'saved here' / 'catalog.sqlite').stat().st_size / 1_000_000:,.1f}"


def _stored(world: World) -> int:
    return sum(one.summary.rows for one in data_of(world.home).overviews())


def test_with_json_each_says_what_it_did(
    world: World, tmp_path: Path, marketdata: Terminal
) -> None:
    saved = json.loads(marketdata("backup", tmp_path / "saved", "--json").out)
    assert saved["backup"] == str(tmp_path / "saved")
    assert (saved["revision"], saved["mode"], saved["files"]) == (NEWEST, "live", 0)
    assert saved["tables"]["series"]["rows"] == 2
    assert datetime.fromisoformat(saved["created_at"]).tzinfo is UTC
    assert "T" in saved["created_at"]
    new = tmp_path / "new"
    told = json.loads(marketdata("--home", new, "restore", tmp_path / "saved", "--json").out)
    assert (told["home"], told["equal"], told["series"]) == (str(new), True, 2)
    assert told["bars"] == _stored(world)
    assert (told["instruments"], told["unreadable"]) == (1, [])
    assert told["tables"] == saved["tables"]
    with open_home(new) as restored:
        as_earlier_versions_wrote(restored)
    back = json.loads(marketdata("--home", new, "downgrade", "0002", "--json").out)
    assert (back["found"], back["target"], len(back["losses"])) == (NEWEST, "0002", 5)
    assert Path(back["backup"]).parent == new / "backups"


def test_a_downgrade_says_what_is_lost_and_init_comes_up_again(
    home: Home, marketdata: Terminal
) -> None:
    said = marketdata("downgrade", "0003")
    assert (said.code, said.err) == (0, "")
    first, *lost, last = said.out.splitlines()
    assert first == f"the catalog of {home.folder} is at revision 0003, it was at {NEWEST}"
    assert [one.strip() for one in lost] == [
        "Quarantine, closures, incidents, reports, alerts are lost; provisional is answered.",
        "Transactions, holdings and the queue are lost; what is tracked stays tracked.",
        "The log of requests and used credits are lost; turns taken and cooldowns stay.",
        "Superseded values and the journal of restatements are lost; the bars that count stay.",
    ]
    (kept,) = (home.folder / "backups").iterdir()
    assert last == f"all of it is kept in {kept}; marketdata init brings the tables up again"
    assert "older version; run marketdata init" in marketdata("status").sentence()
    assert "older version; run marketdata init" in marketdata("backup", "elsewhere").sentence()
    assert marketdata("init").code == 0
    assert marketdata("status").code == 0
    assert len(list((home.folder / "backups").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("backup", "Missing argument 'FOLDER'; see marketdata backup --help"),
        ("restore", "Missing argument 'FOLDER'; see marketdata restore --help"),
        ("restore nowhere", "nowhere is no backup: manifest.json cannot be read: No such file"),
        ("downgrade", "Missing argument 'REVISION'; see marketdata downgrade --help"),
        (
            f"downgrade {NEWEST}",
            f"the catalog is at {NEWEST}; earlier than that is one of 0001, 0002",
        ),
        ("downgrade base", f"the catalog is at {NEWEST}; earlier than that is one of 0001, 0002"),
        ("--home nowhere downgrade 0003", "no home at "),
        ("--home nowhere backup saved", "no home at "),
    ],
)
def test_what_cannot_be_is_one_sentence(
    home: Home, marketdata: Terminal, arguments: str, said: str
) -> None:
    before = listing(home.folder.parent)
    found = marketdata(*arguments.split())
    assert found.code == 2
    assert said in found.sentence()
    assert listing(home.folder.parent) == before


def test_neither_a_home_nor_a_backup_is_written_over(
    home: Home, tmp_path: Path, marketdata: Terminal
) -> None:
    marketdata("backup", tmp_path / "saved")
    assert (
        "saved is not empty; name a folder" in marketdata("backup", tmp_path / "saved").sentence()
    )
    assert marketdata("restore", tmp_path / "saved").sentence() == (
        f"{home.folder} is not empty; name a folder that is not there yet"
    )


@pytest.mark.proof
def test_a_file_system_that_is_full_is_a_sentence_and_leaves_nothing(
    world: World, tmp_path: Path, marketdata: Terminal
) -> None:
    small = (
        "import atexit, resource; size = resource.RLIMIT_FSIZE; before = resource.getrlimit(size);"
        "atexit.register(resource.setrlimit, size, before);"  # what measures coverage writes then
        "resource.setrlimit(size, (40_000, before[1]));"
        "from marketdata_pipeline.cli.app import main; main()"
    )
    env = environment(MARKETDATA_HOME=world.home.folder)
    said = command(tmp_path, env, *PROGRAM[:2], small, "backup", tmp_path / "a" / "saved")
    assert said.code == 1
    assert "cannot be used: " in said.sentence()
    assert not (tmp_path / "a").exists()
    assert marketdata("backup", tmp_path / "a" / "saved").code == 0
    new = environment(MARKETDATA_HOME=tmp_path / "b" / "new")
    said = command(tmp_path, new, *PROGRAM[:2], small, "restore", tmp_path / "a" / "saved")
    assert said.code == 1
    assert "cannot be used: " in said.sentence()
    assert not (tmp_path / "b").exists()


def test_a_restored_instance_of_dagster_is_where_it_is_looked_for(
    world: World, tmp_path: Path, marketdata: Terminal
) -> None:
    marketdata("track", "MSFT", "-t", "1d")
    marketdata("backup", tmp_path / "saved")
    marketdata("--home", tmp_path / "new", "restore", tmp_path / "saved")
    shutil.rmtree(world.home.folder)
    shutil.rmtree(tmp_path / "saved")
    assert marketdata("--home", tmp_path / "new", "track", "IBM", "-t", "1d").code == 0
    assert keys(tmp_path / "new") == ["MSFT", "AAPL", "IBM"]
    found = [one for one in listing(tmp_path) if "unfinished" in one]
    assert found == []
