"""`verify`, `compact`, `gc`, `info`."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import update

from marketdata_pipeline.database.engine import writing
from marketdata_pipeline.database.metadata import chunks, tracked_instruments
from marketdata_pipeline.ingest.track import track
from marketdata_pipeline_tests.cli.conftest import AAPL
from marketdata_pipeline_tests.cli.terminal import Terminal
from marketdata_pipeline_tests.ingest.world import World


@pytest.mark.usefixtures("world")
def test_a_good_store_is_verified(marketdata: Terminal) -> None:
    found = marketdata("verify")
    assert (found.code, found.out) == (0, "2 series verified: no fault\n")
    assert marketdata("verify", "AAPL|1d").out == "1 series verified: no fault\n"
    told = json.loads(marketdata("verify", "--json", "aapl").out)
    assert told == {"series": 2, "faults": []}


def test_a_fault_is_listed_and_the_exit_code_is_1(world: World, marketdata: Terminal) -> None:
    with writing(world.home.engine) as connection:
        connection.execute(update(chunks).where(chunks.c.id == 1).values(checksum="s8:00"))
    found = marketdata("verify")
    assert found.code == 1
    assert found.out.startswith("AAPL|1d: unreadable: AAPL|1d: chunk 1 in the catalog is damaged")
    assert found.err == ("marketdata: 1 faults in 1 of 2 series; docs/recover.md says what to do\n")
    told = json.loads(marketdata("verify", "--json").out)
    assert [one["kind"] for one in told["faults"]] == ["unreadable"]


@pytest.mark.usefixtures("world")
def test_what_is_not_stored_cannot_be_looked_after(marketdata: Terminal) -> None:
    for command in ("verify", "compact", "info"):
        found = marketdata(command, "MSFT|1d")
        assert found.code == 2
        assert found.sentence() == "nothing is stored of MSFT|1d; see marketdata status"


@pytest.mark.usefixtures("world")
def test_compacting_says_what_became_of_what(marketdata: Terminal) -> None:
    assert marketdata("compact").out.startswith("2 series: 0 chunks became 0 (0 bars")
    told = json.loads(marketdata("compact", "AAPL|1d", "--json").out)
    assert told == {"series": 1, "merged": 0, "made": 0, "rows": 0, "superseded": 0}
    assert marketdata("compact").out.startswith("0 series"), "nothing was written since"


def test_what_is_long_untracked_is_removed_when_asked(world: World, marketdata: Terminal) -> None:
    track(world.tracking, world.clock, [AAPL.instrument], timeframes=[AAPL.timeframe])
    world.tracking.remove(AAPL.instrument)
    long_ago = tracked_instruments.c.untracked_at - timedelta(days=31) // timedelta(microseconds=1)
    with writing(world.home.engine) as connection:
        connection.execute(update(tracked_instruments).values(untracked_at=long_ago))
    assert "removed" not in marketdata("gc").out.splitlines()[0].replace("files removed", "")
    dry = marketdata("gc", "--untracked", "--dry-run")
    assert dry.out == "AAPL: 306 bars of 2 series would be removed\n"
    assert len(world.store.read(AAPL)) == 253
    done = json.loads(marketdata("gc", "--untracked", "--json").out)
    assert done["untracked"] == [{"instrument": "AAPL", "bars": 306}]
    assert world.store.read(AAPL).empty
    again = marketdata("gc", "--untracked", "--dry-run")
    assert again.out == "nothing is tracked no more for long enough\n"


@pytest.mark.usefixtures("world")
def test_a_dry_run_alone_says_what_it_is_for(marketdata: Terminal) -> None:
    found = marketdata("gc", "--dry-run")
    assert (found.code, found.sentence()) == (
        2,
        "--dry-run says what --untracked would remove; give both",
    )


@pytest.mark.usefixtures("world")
def test_info_tells_of_everything_and_of_series(marketdata: Terminal) -> None:
    lines = marketdata("info").out.splitlines()
    assert lines[0] == "306 bars in 2 series, from 2 fetches"
    assert json.loads(marketdata("info", "--json").out)["rows"] == 306
    head, row = marketdata("info", "AAPL|1d").out.splitlines()
    assert head.split()[:3] == ["series", "bars", "first"]
    assert row.split()[:4] == ["AAPL|1d", "253", "2023-03-15", "2024-03-15"]
    (told,) = json.loads(marketdata("info", "AAPL|1d", "--json").out)
    assert told["years"] == {"2023": 201, "2024": 52}


def test_bars_are_shown_as_they_were_known_at_an_instant(
    world: World, marketdata: Terminal
) -> None:
    now = world.clock.wall_now()
    before = marketdata("bars", "AAPL", "--as-of", (now - timedelta(days=1)).isoformat(), "--csv")
    assert before.out.splitlines() == ["ts,open,high,low,close,volume"]
    told = json.loads(marketdata("bars", "AAPL", "--as-of", now.isoformat(), "--json").out)
    assert len(told["ts"]) == 253
    assert (told["as_of"], told["superseded_since"]) == (now.isoformat(), None)
    assert marketdata("bars", "AAPL", "--as-of", "yesterday").code == 2
