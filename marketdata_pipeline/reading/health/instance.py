"""Whether Dagster's home, its settings, its daemon and what it loads are as this home needs them.

Not here: asking Dagster (orchestrator).
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import unified_diff
from pathlib import Path
from typing import Any

from marketdata_pipeline.reading.health.finding import Finding, note, well, wrong

_HOME, _SETTINGS, _DAEMON, _LOADED = "DAGSTER_HOME", "dagster.yaml", "daemon", "code locations"
_RECENT = timedelta(minutes=5)
"""A daemon that runs tells of it every 30 s."""
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_MODULE = "marketdata_pipeline.definitions"
_LOCATION = re.compile(
    r"^\s*-\s+(python_file|python_module|python_package|grpc_server)\b", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule that an instance knows: one of a code location."""

    name: str
    location: str
    on: bool


@dataclass(frozen=True, slots=True)
class InstanceState:
    """Dagster's instance in a home.

    Attributes:
        schedules: those that its daemon has ever seen.
        beat: when the part of the daemon that runs schedules last told that it lives; None: never.
        errors: what any part of the daemon last complained of, a line each.
    """

    schedules: tuple[Schedule, ...] = ()
    beat: datetime | None = None
    errors: tuple[str, ...] = ()


def judge_dagster_home(given: str, own: Path, *, there: bool) -> Finding:
    """What DAGSTER_HOME is, for Dagster's own commands; ours set it themselves.

    Args:
        given: its value; empty: not set.
        own: the home's own.
        there: whether ``given`` is a folder.
    """
    advice = f"export DAGSTER_HOME={own}"
    if not given:
        told = "not set: Dagster's own commands use an empty temporary instance and do not say so"
        return note(_HOME, told, advice)
    if not Path(given).is_absolute():
        return wrong(
            _HOME, f"{given} is no absolute path: Dagster's own commands refuse it", advice
        )
    if not there:
        return wrong(_HOME, f"{given} is no folder: Dagster's own commands refuse it", advice)
    if Path(given).resolve() != own.resolve():
        told = f"{given} is not this home's: what Dagster's own commands run shows elsewhere"
        return note(_HOME, told, advice)
    return well(_HOME, given)


def judge_dagster_yaml(packaged: str, found: str | None) -> Finding:
    """Whether the instance's settings are those that come with this package."""
    if found is None:
        told = "there is none: Dagster then reports usage to its makers and limits no runs"
        return wrong(_SETTINGS, told, "marketdata init puts it back")
    lines = [
        one[:1]
        for one in unified_diff(packaged.splitlines(), found.splitlines(), n=0, lineterm="")
        if not one.startswith(("---", "+++", "@@"))
    ]
    if not lines:
        return well(_SETTINGS, "as it comes with this version")
    told = f"differs from this version's (+{lines.count('+')} -{lines.count('-')} lines)"
    return note(_SETTINGS, told, "well if you edited it; else move it away, then marketdata init")


def judge_instance(state: InstanceState, now: datetime) -> list[Finding]:
    """Whether schedules are on and somebody runs them; ``now`` is the wall instant."""
    running = [one for one in state.schedules if one.on]
    names = {one.name for one in running}
    findings = [_daemon(state, sorted(names), now)]
    twice = sorted(name for name in names if [one.name for one in running].count(name) > 1)
    if twice:
        places = sorted({one.location for one in running if one.name in twice})
        told = f"{', '.join(twice)} is on in several code locations: {', '.join(places)}"
        findings.append(note(_LOADED, told, "switch it off in all but one, on Dagster's page"))
    return findings


def _daemon(state: InstanceState, names: Sequence[str], now: datetime) -> Finding:
    start = "marketdata ui, or dagster-daemon run"
    if state.beat is None:
        return note(_DAEMON, "never ran here: nothing is refreshed by itself", start)
    age = now - state.beat
    if age > _RECENT:
        told = f"does not run, last seen {_lasting(age)} ago: nothing is refreshed by itself"
        return note(_DAEMON, told, start)
    if state.errors:
        return wrong(_DAEMON, f"runs, but says: {state.errors[0]}", "see Deployment, Daemons")
    if not names:
        told = "runs, but no schedule is on: nothing is refreshed by itself"
        return note(_DAEMON, told, "switch bars_refresh on, on Dagster's page")
    return well(_DAEMON, f"runs; schedules that are on: {', '.join(names)}")


def judge_code_locations(pyproject: str | None, workspace: str | None) -> Finding | None:
    """What Dagster's own commands load in a working directory; None where neither file says.

    Args:
        pyproject: the content of pyproject.toml; None: there is none.
        workspace: the content of workspace.yaml; None: there is none.

    A table [tool.dagster] or [tool.dg] in the former beats the latter, and Dagster does not say so
    (dagster 1.13, _cli/workspace/cli_target.py).
    """
    modules = _modules(pyproject or "")
    if modules is None or workspace is None:
        return None
    lost = len(_LOCATION.findall(workspace))
    if modules == [_MODULE] and lost <= 1:
        return well(_LOADED, f"{_MODULE}, by pyproject.toml")
    told = (
        f"Dagster's own commands here load {', '.join(modules) or 'nothing'} by pyproject.toml, "
        f"and none of the {lost} of workspace.yaml"
    )
    return note(_LOADED, told, "keep one of the two, or add -w workspace.yaml")


def _modules(pyproject: str) -> list[str] | None:
    """The modules that a pyproject.toml has Dagster load; None: it has no word for Dagster."""
    try:
        tools = _table(tomllib.loads(pyproject), "tool")
    except tomllib.TOMLDecodeError:
        return None
    if not {"dagster", "dg"} & set(tools):
        return None
    ours = _table(tools, "dagster")
    if "module_name" in ours:
        return [str(ours["module_name"])]
    if "modules" in ours:
        return [str(one["name"]) for one in ours["modules"] if "name" in one]
    project = _table(_table(tools, "dg"), "project")
    root = f"{project['root_module']}.definitions" if "root_module" in project else None
    target = project.get("code_location_target_module", root)
    return [str(target)] if target else []


def _table(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A table in a table; an empty one where there is none."""
    found = table.get(name)
    return found if isinstance(found, dict) else {}


def _lasting(time: timedelta) -> str:
    unit, name = (_DAY, "d") if time >= 2 * _DAY else (_HOUR, "h")
    if time < 2 * _HOUR:
        unit, name = timedelta(minutes=1), "min"
    return f"{time // unit} {name}"
