"""The resource: settings and a home become a pipeline, or one sentence."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from marketdata_pipeline.assembly import assemble, limits_of
from marketdata_pipeline.config import load_settings
from marketdata_pipeline.database.home import History, Home, Replay, make_home
from marketdata_pipeline.defs.assets.ohlcv import ohlcv
from marketdata_pipeline.defs.resources import PipelineResource, failing_clearly
from marketdata_pipeline.defs.schedules import bars_update
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.gate import Gate, RateLimit
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import HomeError, MarketDataError, Unavailable
from marketdata_pipeline.governor.limits import LIMITS
from marketdata_pipeline.providers.base import Provider, Reach
from marketdata_pipeline.providers.yahoo import Yahoo
from marketdata_pipeline.simulator.recorded import recorded_history
from marketdata_pipeline.simulator.server import Simulator
from marketdata_pipeline_tests.defs.stage import failure
from marketdata_pipeline_tests.ingest.world import TruthProvider
from marketdata_pipeline_tests.ports import free_port, stranger

AAPL = Series.parse("AAPL|1d")
START = datetime(2013, 2, 15, 21, tzinfo=UTC)


@pytest.fixture
def replay(tmp_path: Path) -> Iterator[Home]:
    with make_home(tmp_path / "replay", replay=Replay(History.RECORDED, START)) as home:
        yield home


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Home]:
    with make_home(tmp_path / "live") as home:
        yield home


def _run(config: dict[str, object]) -> dg.ExecuteInProcessResult:
    definitions = dg.Definitions(
        assets=[ohlcv],
        jobs=[bars_update],
        resources={"pipeline": PipelineResource()},
        executor=dg.in_process_executor,
    )
    with dg.DagsterInstance.ephemeral() as instance:
        return definitions.resolve_job_def("bars_update").execute_in_process(
            run_config={"ops": {"ohlcv": {"config": config}}},
            instance=instance,
            raise_on_error=False,
        )


def test_no_home_fails_a_run_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETDATA_HOME", str(tmp_path / "none"))
    said = failure(_run({"series": ["AAPL|1d"]})).description
    assert said == f"no home at {tmp_path / 'none'}; run marketdata init or make run"
    assert not (tmp_path / "none").exists()


def test_wrong_settings_fail_a_run_with_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETDATA_LOG_LEVEL", "loud")
    said = failure(_run({"series": ["AAPL|1d"]})).description
    assert said == ("MARKETDATA_LOG_LEVEL is 'loud', it must be one of debug, info, warning, error")


def test_only_errors_of_ours_become_a_failure() -> None:
    with pytest.raises(dg.Failure, match=r"^gone$") as found, failing_clearly():
        raise Unavailable("gone")
    assert isinstance(found.value.__cause__, MarketDataError)
    with pytest.raises(ZeroDivisionError), failing_clearly():
        raise ZeroDivisionError


def test_settings_reach_what_they_are_for(replay: Home) -> None:
    settings = load_settings(
        home=replay.folder,
        picture_limit=3,
        failure_share=0.5,
        instruments_at_once=2,
        refresh_delay=timedelta(minutes=7),
        completeness_minimum=0.5,
        sessions_late=4,
        retry_waits="0,2.5",
    )
    made = assemble(settings, replay)
    assert (made.picture_limit, made.failure_share) == (3, 0.5)
    assert (made.updater.at_once, made.refresh_delay) == (2, timedelta(minutes=7))
    thresholds = made.updater.judge.thresholds
    assert (thresholds.completeness, thresholds.sessions_late) == (0.5, 4)
    assert made.updater.retry_waits == (0, 2.5)
    assert made.clock is replay.clock


def test_the_settings_of_the_network_reach_the_provider(
    replay: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[Reach] = []

    def connected(_gate: Gate, _clock: Clock, reach: Reach) -> Provider:
        reached.append(reach)
        return TruthProvider({}, replay.clock)

    monkeypatch.setattr(Yahoo, "connected", connected)
    assemble(
        load_settings(home=replay.folder, connect_timeout=1, read_timeout=2, connections=3), replay
    )
    (reach,) = reached
    assert (reach.connect, reach.read, reach.connections) == (1, 2, 3)


def test_the_rate_of_the_settings_bounds_the_requests(replay: Home) -> None:
    with Simulator(recorded_history(), replay.clock).in_thread() as simulator:
        settings = load_settings(
            home=replay.folder,
            simulator_port=simulator.port,
            yahoo_requests_per_hour=1,
            yahoo_burst=1,
            turn_wait=timedelta(0),
        )
        series = [Series.parse(one) for one in ("AAPL|1d", "IBM|1d")]
        done = list(assemble(settings, replay).updater.update_many(series))
        assert len(simulator.charts()) == 1
    failed = [str(one.error) for one in done if one.error]
    assert len(failed) == 1
    assert failed[0].startswith("yahoo has no turn for the next 36")


def test_a_limit_a_minute_holds_beside_that_of_an_hour(replay: Home) -> None:
    hourly = load_settings(home=replay.folder)
    assert len(limits_of("yahoo", hourly, replay=False).rates) == 1
    for most, burst in ((60, 6), (5, 1)):
        settings = load_settings(home=replay.folder, requests_per_minute=most)
        found = limits_of("yahoo", settings, replay=False)
        assert found.rates == (
            RateLimit(2000, timedelta(hours=1), 200),
            RateLimit(most, timedelta(minutes=1), burst),
        )
        assert limits_of("tiingo", settings, replay=False).rates == LIMITS["tiingo"].limits.rates


def test_how_long_requests_waited_for_their_turns_is_counted(replay: Home) -> None:
    with Simulator(recorded_history(), replay.clock).in_thread() as simulator:
        settings = load_settings(
            home=replay.folder,
            simulator_port=simulator.port,
            yahoo_requests_per_hour=7200,
            yahoo_burst=1,
        )
        made = assemble(settings, replay)
        series = [Series.parse(one) for one in ("AAPL|1d", "IBM|1d", "MSFT|1d")]
        assert not [one.error for one in made.updater.update_many(series) if one.error]
    assert made.waits.count >= 1
    assert 0 < made.waits.seconds < 2


def test_a_replay_home_reads_the_simulator_and_says_so(replay: Home) -> None:
    with Simulator(recorded_history(), replay.clock).in_thread() as simulator:
        settings = load_settings(home=replay.folder, simulator_port=simulator.port)
        outcome = assemble(settings, replay).updater.update(AAPL)
    assert outcome.error is None
    assert (outcome.rows, outcome.origin) == (3261, "simulator:recorded")
    assert {one.host for one in simulator.charts()} == {"query2.finance.yahoo.com"}


def test_a_replay_home_takes_no_bars_of_anything_but_the_simulator(replay: Home) -> None:
    with stranger() as (port, seen):
        settings = load_settings(home=replay.folder, simulator_port=port)
        made = assemble(settings, replay)
        outcome = made.updater.update(AAPL)
    assert seen, "it was asked"
    assert isinstance(outcome.error, HomeError)
    assert "is not a simulator of this project" in str(outcome.error)
    assert made.store.read(AAPL).empty


def test_a_replay_home_without_its_simulator_says_how_to_start_it(replay: Home) -> None:
    port = free_port()
    settings = load_settings(home=replay.folder, simulator_port=port, retry_waits="0")
    outcome = assemble(settings, replay).updater.update(AAPL)
    assert str(outcome.error) == (
        f"the simulator at http://127.0.0.1:{port} does not answer; "
        "start it with: marketdata simulate"
    )


def test_a_live_home_refuses_bars_of_a_simulator(
    live: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The simulator in Yahoo's place, as a hosts file or a proxy could put it there."""
    from marketdata_pipeline.providers.yahoo.endpoint import Endpoint

    with Simulator(recorded_history(), live.clock).in_thread() as simulator:
        place = f"http://127.0.0.1:{simulator.port}"
        monkeypatch.setattr(Endpoint, "locate", lambda _self, url: place + url.partition(".com")[2])
        made = assemble(load_settings(home=live.folder), live)
        outcome = made.updater.update(AAPL, TimeRange(START - timedelta(days=9), START))
        assert simulator.charts(), "it was asked"
    assert isinstance(outcome.error, HomeError)
    assert str(outcome.error).startswith("a simulator answered instead of Yahoo")
    assert made.store.read(AAPL).empty


def test_a_home_of_one_world_never_builds_the_endpoint_of_the_other(
    live: Home, replay: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from marketdata_pipeline.providers.yahoo.endpoint import Endpoint

    def refuse(*_: object) -> Endpoint:
        raise AssertionError("the other world")

    settings = load_settings(home=replay.folder)
    with monkeypatch.context() as patched:
        patched.setattr(Endpoint, "live", refuse)
        assemble(settings, replay)
    with monkeypatch.context() as patched:
        patched.setattr(Endpoint, "simulator", refuse)
        assemble(settings, live)
