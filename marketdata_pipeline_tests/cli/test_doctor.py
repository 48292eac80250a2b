"""`doctor`: what is well and what is not, from a real home and its real surroundings."""

import json
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from marketdata_pipeline.cli import asking
from marketdata_pipeline.cli.around import Instance
from marketdata_pipeline.database.claim import MARKER
from marketdata_pipeline.database.engine import LOCK_SECONDS
from marketdata_pipeline.database.home import History, Home, Replay, make_home
from marketdata_pipeline.database.metadata import REVISIONS
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.contact import ClockReading, Contact, Outcome
from marketdata_pipeline.domain.errand import Errand, Priority
from marketdata_pipeline.domain.gate import Attempt, Ending, Limits, RateLimit
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.orchestrator import register_instruments
from marketdata_pipeline.providers.base import Provider
from marketdata_pipeline.providers.yahoo import Yahoo
from marketdata_pipeline.simulator.fault import Fault
from marketdata_pipeline.simulator.recorded import recorded_history
from marketdata_pipeline.simulator.server import Simulator
from marketdata_pipeline_tests.cli.terminal import Terminal, listing
from marketdata_pipeline_tests.ingest.keyed import KeyedProvider, fresh
from marketdata_pipeline_tests.ports import free_port, mute, stranger

START = datetime(2013, 2, 15, 21, tzinfo=UTC)
SLOW = SystemClock()
LIMIT = Limits((RateLimit(2000, timedelta(hours=1), 200),))
Doctor = Callable[..., dict[str, tuple[str, str]]]


@pytest.fixture
def doctor(marketdata: Terminal) -> Doctor:
    """Runs the command; mark and sentence (with advice) by topic, and that its code fits."""

    def run(*before: str) -> dict[str, tuple[str, str]]:
        said = marketdata(*before, "doctor", "--json")
        told: list[dict[str, Any]] = json.loads(said.out)
        assert said.code == (1 if "wrong" in {one["mark"] for one in told} else 0), said
        return {one["topic"]: (one["mark"], f"{one['says']} -> {one['advice']}") for one in told}

    return run


@pytest.fixture
def replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A replay home that settings and Dagster's variable name, and a port of its own."""
    folder = tmp_path / "replay"
    monkeypatch.setenv("MARKETDATA_HOME", str(folder))
    monkeypatch.setenv("DAGSTER_HOME", str(folder / "dagster"))
    monkeypatch.setenv("MARKETDATA_SIMULATOR_PORT", str(free_port()))
    with make_home(folder, replay=Replay(History.RECORDED, START)) as made:
        yield made


@pytest.fixture
def simulator(replay: Home) -> Iterator[Simulator]:
    """The simulator of that home, at that port."""
    port = int(os.environ["MARKETDATA_SIMULATOR_PORT"])
    with Simulator(recorded_history(), replay.clock, port).in_thread() as running:
        yield running


@pytest.mark.usefixtures("simulator")
def test_a_home_that_is_well_has_nothing_wrong(marketdata: Terminal, replay: Home) -> None:
    before = listing(replay.folder)
    said = marketdata("doctor")
    assert (said.code, said.err) == (0, "")
    lines = [line.split(maxsplit=1) for line in said.out.splitlines()]
    assert {line[0] for line in lines[:-1]} <= {"ok", "note"}
    assert lines[-1][0] in {"nothing", "all"}
    told = json.loads(marketdata("doctor", "--json").out)
    assert [one["topic"] for one in told] == [
        "settings", "keys", "home", "folders", "catalog", "locks", "simulator", "yahoo",
        "disk", "temporary folder", "memory", "DAGSTER_HOME", "dagster.yaml", "daemon",
    ]  # fmt: skip
    assert listing(replay.folder) == before, "nothing is made, also not Dagster's databases"


def test_a_block_page_of_the_simulator_is_wrong(doctor: Doctor, simulator: Simulator) -> None:
    simulator.faults.add(Fault("status", status=403))
    mark, said = doctor()["yahoo"]
    assert mark == "wrong"
    assert "this address is blocked (HTTP 403)" in said
    assert len(simulator.charts()) == 1


def test_a_429_cools_all_down_and_is_not_asked_for_twice(
    doctor: Doctor, replay: Home, simulator: Simulator
) -> None:
    governor = Governor(replay.engine, replay.clock)
    governor.register("yahoo", LIMIT)
    simulator.faults.add(Fault("status", status=429, retry_after=60))
    mark, said = doctor()["yahoo"]
    assert (mark, "too many requests (HTTP 429)" in said) == ("wrong", True)
    (turns,) = governor.turns()
    assert turns.cooldown_until is not None
    mark, said = doctor()["yahoo"]
    assert mark == "note"
    assert f"no turn before {turns.cooldown_until:%H:%M:%S} UTC" in said
    assert len(simulator.charts()) == 1


def test_each_look_at_a_provider_takes_a_turn(
    doctor: Doctor, replay: Home, simulator: Simulator
) -> None:
    governor = Governor(replay.engine, replay.clock)
    governor.register("yahoo", Limits((RateLimit(1, timedelta(hours=1), 1),)))
    assert doctor()["yahoo"][0] == "ok"
    assert doctor()["yahoo"][0] == "note"
    assert len(simulator.charts()) == 1


@pytest.mark.usefixtures("replay")
def test_a_replay_home_without_simulator_says_how_to_start_one(doctor: Doctor) -> None:
    told = doctor()
    assert told["simulator"][0] == "note"
    assert "marketdata simulate" in told["simulator"][1]
    assert "yahoo" not in told, "a replay home asks nobody else"
    assert "clock" not in told


@pytest.mark.usefixtures("replay")
def test_strangers_at_the_simulators_port_are_wrong(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for somebody in (stranger(), mute()):
        with somebody as there:
            port = there if isinstance(there, int) else there[0]
            monkeypatch.setenv("MARKETDATA_SIMULATOR_PORT", str(port))
            mark, said = doctor()["simulator"]
        assert mark == "wrong"
        assert "what listens on" in said


@pytest.mark.usefixtures("replay")
def test_the_simulator_of_another_home_is_wrong(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        make_home(tmp_path / "other", replay=Replay(History.RECORDED, START)) as other,
        Simulator(recorded_history(), other.clock).in_thread() as simulator,
    ):
        monkeypatch.setenv("MARKETDATA_SIMULATOR_PORT", str(simulator.port))
        mark, said = doctor()["simulator"]
    assert (mark, "serves another home" in said) == ("wrong", True)
    assert simulator.charts() == []


@pytest.mark.usefixtures("home")
def test_a_live_home_that_cannot_reach_yahoo_says_what_is_in_the_way(doctor: Doctor) -> None:
    told = doctor()
    assert told["yahoo"][0] == "wrong"
    assert told["yahoo"][1].startswith("the proxy lets nothing through (Failed to connect")
    assert "https_proxy" in told["yahoo"][1]
    assert told["clock"][0] == "note"
    assert told["home"][0] == "ok"


@pytest.fixture
def yahoo_says(monkeypatch: pytest.MonkeyPatch) -> Callable[[Contact], None]:
    """Has Yahoo answer so."""

    def says(contact: Contact) -> None:
        monkeypatch.setattr(Yahoo, "contact", lambda _, within: contact if within else None)

    return says


def test_a_429_with_all_turns_free_is_a_blocked_address(
    doctor: Doctor, home: Home, yahoo_says: Callable[[Contact], None]
) -> None:
    yahoo_says(Contact(Outcome.LIMITED, "HTTP 429"))
    assert "this address is blocked" in doctor()["yahoo"][1], "nobody ever asked"
    governor = Governor(home.engine, home.clock)
    governor.register("yahoo", Limits((RateLimit(2000, timedelta(hours=1), 10),)))
    gate = governor.gate("yahoo", max_wait=timedelta(0))
    gate.turn(Errand(Priority.URGENT))
    assert "this address is blocked" in doctor()["yahoo"][1]
    for _ in range(5):
        gate.turn(Errand(Priority.URGENT))
    assert "lower the quota" in doctor()["yahoo"][1]


@pytest.mark.usefixtures("home")
def test_this_machines_clock_is_compared_with_that_of_who_answers(
    doctor: Doctor, yahoo_says: Callable[[Contact], None]
) -> None:
    now = datetime.now(UTC)
    for off, mark in ((0, "ok"), (10, "note"), (-100, "wrong")):
        clock = ClockReading(now, now, now - timedelta(seconds=off))
        yahoo_says(Contact(Outcome.ANSWERED, "HTTP 200", clock=clock))
        assert doctor()["clock"][0] == mark


@pytest.mark.usefixtures("home")
def test_a_provider_that_hangs_is_not_waited_for(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking.Asker, "_contact", lambda *_: SLOW.sleep(1.5))
    monkeypatch.setattr("marketdata_pipeline.cli.checkup._LONGEST", 0.5)
    assert "took too long" in doctor()["yahoo"][1]


@pytest.mark.usefixtures("home")
def test_a_provider_that_cannot_be_asked_is_left_out(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Yahoo, "contact", Provider.contact)
    assert "yahoo" not in doctor()


def test_a_held_write_lock_is_wrong_and_yahoo_is_asked_all_the_same(
    doctor: Doctor, home: Home
) -> None:
    Governor(home.engine, home.clock).register("yahoo", LIMIT)
    shell = sqlite3.connect(home.folder / "catalog.sqlite", isolation_level=None)
    shell.execute("BEGIN IMMEDIATE")
    began = monotonic()
    told = doctor()
    assert monotonic() - began < LOCK_SECONDS / 2, "nobody waits as long as a writer does"
    shell.close()
    assert (told["locks"][0], told["catalog"][0]) == ("wrong", "ok")
    assert told["yahoo"][1].startswith("the proxy lets nothing through")


def test_a_cooldown_is_kept_also_where_no_turn_can_be_taken(doctor: Doctor, home: Home) -> None:
    governor = Governor(home.engine, home.clock)
    governor.register("yahoo", LIMIT)
    refused = Attempt(Ending.RATE_LIMITED, 429, retry_after=timedelta(minutes=1))
    gate = governor.gate("yahoo", max_wait=timedelta(0))
    gate.report(gate.turn(Errand()), refused)
    shell = sqlite3.connect(home.folder / "catalog.sqlite", isolation_level=None)
    shell.execute("BEGIN IMMEDIATE")
    mark, said = doctor()["yahoo"]
    shell.close()
    assert (mark, "not asked" in said) == ("note", True)


def test_a_home_on_a_server_tells_of_its_sessions_and_its_clock(
    doctor: Doctor, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETDATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MARKETDATA_DATABASE_URL", postgres_url)
    make_home(tmp_path / "home", database_url=postgres_url).engine.dispose()
    told = doctor()
    assert told["catalog"][0] == "ok"
    assert told["locks"][1].endswith("no session waits, none idles in the way -> ")
    assert told["clock"] == ("ok", "agrees with that of the database to 2 s -> ")
    assert told["settings"][1].startswith("MARKETDATA_HOME, MARKETDATA_DATABASE_URL from the env")


def test_a_server_that_is_gone_is_wrong_and_its_password_is_not_shown(
    marketdata: Terminal, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    del home
    monkeypatch.setenv("MARKETDATA_DATABASE_URL", "postgresql://me:hunter2@127.0.0.1:1/name")
    said = marketdata("doctor", "--json")
    (catalog,) = [one for one in json.loads(said.out) if one["topic"] == "catalog"]
    assert (said.code, catalog["mark"]) == (1, "wrong")
    assert "Connection refused" in catalog["says"]
    assert "hunter2" not in said.out + said.err


@pytest.mark.parametrize(
    ("name", "value", "topic", "says"),
    [
        ("MARKETDATA_HOMER", "x", "settings", "MARKETDATA_HOMER is not a setting"),
        ("MARKETDATA_SIMULATOR_PORT", "x", "settings", "MARKETDATA_SIMULATOR_PORT is 'x'"),
        (
            "MARKETDATA_DATABASE_URL",
            "sqlite://me:hunter2@x/y",
            "catalog",
            "the catalog needs a file",
        ),
    ],
)
@pytest.mark.usefixtures("home")
def test_wrong_settings_are_a_finding(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, name: str, value: str, topic: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    told = doctor()
    assert (told[topic][0], says in told[topic][1]) == ("wrong", True)
    assert "hunter2" not in str(told)
    assert "memory" in told, "what needs no settings is looked at all the same"


def test_settings_are_named_where_they_stand(
    doctor: Doctor, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(".env").write_text("MARKETDATA_LOG_LEVEL=error\nMARKETDATA_HOME=other\n")
    Path("marketdata.toml").write_text('log_format = "json"\nlog_level = "debug"\n')
    assert doctor()["settings"][1].startswith(
        "MARKETDATA_HOME from the environment; MARKETDATA_LOG_LEVEL from .env; "
        "log_format from marketdata.toml; the others"
    )
    monkeypatch.delenv("MARKETDATA_HOME")
    assert doctor("--home", str(home.folder))["settings"][1].startswith(
        "--home from the command line; MARKETDATA_LOG_LEVEL from .env; log_format"
    )


def test_without_a_home_yahoo_is_asked_as_quickstart_would(doctor: Doctor) -> None:
    told = doctor()
    assert told["home"] == (
        "wrong",
        f"none at {Path.cwd() / '.marketdata'} -> marketdata init, or name another with --home",
    )
    assert told["yahoo"][0] == "wrong"
    assert listing(Path.cwd()) == []
    Path(".marketdata").mkdir()
    assert doctor()["home"][0] == "wrong", "an empty folder is none either"
    assert listing(Path.cwd()) == [".marketdata"]


def test_a_catalog_without_a_homes_row_or_of_another_version_is_wrong(
    doctor: Doctor, home: Home
) -> None:
    engine = create_engine(f"sqlite:///{home.folder / 'catalog.sqlite'}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    told = doctor()
    assert (told["catalog"][0], "newer version" in told["catalog"][1]) == ("wrong", True)
    assert "yahoo" not in told, "whether this home may ask is not known"
    with engine.begin() as connection:
        version = {"ours": REVISIONS[-1]}
        connection.execute(text("UPDATE alembic_version SET version_num = :ours"), version)
        connection.execute(text("DELETE FROM home"))
    engine.dispose()
    assert doctor()["home"][0] == "wrong"


@pytest.mark.usefixtures("replay")
def test_rights_and_folders_are_looked_at(doctor: Doctor, replay: Home) -> None:
    replay.folder.chmod(0o777)
    shutil.rmtree(replay.bars)
    told = doctor()
    assert told["home"][0] == "wrong"
    assert told["home"][1].endswith(f"chmod 700 {replay.folder}")
    assert told["folders"][1].startswith(f"no file can be made in {replay.bars}: No such file")


def test_bars_of_another_catalog_are_wrong(doctor: Doctor, home: Home) -> None:
    assert doctor()["folders"][0] == "ok"
    (home.bars / MARKER).write_text("somebody else's")
    mark, said = doctor()["folders"]
    assert (mark, "belong to another catalog" in said) == ("wrong", True)


def test_dagsters_settings_and_daemon_are_looked_at(
    doctor: Doctor, replay: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_instruments(replay.dagster, [Instrument("AAPL")])
    monkeypatch.delenv("DAGSTER_HOME")
    settings = replay.dagster / "dagster.yaml"
    settings.write_text(settings.read_text() + "# mine\n")
    told = doctor()
    assert told["DAGSTER_HOME"][0] == "note"
    assert told["dagster.yaml"][1].startswith("differs from this version's (+1 -0 lines)")
    assert told["daemon"] == (
        "note",
        "never ran here: nothing is refreshed by itself -> marketdata ui, or dagster-daemon run",
    )
    settings.write_text("storage: 7\n")
    assert doctor()["daemon"][0] == "wrong"
    settings.unlink()
    assert doctor()["dagster.yaml"][0] == "wrong"


def test_an_instance_that_was_never_used_is_opened_once_somebody_edited_it(
    doctor: Doctor, replay: Home
) -> None:
    assert doctor()["daemon"][0] == "note"
    (replay.dagster / "dagster.yaml").write_text("storage: 7\n")
    mark, said = doctor()["daemon"]
    assert (mark, "cannot be used" in said) == ("wrong", True)


def test_a_storage_of_dagsters_that_hangs_is_not_waited_for(
    replay: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Instance, "_open", lambda _: SLOW.sleep(1.5))
    found = {one.topic: one for one in Instance(replay.dagster).look(0)}
    assert found["daemon"].says == "Dagster's storage did not answer in time"


@pytest.mark.usefixtures("replay")
def test_what_dagster_loads_in_the_working_directory_is_looked_at(doctor: Doctor) -> None:
    assert "code locations" not in doctor()
    Path("workspace.yaml").write_text("load_from:\n  - python_module: mine\n")
    Path("pyproject.toml").write_text('[tool.dagster]\nmodule_name = "theirs"\n')
    assert doctor()["code locations"][0] == "note"


def test_what_libraries_warn_of_is_not_shown_but_for_debugging(
    marketdata: Terminal, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    del home

    def contact(_: Yahoo, *, within: float) -> Contact:
        logging.getLogger("library").warning("trying again for %s s", within)
        return Contact(Outcome.ANSWERED)

    monkeypatch.setattr(Yahoo, "contact", contact)
    assert "trying again" not in marketdata("doctor").err
    assert "trying again" in marketdata("--debug", "doctor").err
    assert logging.root.manager.disable == logging.NOTSET


class Keyed(Yahoo):
    """A provider that wants a key."""

    keys = ("FMP_API_KEY",)


def test_keys_are_named_and_never_shown(
    marketdata: Terminal, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketdata_pipeline.cli.around.PROVIDERS", {"yahoo": Keyed})
    mark, said = doctor()["keys"]
    assert (mark, said.partition(":")[0]) == ("note", "FMP_API_KEY is not set")
    Path("key").write_text("hunter2\n")
    Path(".env").write_text("FMP_API_KEY_4=hunter4\n")
    monkeypatch.setenv("FMP_API_KEY", "hunter1")
    monkeypatch.setenv("FMP_API_KEY_2_FILE", "key")
    mark, said = doctor()["keys"]
    assert mark == "ok"
    assert said.startswith(
        "FMP_API_KEY of yahoo from the environment; FMP_API_KEY_2 of yahoo from key; "
        "FMP_API_KEY_4 of yahoo from .env"
    )
    monkeypatch.setenv("FMP_API_KEY_3", "hunter1")
    assert doctor()["keys"][0] == "wrong"
    told = f"{marketdata('doctor')} {marketdata('doctor', '--json')}"
    assert "FMP_API_KEY and FMP_API_KEY_3 are the same key" in told
    assert "hunter" not in told


def test_the_environment_whose_keys_count_is_named(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketdata_pipeline.cli.around.PROVIDERS", {"yahoo": Keyed})
    monkeypatch.setenv("MARKETDATA_ENVIRONMENT", "Staging")
    monkeypatch.setenv("FMP_API_KEY", "hunter1")
    told = "of the environment staging: FMP_API_KEY_STAGING"
    assert doctor()["keys"][1].startswith(f"{told} is not set: yahoo is not asked")
    monkeypatch.setenv("FMP_API_KEY_STAGING", "hunter2")
    assert doctor()["keys"][1].startswith(f"{told} of yahoo from the environment")


@pytest.fixture
def keyed(home: Home, monkeypatch: pytest.MonkeyPatch) -> type[KeyedProvider]:
    """The only provider: it needs a key, and has two; one of them has turns already."""
    kind = fresh()
    for module in ("asking", "around"):
        monkeypatch.setattr(f"marketdata_pipeline.cli.{module}.PROVIDERS", {kind.name: kind})
    monkeypatch.setenv("FMP_API_KEY", "hunter1")
    monkeypatch.setenv("FMP_API_KEY_2", "hunter2")
    governor = Governor(home.engine, home.clock)
    for key in ("fmp", "fmp/FMP_API_KEY_2"):
        governor.register(key, LIMIT)
    return kind


def test_a_provider_is_asked_with_a_key_that_has_turns(
    doctor: Doctor, keyed: type[KeyedProvider]
) -> None:
    assert doctor()["fmp"][0] == "ok"
    assert keyed.service.shown == ["hunter2"]


@pytest.mark.usefixtures("home")
def test_a_provider_that_refuses_its_keys_is_wrong_and_names_them(
    doctor: Doctor, keyed: type[KeyedProvider]
) -> None:
    keyed.service.refuses.add("hunter2")
    assert doctor()["fmp"] == (
        "wrong",
        "fmp refuses FMP_API_KEY_2 (HTTP 401) -> correct the key, or take it away",
    )
    mark, said = doctor()["fmp"]
    assert mark == "wrong"
    assert said.startswith("fmp refuses FMP_API_KEY_2; it is asked again at")
    assert keyed.service.shown == ["hunter2"], "once"


def test_a_provider_whose_keys_are_missing_or_wrong_is_not_asked(
    doctor: Doctor, keyed: type[KeyedProvider], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FMP_API_KEY_3", "hunter2")
    assert "fmp" not in doctor()
    for name in ("FMP_API_KEY", "FMP_API_KEY_2", "FMP_API_KEY_3"):
        monkeypatch.delenv(name)
    assert "fmp" not in doctor()
    assert keyed.service.shown == []


def test_where_there_is_no_home_yet_a_key_is_tried_all_the_same(
    doctor: Doctor, keyed: type[KeyedProvider], tmp_path: Path
) -> None:
    assert doctor("--home", str(tmp_path / "none"))["fmp"][0] == "ok"
    assert keyed.service.shown == ["hunter1"]


def test_a_narrow_pipe_cuts_nothing_off(
    marketdata: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    said = marketdata("doctor")
    assert "…" not in said.out
    assert "marketdata init, or name another with --home" in said.out
    assert said.err.startswith("marketdata: ")
    assert said.err.endswith("findings are wrong\n")
