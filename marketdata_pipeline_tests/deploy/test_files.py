"""What the files of deploy/postgres say: one set of commands, known variables, usable settings."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster_shared.yaml_utils import load_yaml_from_path

from marketdata_pipeline.config import Settings, load_settings
from marketdata_pipeline.config.places import PREFIX
from marketdata_pipeline_tests.conftest import ROOT
from marketdata_pipeline_tests.deploy.units import (
    DEPLOY,
    INSTALLED,
    NAMES,
    PROGRAMS,
    Unit,
    example,
    here,
)

URL = "postgresql+psycopg2://nobody@127.0.0.1:9/dagster"
ALIKE = ("telemetry", "nux", "run_retries", "run_monitoring", "retention")
ANALYZE = shutil.which("systemd-analyze")
NETWORK = re.compile(r"^(\$\{\w+}|[0-9.]+)$")
"""A host or a port: what differs between a host and a container."""


def _yaml(path: Path) -> Any:
    return load_yaml_from_path(str(path))


def _services() -> dict[str, Any]:
    return dict(_yaml(DEPLOY / "compose.yaml")["services"])


def _plain(words: tuple[str, ...] | list[str]) -> list[str]:
    """A command without where it is installed and where it listens."""
    bare = [word.removeprefix(f"{PROGRAMS}/") for word in words]
    return ["*" if NETWORK.match(word) else word for word in bare]


def _known(variables: set[str]) -> set[str]:
    """Those of them that are ours and no setting."""
    keys = Settings.keys()
    settings = {PREFIX + one.upper() for one in keys.known}
    return {one for one in variables if one.startswith(PREFIX)} - settings


@pytest.fixture(params=NAMES)
def unit(request: pytest.FixtureRequest) -> Unit:
    return Unit.read(request.param)


def test_the_compose_file_and_the_units_run_the_same_commands(unit: Unit) -> None:
    service = _services()[unit.name]
    assert _plain(service["command"]) == _plain(unit.command)


def test_each_unit_runs_a_program_that_is_installed_here(unit: Unit) -> None:
    program, *words = here(unit.command, example())
    assert Path(program).is_file()
    files = [word for word in words if word.startswith("/")]
    assert all(Path(one).is_file() for one in files), files


def test_a_unit_asks_for_no_variable_that_the_example_has_not(unit: Unit) -> None:
    for command in (unit.command, unit.after_start):
        assert not any("$" in word for word in here(command, example()))


def test_the_units_are_shut_in_alike_and_start_again(unit: Unit) -> None:
    first = Unit.read(NAMES[0]).settings["Service"]
    own = unit.settings["Service"]
    apart = {"ExecStart", "ExecStartPost", "KillMode", "MemoryHigh", "MemoryMax", "OOMPolicy"}
    apart |= {"TimeoutStartSec", "TimeoutStopSec"}
    assert {key: own[key] for key in own.keys() - apart} == {
        key: first[key] for key in first.keys() - apart
    }
    assert own["Restart"] == "on-failure"
    assert own["EnvironmentFile"] == "/etc/marketdata.env"
    assert own["NoNewPrivileges"] == "yes"
    assert own["ProtectSystem"] == "strict"
    assert example()["MARKETDATA_HOME"] == f"/var/lib/{own['StateDirectory']}"


@pytest.mark.parametrize("name", NAMES[1:])
def test_what_needs_the_code_server_starts_after_it_and_outlives_it(name: str) -> None:
    ordering = Unit.read(name).settings["Unit"]
    assert "marketdata-code-server.service" in ordering["After"].split()
    assert "marketdata-code-server.service" in ordering["Wants"].split()
    assert "Requires" not in ordering
    needed = _services()[name]["depends_on"]
    assert needed["code-server"] == {"condition": "service_healthy"}


@pytest.mark.skipif(ANALYZE is None, reason="no systemd on this machine")
def test_systemd_has_nothing_against_the_units(tmp_path: Path) -> None:
    programs = str(Path(sys.executable).parent)
    for name in NAMES:
        file = f"marketdata-{name}.service"
        said = (DEPLOY / "systemd" / file).read_text("utf-8")
        (tmp_path / file).write_text(said.replace(PROGRAMS, programs))
    done = subprocess.run(
        [str(ANALYZE), "verify", *sorted(map(str, tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "marketdata" in line]
    assert ours == []


def test_each_variable_is_known() -> None:
    services = _services()
    in_compose = {name for one in services.values() for name in one.get("environment", {})}
    assert _known(set(example()) | in_compose) == set()
    named = "\n".join(
        one.read_text("utf-8") for one in (DEPLOY / "dagster.yaml", DEPLOY / "workspace.yaml")
    )
    wanted = set(re.findall(r"env: (\w+)", named))
    assert wanted == {"DAGSTER_PG_URL", "DAGSTER_CODE_SERVER_HOST", "DAGSTER_CODE_SERVER_PORT"}
    assert wanted <= set(example())
    for name in NAMES:
        assert wanted <= set(services[name]["environment"])


def test_the_example_gives_settings_that_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in example().items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.database == example()["MARKETDATA_DATABASE_URL"]
    assert str(settings.home / "dagster") == example()["DAGSTER_HOME"]


def test_nothing_listens_beyond_the_host() -> None:
    for name in ("DAGSTER_CODE_SERVER_HOST", "DAGSTER_WEBSERVER_HOST"):
        assert example()[name] == "127.0.0.1"
    published = [port for one in _services().values() for port in one.get("ports", ())]
    assert published == ["127.0.0.1:3000:3000"]


def test_no_secret_is_in_a_file_of_the_repository() -> None:
    for file in (one for one in DEPLOY.rglob("*") if one.is_file() and one.suffix != ".env"):
        for said in re.findall(r"://\w+:([^@\s]+)@", file.read_text("utf-8")):
            assert said in {"change-me", "password"} or said.startswith("${POSTGRES_"), file


def test_the_image_has_what_the_commands_name() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    taken = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert all((ROOT / one).exists() for one in taken), taken
    words = " ".join(str(one) for service in _services().values() for one in service.values())
    named = set(re.findall(rf"{INSTALLED}/(deploy/[\w/.]+)", words))
    assert named == {"deploy/postgres/workspace.yaml", "deploy/postgres/dagster.yaml"}
    assert named <= taken


def test_dagsters_settings_differ_from_the_roots_in_storage_threads_and_queue_only() -> None:
    root, ours = (_yaml(folder / "dagster.yaml") for folder in (ROOT, DEPLOY))
    assert {key: ours[key] for key in ALIKE} == {key: root[key] for key in ALIKE}
    assert ours.keys() - root.keys() == {"storage", "sensors", "schedules"}
    assert root.keys() - ours.keys() == set()


def test_mass_work_leaves_two_runs_free() -> None:
    for folder in (ROOT, DEPLOY):
        runs = _yaml(folder / "dagster.yaml")["concurrency"]["runs"]
        limits = {one["value"]: one["limit"] for one in runs["tag_concurrency_limits"]}
        assert limits["mass"] == runs["max_concurrent_runs"] - 2


def test_dagster_takes_the_settings(tmp_path: Path, postgres_url: str) -> None:
    shutil.copy(DEPLOY / "dagster.yaml", tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_PG_URL", postgres_url)
        with DagsterInstance.from_config(str(tmp_path)) as instance:
            coordinator = instance.run_coordinator
            assert isinstance(coordinator, QueuedRunCoordinator)
            assert coordinator.dequeue_interval_seconds == 1
            queue = instance.get_concurrency_config().run_queue_config
            assert queue is not None
            assert (queue.max_concurrent_runs, queue.max_user_code_failure_retries) == (4, 5)
            assert len(queue.tag_concurrency_limits) == 2
            assert instance.get_sensor_settings()["num_workers"] == 4
            assert instance.get_scheduler_settings()["use_threads"] is True
            assert instance.telemetry_enabled is False
            assert not (tmp_path / "history").exists()
