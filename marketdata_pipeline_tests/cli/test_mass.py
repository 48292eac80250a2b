"""`backfill` and `refresh` of many: runs of a hundred instruments, one after the other."""

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.runs import MASS
from marketdata_pipeline.ingest.settle import Listing, actions_only
from marketdata_pipeline.ingest.track import track
from marketdata_pipeline.store.tracking import Tracking
from marketdata_pipeline_tests.cli.conftest import AAPL
from marketdata_pipeline_tests.cli.stand_in import StandIn
from marketdata_pipeline_tests.cli.terminal import PROGRAM, Terminal
from marketdata_pipeline_tests.ingest.world import World, days

D1 = (Timeframe.D1,)


def _file(*names: str) -> Path:
    file = Path("list.txt")
    file.write_text("\n".join(names), "utf-8")
    return file


def _many(*names: str, count: int = 250) -> Path:
    """A file of so many instruments, these names first."""
    return _file(*names, *(f"A{number}" for number in range(count - len(names))))


def _track(home: Home, *keys: str, timeframes: tuple[Timeframe, ...] = D1) -> None:
    asked = [Instrument.parse(key) for key in keys]
    track(Tracking(home.engine, home.clock), home.clock, asked, timeframes=timeframes)


def _series(call: dict[str, Any]) -> list[str]:
    return list(call["series"])


@pytest.mark.usefixtures("home")
def test_a_long_list_is_one_run_after_the_other_with_the_tag_of_mass_work(
    marketdata: Terminal, stand_in: StandIn
) -> None:
    found = marketdata("backfill", "--file", _many(), "-t", "1d")
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert [one for one in lines if one.startswith("run")] == [
        "run 1/3: 100 series",
        "run 2/3: 100 series",
        "run 3/3: 50 series",
    ]
    assert lines[1] == (
        "   25/100  50 new bars, 25 requests, 0 failed, 60 series and 60 requests a minute, "
        "0:01:15 left"
    )
    assert lines[-1] == ("500 new bars of 250 series, 250 requests; 3 of 3 runs came to their end")
    calls = stand_in.calls()
    assert [len(_series(one)) for one in calls] == [100, 100, 50]
    assert all(one["tags"] == MASS for one in calls)


@pytest.mark.usefixtures("home")
def test_a_hundred_instruments_are_one_run_without_it(
    marketdata: Terminal, stand_in: StandIn
) -> None:
    found = marketdata("backfill", "--file", _many(count=100), "-t", "1d,1wk")
    assert found.code == 0
    (call,) = stand_in.calls()
    assert (len(_series(call)), call["tags"]) == (200, {})
    assert "run 1" not in found.out
    assert found.out.splitlines()[-1] == "400 new bars of 200 series, 200 requests"


@pytest.mark.usefixtures("home")
def test_series_that_fail_make_the_command_fail_and_stop_no_run(
    home: Home, marketdata: Terminal, stand_in: StandIn
) -> None:
    found = marketdata("backfill", "--file", _many("BAD", "BADE", count=150), "-t", "1d")
    assert found.code == 1
    assert found.err == (
        "marketdata: 2 of 150 series failed: truth is down; "
        f"its log is {home.dagster / 'last-run.log'}\n"
    )
    assert "    1/100  BAD|1d         failed: truth is down" in found.out.splitlines()
    assert "296 new bars of 150 series, 150 requests; 2 of 2 runs" in found.out
    assert len(stand_in.calls()) == 2


def test_the_log_holds_every_run_of_the_last_command(
    home: Home, marketdata: Terminal, stand_in: StandIn
) -> None:
    log = home.dagster / "last-run.log"
    marketdata("backfill", "--file", _many("BAD", count=150), "-t", "1d")
    assert [line[:7] for line in log.read_text().splitlines() if "/50 " in line] == [
        "25/50 n",
        "50/50 n",
    ]
    assert "BAD|1d" in log.read_text()
    marketdata("backfill", "AAPL", "-t", "1d")
    assert log.read_text().startswith("1/1 series=AAPL|1d")
    assert len(stand_in.calls()) == 3


@pytest.mark.usefixtures("stand_in")
def test_a_run_that_breaks_off_is_the_last(home: Home, marketdata: Terminal) -> None:
    names = [f"A{number}" for number in range(250)]
    names[160] = "KILL"
    found = marketdata("backfill", "--file", _file(*names), "-t", "1d")
    assert found.code == 1
    assert found.err == (
        "marketdata: run 2 broke off after 50 of 100 series: Dagster was killed by "
        f"signal 9; its log is {home.dagster / 'last-run.log'}\n"
    )
    assert found.out.splitlines()[-1] == (
        "300 new bars of 150 series, 150 requests; 1 of 3 runs came to their end"
    )


@pytest.mark.usefixtures("home")
def test_what_a_run_left_is_first_in_the_next_one(marketdata: Terminal, stand_in: StandIn) -> None:
    names = [f"A{number}" for number in range(223)]
    names[10], names[20] = "LATE1", "LATE2"
    found = marketdata("backfill", "--file", _file(*names), "-t", "1d")
    assert (found.code, found.err) == (0, "")
    first, second, third = (_series(one) for one in stand_in.calls())
    assert second == ["LATE1|1d", "LATE2|1d", *(f"A{number}|1d" for number in range(100, 198))]
    assert third == [f"A{number}|1d" for number in range(198, 223)]
    lines = found.out.splitlines()
    assert [one for one in lines if one.startswith(("run", "  2 of"))] == [
        "run 1/3: 100 series",
        "  2 of 100 series not done: not begun: it was late",
        "run 2/3: 100 series",
        "run 3/3: 25 series",
    ]
    assert "   98/100  196 new bars, 98 requests, 0 failed" in found.out
    assert lines[-1] == "446 new bars of 223 series, 223 requests; 3 of 3 runs came to their end"
    assert len(first) == 100


@pytest.mark.usefixtures("home")
def test_what_the_only_run_left_makes_a_second_one(marketdata: Terminal, stand_in: StandIn) -> None:
    found = marketdata("backfill", "AAPL", "LATE", "-t", "1d,1wk")
    assert (found.code, found.err) == (0, "")
    assert [_series(one) for one in stand_in.calls()] == [
        ["AAPL|1d", "AAPL|1wk", "LATE|1d", "LATE|1wk"],
        ["LATE|1d"],
    ]
    assert "run 2/2: 1 series" in found.out
    assert found.out.splitlines()[-1] == (
        "8 new bars of 4 series, 4 requests; 2 of 2 runs came to their end"
    )


def test_a_run_that_left_series_and_brought_nothing_is_the_last(
    home: Home, marketdata: Terminal, stand_in: StandIn
) -> None:
    names = [f"A{number}" for number in range(250)]
    names[10], names[20] = "NEVER1", "BAD"
    never = [f"NEVER{number}" for number in range(2, 120)]
    found = marketdata("backfill", "--file", _file(*names, *never), "-t", "1d")
    assert found.code == 1
    assert found.err == (
        "marketdata: 1 of 249 series failed: truth is down; 100 series are not done, the last run "
        f"brought nothing: not begun: it was late; its log is {home.dagster / 'last-run.log'}\n"
    )
    assert [len(_series(one)) for one in stand_in.calls()] == [100, 100, 100, 100]
    assert found.out.splitlines()[-1] == (
        "496 new bars of 249 series, 249 requests; 4 of 6 runs came to their end"
    )


def test_what_is_left_where_nothing_failed_is_a_failure_of_its_own(
    home: Home, marketdata: Terminal, stand_in: StandIn
) -> None:
    found = marketdata("backfill", "AAPL", "NEVER", "-t", "1d")
    assert found.code == 1
    assert found.err == (
        "marketdata: 1 series are not done, the last run brought nothing: not begun: it was late; "
        f"its log is {home.dagster / 'last-run.log'}\n"
    )
    assert [_series(one) for one in stand_in.calls()] == [["AAPL|1d", "NEVER|1d"], ["NEVER|1d"]]


def test_all_that_is_tracked_is_meant_each_at_its_timeframes(
    home: Home, marketdata: Terminal, stand_in: StandIn
) -> None:
    _track(home, "AAPL", timeframes=(Timeframe.D1, Timeframe.W1))
    _track(home, "BTC-USD")
    assert marketdata("backfill", "--all").code == 0
    assert marketdata("backfill", "--class", "crypto").code == 0
    assert marketdata("backfill", "--all", "-t", "1h", "--start", "2024-01-02").code == 0
    whole, crypto, hourly = stand_in.calls()
    assert _series(whole) == ["AAPL|1d", "AAPL|1wk", "BTC-USD|1d"]
    assert _series(crypto) == ["BTC-USD|1d"]
    assert _series(hourly) == ["AAPL|1h", "BTC-USD|1h"]
    assert hourly["start"] == "2024-01-02T00:00:00+00:00"
    assert "start" not in whole


def test_a_class_is_what_the_provider_told(
    world: World, marketdata: Terminal, stand_in: StandIn
) -> None:
    _track(world.home, "AAPL", "MSFT")
    reply = world.provider.fetch(AAPL, days("2024-03-11", "2024-03-16"))
    actions_only(world.store, replace(reply, asset_class=AssetClass.ETF), Listing())
    assert marketdata("backfill", "--class", "etf").code == 0
    (call,) = stand_in.calls()
    assert _series(call) == ["AAPL|1d"]


def test_a_refresh_of_many_is_cut_into_runs_too(
    home: Home, marketdata: Terminal, stand_in: StandIn
) -> None:
    _track(home, *(f"A{number}" for number in range(101)))
    assert marketdata("refresh").code == 0
    assert [len(_series(one)) for one in stand_in.calls()] == [100, 1]


def test_whatever_has_bars_afterwards_has_a_partition_key(
    world: World, marketdata: Terminal, stand_in: StandIn
) -> None:
    """AAPL has bars; MSFT gets none from a program that updates nothing."""
    assert marketdata("backfill", "--file", _file("AAPL", "MSFT"), "-t", "1d").code == 0
    assert len(stand_in.calls()) == 1
    with dg.DagsterInstance.from_config(str(world.home.dagster)) as instance:
        assert instance.get_dynamic_partitions("instruments") == ["AAPL"]


@pytest.mark.parametrize("bad", ["A|B", "BRK.B"])
@pytest.mark.usefixtures("home")
def test_a_bad_line_starts_nothing(marketdata: Terminal, stand_in: StandIn, bad: str) -> None:
    found = marketdata("backfill", "--file", _file("AAPL", bad))
    assert found.sentence().startswith("list.txt, line 2: ")
    assert found.code == 2
    assert stand_in.calls() == []


def _interrupted(folder: Path, stand_in: StandIn, *names: str) -> subprocess.CompletedProcess[str]:
    """The command as a program, interrupted once the stand-in waits, if it does."""
    file = folder / "list.txt"
    file.write_text("\n".join(names), "utf-8")
    with subprocess.Popen(
        [*PROGRAM, "backfill", "--file", str(file), "-t", "1d"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as command:
        if "WAIT" in names:
            stand_in.await_waiting()
            os.killpg(command.pid, signal.SIGINT)
        out, err = command.communicate(timeout=60)
    return subprocess.CompletedProcess(command.args, command.returncode, out, err)


@pytest.mark.usefixtures("home")
@pytest.mark.proof
def test_an_interrupt_ends_the_run_under_way_and_begins_no_other(
    tmp_path: Path, stand_in: StandIn
) -> None:
    names = [f"A{number}" for number in range(250)]
    names[160] = "WAIT"
    found = _interrupted(tmp_path, stand_in, *names)
    assert found.returncode == 130
    assert found.stderr.splitlines() == ["ending the run ...", "marketdata: interrupted"]
    assert found.stdout.splitlines()[-1] == (
        "300 new bars of 150 series, 150 requests; 1 of 3 runs came to their end"
    )
    assert len(stand_in.calls()) == 2
    with pytest.raises(ProcessLookupError):
        os.kill(stand_in.pid(), 0)


@pytest.mark.usefixtures("home")
@pytest.mark.proof
def test_an_interrupt_at_the_end_of_a_run_begins_no_other(
    tmp_path: Path, stand_in: StandIn
) -> None:
    names = [f"A{number}" for number in range(250)]
    names[99] = "LAST"
    found = _interrupted(tmp_path, stand_in, *names)
    assert found.returncode == 130
    assert found.stderr.splitlines()[-1] == "marketdata: interrupted"
    assert found.stdout.splitlines()[-1].startswith("200 new bars of 100 series, 100 requests; ")
    assert len(stand_in.calls()) == 1
