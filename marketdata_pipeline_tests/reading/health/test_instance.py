"""What the state of Dagster's instance, its home and its settings means."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from marketdata_pipeline.reading.health.finding import Finding, Mark
from marketdata_pipeline.reading.health.instance import (
    InstanceState,
    Schedule,
    judge_code_locations,
    judge_dagster_home,
    judge_dagster_yaml,
    judge_instance,
)
from marketdata_pipeline_tests.conftest import ROOT

NOON = datetime(2024, 3, 15, 12, tzinfo=UTC)
OWN = Path("/data/home/dagster")
ON = Schedule("bars_refresh", "ours", on=True)
ALIVE = InstanceState((ON,), NOON - timedelta(seconds=30))


@pytest.mark.parametrize(
    ("given", "there", "mark", "says"),
    [
        ("/data/home/dagster", True, Mark.OK, "/data/home/dagster"),
        ("/data/home/../home/dagster", True, Mark.OK, "/data/home/../home/dagster"),
        ("", False, Mark.NOTE, "not set: Dagster's own commands use an empty temporary instance"),
        ("/other/dagster", True, Mark.NOTE, "/other/dagster is not this home's"),
        ("home/dagster", True, Mark.WRONG, "home/dagster is no absolute path"),
        ("/data/gone", False, Mark.WRONG, "/data/gone is no folder"),
    ],
)
def test_dagsters_home_is_the_homes_own(given: str, there: bool, mark: Mark, says: str) -> None:  # noqa: FBT001 - pytest names it
    found = judge_dagster_home(given, OWN, there=there)
    assert found.mark is mark
    assert found.says.startswith(says)
    assert found.advice == ("" if mark is Mark.OK else "export DAGSTER_HOME=/data/home/dagster")


def test_dagsters_settings_are_the_packages_own_unless_edited() -> None:
    packaged = "telemetry:\n  enabled: false\n"
    assert judge_dagster_yaml(packaged, packaged).mark is Mark.OK
    edited = judge_dagster_yaml(packaged, "telemetry:\n  enabled: true\nmine: 1\n")
    assert edited.mark is Mark.NOTE
    assert edited.says == "differs from this version's (+2 -1 lines)"
    assert judge_dagster_yaml(packaged, None).mark is Mark.WRONG


def only(findings: list[Finding]) -> Finding:
    (one,) = findings
    return one


@pytest.mark.parametrize(
    ("state", "mark", "says"),
    [
        (ALIVE, Mark.OK, "runs; schedules that are on: bars_refresh"),
        (InstanceState(), Mark.NOTE, "never ran here"),
        (replace(ALIVE, beat=NOON - timedelta(minutes=5)), Mark.OK, "runs"),
        (replace(ALIVE, beat=NOON - timedelta(minutes=6)), Mark.NOTE, "last seen 6 min ago"),
        (replace(ALIVE, beat=NOON - timedelta(hours=47)), Mark.NOTE, "last seen 47 h ago"),
        (replace(ALIVE, beat=NOON - timedelta(days=3)), Mark.NOTE, "last seen 3 d ago"),
        (replace(ALIVE, schedules=()), Mark.NOTE, "runs, but no schedule is on"),
        (replace(ALIVE, schedules=(replace(ON, on=False),)), Mark.NOTE, "no schedule is on"),
        (replace(ALIVE, errors=("no space", "more")), Mark.WRONG, "runs, but says: no space"),
    ],
)
def test_somebody_runs_the_schedules(state: InstanceState, mark: Mark, says: str) -> None:
    found = only(judge_instance(state, NOON))
    assert (found.topic, found.mark) == ("daemon", mark)
    assert says in found.says
    assert bool(found.advice) is (mark is not Mark.OK)


def test_what_a_dead_daemon_complained_of_is_over() -> None:
    dead = InstanceState((ON,), NOON - timedelta(hours=1), ("no space",))
    assert only(judge_instance(dead, NOON)).mark is Mark.NOTE


def test_a_schedule_that_is_on_in_two_places_asks_twice() -> None:
    twice = replace(ALIVE, schedules=(ON, replace(ON, location="theirs"), Schedule("x", "y", True)))  # noqa: FBT003 - on
    _, found = judge_instance(twice, NOON)
    assert found.mark is Mark.NOTE
    assert found.says == "bars_refresh is on in several code locations: ours, theirs"
    off = replace(ALIVE, schedules=(ON, Schedule("bars_refresh", "theirs", on=False)))
    assert len(judge_instance(off, NOON)) == 1


WORKSPACE = "load_from:\n  - python_module:\n      module_name: mine\n"
TWO = WORKSPACE + "  - grpc_server:\n      port: 4266\n"
OURS = 'module_name = "marketdata_pipeline.definitions"\n'


@pytest.mark.parametrize(
    ("pyproject", "workspace", "mark", "says"),
    [
        ("[tool.dagster]\n" + OURS, WORKSPACE, Mark.OK, "marketdata_pipeline.definitions, by"),
        ("[tool.dagster]\n" + OURS, TWO, Mark.NOTE, "and none of the 2 of workspace.yaml"),
        ('[tool.dagster]\nmodule_name = "x"\n', WORKSPACE, Mark.NOTE, "load x by pyproject.toml"),
        (
            '[tool.dagster]\nmodules = [{type = "module", name = "a"}, {name = "b"}]\n',
            WORKSPACE,
            Mark.NOTE,
            "load a, b by",
        ),
        ('[tool.dg.project]\nroot_module = "x"\n', WORKSPACE, Mark.NOTE, "load x.definitions by"),
        ("[tool.dg]\n", WORKSPACE, Mark.NOTE, "load nothing by"),
        ("[tool]\ndg = 3\ndagster = 4\n", WORKSPACE, Mark.NOTE, "load nothing by"),
    ],
)
def test_a_table_of_pyproject_beats_the_workspace(
    pyproject: str, workspace: str, mark: Mark, says: str
) -> None:
    found = judge_code_locations(pyproject, workspace)
    assert found is not None
    assert (found.topic, found.mark) == ("code locations", mark)
    assert says in found.says


@pytest.mark.parametrize(
    ("pyproject", "workspace"),
    [(None, None), (None, TWO), ("[tool.ruff]\n", TWO), ("[tool.dagster]\n", None), ("[[", TWO)],
)
def test_one_of_the_two_alone_is_not_worth_a_line(
    pyproject: str | None, workspace: str | None
) -> None:
    assert judge_code_locations(pyproject, workspace) is None


def test_this_projects_own_two_files_agree() -> None:
    pyproject, workspace = (ROOT / one for one in ("pyproject.toml", "workspace.yaml"))
    found = judge_code_locations(pyproject.read_text(), workspace.read_text())
    assert found == Finding(
        "code locations", Mark.OK, "marketdata_pipeline.definitions, by pyproject.toml"
    )
