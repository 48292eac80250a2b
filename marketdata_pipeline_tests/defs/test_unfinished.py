"""Runs that end before all their series are done, by each door."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pytest

from marketdata_pipeline.defs.assets.ohlcv import OHLCV
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import Blocked
from marketdata_pipeline.ingest.progress import Leftover, Progress
from marketdata_pipeline_tests.defs.stage import (
    YEAR,
    Choosy,
    Stage,
    checks,
    failure,
    metadata,
)
from marketdata_pipeline_tests.ingest.world import USUAL, walk

pytestmark = pytest.mark.proof

MANY = [f"S{number}" for number in range(40)]
LIST = [f"{one}|1d" for one in MANY]


@dataclass
class Tiring(Choosy):
    """Each request takes so long on the frozen clock.

    ``blocking``: instruments for which it turns the address away, which is not tried again.
    """

    takes: timedelta = field(default=timedelta(0))
    blocking: set[str] = field(default_factory=set)

    def fetch(self, series: Series, window: TimeRange, errand: Errand = USUAL) -> Reply:
        self.clock.sleep(self.takes.total_seconds())
        if series.instrument.key in self.blocking:
            raise Blocked("truth wants nobody", provider="truth", series=str(series))
        return super().fetch(series, window, errand)


@pytest.fixture
def tiring(stage: Stage) -> Tiring:
    """The stage's provider: forty instruments, of which nothing fails and all takes no time."""
    bars = walk(Series.parse("AAPL|1d"), YEAR)
    truth = {Series.parse(one): bars for one in LIST}
    provider = Tiring(truth, stage.world.clock, first_trade=date(2023, 3, 15))
    stage.world.provider = provider
    stage.register(*MANY)
    return provider


def observed(result: dg.ExecuteInProcessResult) -> list[dict[str, object]]:
    """What the run says of what it left."""
    return [
        {name: value.value for name, value in event.asset_observation_data.asset_observation
         .metadata.items()}
        for event in result.all_node_events
        if event.event_type is dg.DagsterEventType.ASSET_OBSERVATION
    ]  # fmt: skip


def partitions(said: dg.Failure) -> list[Any]:
    """The series that the run failed for."""
    value = said.metadata["failed_partitions"].value
    assert isinstance(value, list)
    return value


def leftover(err: str) -> list[Leftover]:
    return [one for one in map(Leftover.parse, err.splitlines()) if one is not None]


def test_a_list_that_takes_too_long_is_left_and_the_run_succeeds(
    stage: Stage, tiring: Tiring, capfd: pytest.CaptureFixture[str]
) -> None:
    tiring.takes = timedelta(seconds=30)
    result = stage.by_config(*LIST)
    assert result.success
    done = set(metadata(result))
    assert 10 <= len(done) <= 12, "300 s, and those under way"
    (told,) = observed(result)
    assert told["not_done"] == 40 - len(done)
    assert told["series"] == [one for one in LIST if one not in done]
    assert told["why"] == "not begun within 300 s of its run; the next one goes on"
    err = capfd.readouterr().err
    (line,) = leftover(err)
    assert (line.total, set(line.series)) == (40, set(LIST) - done)
    *_, last = (one for one in map(Progress.parse, err.splitlines()) if one is not None)
    assert (last.done, last.total, last.failed) == (len(done), 40, 0)
    assert " - WARNING - " in err
    scope = checks(result)["freshness"].metadata["scope"].value
    assert scope == f"over all {len(done)} series; this run: {len(done)} of {len(done)} ok"


def test_without_a_time_a_list_is_done_however_long_it_takes(stage: Stage, tiring: Tiring) -> None:
    stage.run_time = None
    tiring.takes = timedelta(seconds=30)
    result = stage.by_config(*LIST)
    assert (len(metadata(result)), observed(result)) == (40, [])


def test_a_keyed_run_has_no_time(stage: Stage, tiring: Tiring) -> None:
    tiring.takes = timedelta(minutes=9)
    assert len(metadata(stage.by_range("S0|1d", "S19|1d"))) == 20


def test_a_keyed_run_whose_provider_fails_stops_and_fails_what_is_left_with_the_reason(
    stage: Stage, tiring: Tiring
) -> None:
    tiring.down = set(MANY)
    said = failure(stage.by_range("S0|1d", "S39|1d"))
    assert said.description is not None
    assert said.description.startswith("40 of 40 series failed, first: S")
    assert said.description.endswith(" truth | is down")
    assert set(partitions(said)) == set(LIST)
    table = str(said.metadata["failed"].value)
    assert table.count(" is down |") == 40
    assert 28 <= table.count("not begun, since 10 of 10 failed: S") <= 30


def test_a_list_whose_provider_fails_stops_and_fails_by_what_was_done(
    stage: Stage, tiring: Tiring
) -> None:
    stage.run_time = None  # a request that fails is made again, over almost a minute
    tiring.down = set(MANY)
    result = stage.by_config(*LIST)
    said = failure(result)
    (told,) = observed(result)
    assert isinstance(told["not_done"], int)
    failed = 40 - told["not_done"]
    assert 10 <= failed <= 12
    assert said.description is not None
    assert said.description.startswith(f"{failed} of {failed} series failed, first: S")
    assert len(partitions(said)) == failed


def test_what_is_not_done_is_no_failure_of_a_list(stage: Stage, tiring: Tiring) -> None:
    """Two of at most six failed, which is above the share, and of forty it would not be."""
    tiring.takes = timedelta(seconds=80)  # four end by 320 s, and two were begun besides
    tiring.blocking = {"S0", "S1"}
    result = stage.by_config(*LIST)
    said = failure(result)
    assert said.description is not None
    assert said.description.split(" series failed")[0] in {f"2 of {n}" for n in range(3, 7)}


def test_the_asset_is_told_of_what_is_left_and_not_materialized_by_it(
    stage: Stage, tiring: Tiring
) -> None:
    tiring.takes = timedelta(seconds=301)
    stage.by_config(*LIST)
    records = stage.instance.fetch_observations(OHLCV, limit=9).records
    assert len(records) == 1
    assert len(stage.materialized()) <= 3
