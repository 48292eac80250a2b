"""The asset of providers' health, its schedule, and the gates that assets of one's own take."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from marketdata_pipeline.config import load_settings
from marketdata_pipeline.database.home import Home, make_home
from marketdata_pipeline.defs.assets.provider_health import (
    PROVIDER_HEALTH,
    look_metadata,
    provider_health,
)
from marketdata_pipeline.defs.pruning import prune
from marketdata_pipeline.defs.resources import Gates, GovernorResource
from marketdata_pipeline.defs.schedules import health_refresh, health_update
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.gate import Attempt, Circuit, Ending, Limits, RateLimit, Turns
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput, HomeError
from marketdata_pipeline.governor.health import Condition, Volume, health_of, never_asked
from marketdata_pipeline.governor.logged import Count, Logged, Request
from marketdata_pipeline.reading.providers import Standing, Standings
from marketdata_pipeline_tests.conftest import ROOT
from marketdata_pipeline_tests.defs.stage import failure

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
NOW = datetime(2024, 3, 15, 21, tzinfo=UTC)
AAPL = Series.parse("AAPL|1d")
OWN = Limits((RateLimit(10, MINUTE, 2),))


@pytest.fixture
def home(tmp_path: Path, database_url: str) -> Iterator[Home]:
    with make_home(tmp_path / "home", database_url=database_url) as made:
        yield made


@pytest.fixture
def gates(home: Home) -> Gates:
    """Yahoo gives one turn a minute after 140 at once, so none comes back within a test."""
    rate = {"yahoo_requests_per_hour": 200, "yahoo_burst": 140, "yahoo_spacing": timedelta(0)}
    return Gates(load_settings(home=home.folder, **rate), home)


class Opened:
    """Stands where the resource does that reads the settings."""

    def __init__(self, gates: Gates) -> None:
        self._gates = gates

    @contextmanager
    def opened(self) -> Iterator[Gates]:
        yield self._gates


class NoHome:
    @contextmanager
    def opened(self) -> Iterator[Gates]:
        raise HomeError("no home here")
        yield


def ask(gates: Gates, *endings: Ending) -> None:
    gate = gates.gate("yahoo")
    for ending in endings:
        gate.report(gate.turn(Errand(), AAPL), Attempt(ending, 200, SECOND / 4))


def look(governor: object, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    definitions = dg.Definitions(
        assets=[provider_health],
        jobs=[health_update],
        resources={"governor": governor},
        executor=dg.in_process_executor,
    )
    job = definitions.resolve_job_def("health_update")
    return job.execute_in_process(instance=instance, raise_on_error=False)


def said(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (one,) = result.asset_materializations_for_node("provider_health")
    assert one.partition is None
    return {name: value.value for name, value in one.metadata.items()}


def test_one_look_is_one_materialization_with_numbers(
    gates: Gates, instance: dg.DagsterInstance
) -> None:
    ask(gates, Ending.ANSWERED, Ending.ANSWERED, Ending.ANSWERED, Ending.TIMEOUT)
    told = said(look(Opened(gates), instance))
    assert told.pop("yahoo/rate_per_minute") == pytest.approx(1.0, abs=0.1)
    assert told.pop("providers").splitlines()[2:] == ["| yahoo | healthy | it answers |  |"]
    assert told == {
        "yahoo/state": "healthy",
        "yahoo/p50_ms": 250.0,
        "yahoo/p95_ms": 250.0,
        "yahoo/success_share": 0.75,
        "yahoo/requests_hour": 4,
        "yahoo/free_turns": 136,
        "yahoo/eased": 1.0,
        "yahoo/cooldown_seconds": 0.0,
    }


def test_a_look_takes_no_turn_and_leaves_no_request(
    gates: Gates, instance: dg.DagsterInstance
) -> None:
    gate = gates.gate("own", OWN)
    gate.turn(Errand())
    before = gates.turns()["own"].free
    assert look(Opened(gates), instance).success
    assert gates.turns()["own"].free == before
    assert gates.asked_at() is None


def test_what_dagster_plots_are_numbers(gates: Gates, instance: dg.DagsterInstance) -> None:
    ask(gates, Ending.ANSWERED)
    (one,) = look(Opened(gates), instance).asset_materializations_for_node("provider_health")
    plotted = {
        name
        for name, value in one.metadata.items()
        if isinstance(value, dg.FloatMetadataValue | dg.IntMetadataValue)
    }
    assert plotted == set(one.metadata) - {"providers", "yahoo/state"}


def _standing(turns: Turns) -> Standing:
    newest = (Request("", None, "held", 1, None, Ending.TIMEOUT, 0, NOW, SECOND),)
    log = Logged(newest, (Count(Ending.TIMEOUT, 1, 1, NOW),))
    return Standing(health_of(turns, log, NOW), turns)


def test_what_is_not_known_is_left_out() -> None:
    turns = Turns("fmp/own", 60, 2, MINUTE, 0, NOW, NOW + 90 * SECOND, budget_left=7, eased=1 / 3)
    shut = replace(turns, circuit=Circuit.OPEN, open_until=NOW + MINUTE)
    found = look_metadata(Standings(NOW, (Standing(never_asked("binance")), _standing(shut))))
    table = str(found.pop("providers").value).splitlines()
    assert {name: value.value for name, value in found.items()} == {
        "binance/state": "unknown",
        "binance/requests_hour": 0,
        "fmp/own/state": "down",
        "fmp/own/success_share": 0.0,
        "fmp/own/requests_hour": 1,
        "fmp/own/rate_per_minute": 1.0,
        "fmp/own/eased": 0.3333,
        "fmp/own/free_turns": 0,
        "fmp/own/cooldown_seconds": 90.0,
        "fmp/own/credits_left": 7,
    }
    assert table[0] == "| provider | state | why | what to do |"
    assert table[3].startswith("| fmp/own | down | it failed too often (timeout); no turn until ")
    assert table[3].endswith(f"| {Condition.DOWN.advice} |")


def test_percentiles_are_told_in_milliseconds() -> None:
    turns = Turns("yahoo", 60, 2, MINUTE, 0, NOW, None)
    newest = tuple(
        Request("", None, "held", 1, None, Ending.ANSWERED, 200, NOW, number * SECOND)
        for number in range(101)
    )
    one = Standing(health_of(turns, Logged(newest), NOW), turns)
    found = look_metadata(Standings(NOW, (one,)))
    assert [found[f"yahoo/{name}_ms"].value for name in ("p50", "p95")] == [50_000.0, 95_000.0]


def test_no_home_fails_a_look_with_one_sentence(instance: dg.DagsterInstance) -> None:
    assert failure(look(NoHome(), instance)).description == "no home here"


def test_the_resource_opens_the_home_of_the_settings(
    home: Home, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETDATA_HOME", str(home.folder))
    monkeypatch.setenv("MARKETDATA_DATABASE_URL", database_url)
    monkeypatch.setenv("MARKETDATA_YAHOO_BURST", "5")
    with GovernorResource().opened() as gates:
        assert (gates.turns(), gates.health()["yahoo"].why) == ({}, "it was never asked")
        ask(gates, Ending.ANSWERED)
        assert gates.turns()["yahoo"].burst == 5
        assert gates.health()["yahoo"].condition is Condition.HEALTHY


def test_the_gate_of_an_asset_of_ones_own_is_the_one_that_all_share(gates: Gates) -> None:
    gates.gate("yahoo").turn(Errand())
    gates.gate("yahoo", max_wait=MINUTE).turn(Errand())
    assert gates.turns()["yahoo"].free == 138


def test_a_provider_of_ones_own_needs_limits(gates: Gates) -> None:
    with pytest.raises(BadInput, match=r"^the limits of own are not known, only those of .*yahoo"):
        gates.gate("own")
    gates.gate("own", OWN).turn(Errand())
    assert gates.turns()["own"].burst == 2


def test_the_asset_of_the_documentation_works(
    home: Home, gates: Gates, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETDATA_HOME", str(home.folder))
    monkeypatch.setenv("MARKETDATA_DATABASE_URL", database_url)
    monkeypatch.setenv("MARKETDATA_YAHOO_REQUESTS_PER_HOUR", "200")
    monkeypatch.setenv("MARKETDATA_YAHOO_BURST", "140")
    page = (ROOT / "docs" / "providers.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102 - our own page
    job = names["defs"].resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(instance=instance).success
    assert gates.health()["yahoo"].day == Volume(1, 1)
    assert gates.turns()["yahoo"].free == 139


def _ticked(gates: object, instance: dg.DagsterInstance) -> dg.RunRequest | dg.SkipReason:
    context = dg.build_schedule_context(instance=instance, resources={"governor": gates})
    with context:
        found = health_refresh(context)
        assert isinstance(found, Iterator)
        (one,) = found
    return one


def test_a_look_is_due_once_a_provider_was_asked(
    gates: Gates, scheduling_instance: dg.DagsterInstance
) -> None:
    assert _ticked(Opened(gates), scheduling_instance) == dg.SkipReason("no provider was asked yet")
    ask(gates, Ending.ANSWERED)
    assert isinstance(_ticked(Opened(gates), scheduling_instance), dg.RunRequest)
    assert look(Opened(gates), scheduling_instance).success
    skipped = dg.SkipReason("no provider was asked since the last look")
    assert _ticked(Opened(gates), scheduling_instance) == skipped
    ask(gates, Ending.TIMEOUT)
    assert isinstance(_ticked(Opened(gates), scheduling_instance), dg.RunRequest)


@pytest.mark.parametrize(("job", "skipped"), [("health_update", True), ("bars_update", False)])
def test_one_look_at_a_time(
    gates: Gates, scheduling_instance: dg.DagsterInstance, job: str, *, skipped: bool
) -> None:
    from marketdata_pipeline.definitions import defs

    ask(gates, Ending.ANSWERED)
    under_way = defs.resolve_job_def(job)
    scheduling_instance.create_run_for_job(under_way, status=dg.DagsterRunStatus.STARTED)
    found = _ticked(Opened(gates), scheduling_instance)
    assert (found == dg.SkipReason("the last look is still under way")) == skipped


def test_a_schedule_without_a_home_says_so(scheduling_instance: dg.DagsterInstance) -> None:
    with pytest.raises(dg.Failure, match="no home here"):
        _ticked(NoHome(), scheduling_instance)


def test_of_old_looks_only_the_newest_stays(
    gates: Gates, sqlite_instance: dg.DagsterInstance
) -> None:
    runs = [look(Opened(gates), sqlite_instance).run_id for _ in range(3)]
    later = datetime.now(UTC) + MINUTE
    prune(sqlite_instance, later, gates.home.clock, lambda _line: None)
    assert set(sqlite_instance.get_run_ids()) == {runs[-1]}
    newest = sqlite_instance.get_latest_materialization_event(PROVIDER_HEALTH)
    assert newest is not None
    assert newest.run_id == runs[-1]


def test_it_looks_every_quarter_of_an_hour_by_itself() -> None:
    assert health_refresh.cron_schedule == "*/15 * * * *"
    assert health_refresh.default_status is dg.DefaultScheduleStatus.RUNNING


def test_it_is_apart_from_the_bars() -> None:
    from marketdata_pipeline.definitions import defs

    graph = defs.resolve_asset_graph()
    node = graph.get(PROVIDER_HEALTH)
    assert (node.group_name, node.partitions_def) == ("providers", None)
    assert not node.parent_keys
    selected = {
        name: {
            one.to_user_string()
            for one in defs.resolve_job_def(name).asset_layer.executable_asset_keys
        }
        for name in ("bars_update", "health_update")
    }
    assert selected == {"bars_update": {"ohlcv"}, "health_update": {"provider_health"}}
