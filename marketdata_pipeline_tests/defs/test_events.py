"""Materialization events: the same by either way, in batches where the event log takes them."""

import os
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value
from sqlalchemy import create_engine, text

from marketdata_pipeline.defs import events
from marketdata_pipeline.defs.assets.ohlcv import OHLCV
from marketdata_pipeline.defs.events import SIZE, Report, materializations
from marketdata_pipeline.defs.partitions import GRID
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline_tests.defs.stage import Choosy, Stage, failure

THING = dg.AssetKey("thing")
PARTS = dg.StaticPartitionsDefinition([str(number) for number in range(400)])
ERRORS = (ValueError("no"), KeyboardInterrupt(), dg.Failure("no"))
Body = Callable[[Report], Iterator[dg.AssetMaterialization]]


@pytest.fixture(params=["sqlite", "postgres"])
def instance(request: pytest.FixtureRequest) -> dg.DagsterInstance:
    made: dg.DagsterInstance = request.getfixturevalue(f"{request.param}_instance")
    return made


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SIZE, raising=False)


def _run(instance: dg.DagsterInstance, body: Body) -> dg.ExecuteInProcessResult:
    """A run of an asset that does nothing but report."""

    @dg.multi_asset(specs=[dg.AssetSpec(THING, partitions_def=PARTS)], can_subset=True)
    def thing(context: dg.AssetExecutionContext) -> Iterator[dg.AssetMaterialization]:
        with materializations(context) as report:
            yield from body(report)

    return dg.materialize([thing], instance=instance, raise_on_error=False)


def _thing(number: int) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(THING, partition=str(number), metadata={"number": number})


def _all(count: int) -> Body:
    def body(report: Report) -> Iterator[dg.AssetMaterialization]:
        for number in range(count):
            yield from report(_thing(number))

    return body


def _stored(instance: dg.DagsterInstance, key: dg.AssetKey = THING) -> dict[str, dict[str, Any]]:
    """The metadata of each materialization in the event log, by partition."""
    found: dict[str, dict[str, Any]] = {}
    for one in reversed(instance.fetch_materializations(key, limit=1000).records):
        made = one.asset_materialization
        assert made is not None
        assert made.partition is not None
        assert made.partition not in found, "once"
        found[made.partition] = {name: value.value for name, value in made.metadata.items()}
    return found


def _statements(url: str) -> int:
    """How many statements wrote the materializations that are stored."""
    engine = create_engine(url)
    counted = text(
        "SELECT count(DISTINCT xmin::text) FROM event_logs "
        "WHERE dagster_event_type = 'ASSET_MATERIALIZATION'"
    )
    with engine.connect() as connection:
        found: int = connection.execute(counted).scalar_one()
    engine.dispose()
    return found


def _seen(instance: dg.DagsterInstance, count: int) -> bool:
    """Whether so many are in the event log within ten seconds."""
    until = monotonic() + 10
    while monotonic() < until:
        if len(_stored(instance)) >= count:
            return True
        SystemClock().sleep(0.02)
    return False


def test_what_is_reported_is_stored_in_order_with_its_metadata(
    instance: dg.DagsterInstance,
) -> None:
    assert _run(instance, _all(105)).success
    stored = _stored(instance)
    assert stored == {str(number): {"number": number} for number in range(105)}
    assert list(stored) == [str(number) for number in range(105)]
    assert SIZE not in os.environ


def test_a_postgres_log_gets_a_statement_for_every_hundred(
    postgres_instance: dg.DagsterInstance, postgres_url: str
) -> None:
    assert _run(postgres_instance, _all(250)).success
    assert _statements(postgres_url) == 3


def test_a_run_that_reports_nothing_stores_nothing(instance: dg.DagsterInstance) -> None:
    assert _run(instance, _all(0)).success
    assert _stored(instance) == {}


@pytest.mark.parametrize(
    ("instance", "error"),
    [
        *(("postgres", error) for error in ERRORS),
        ("sqlite", ERRORS[0]),
        *(pytest.param("sqlite", error, marks=pytest.mark.proof) for error in ERRORS[1:]),
    ],
    indirect=["instance"],
)
def test_what_was_reported_before_the_body_fails_is_stored(
    instance: dg.DagsterInstance, error: BaseException
) -> None:
    def body(report: Report) -> Iterator[dg.AssetMaterialization]:
        yield from _all(105)(report)
        raise error

    assert not _run(instance, body).success
    assert len(_stored(instance)) == 105
    assert not instance._event_buffer  # noqa: SLF001 - Dagster's own, which nobody empties later


def test_a_finished_series_is_seen_while_the_body_still_waits(
    postgres_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "UNSEEN", 0.2)
    seen = []

    def body(report: Report) -> Iterator[dg.AssetMaterialization]:
        yield from _all(3)(report)
        seen.append(_seen(postgres_instance, 3))

    assert _run(postgres_instance, body).success
    assert seen == [True]


def test_a_full_batch_does_not_wait(
    postgres_instance: dg.DagsterInstance, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "BATCH", 10)
    monkeypatch.setattr(events, "UNSEEN", 60.0)
    seen = []

    def body(report: Report) -> Iterator[dg.AssetMaterialization]:
        yield from _all(25)(report)
        assert _seen(postgres_instance, 20)
        seen.append(len(_stored(postgres_instance)))

    assert _run(postgres_instance, body).success
    assert seen == [20]
    assert len(_stored(postgres_instance)) == 25
    assert _statements(postgres_url) == 3


def test_what_cannot_be_written_fails_the_run(postgres_instance: dg.DagsterInstance) -> None:
    def body(report: Report) -> Iterator[dg.AssetMaterialization]:
        yield from report(_thing(1))
        yield from report(dg.AssetMaterialization(THING, partition="\0"))

    result = _run(postgres_instance, body)
    (failed,) = [one for one in result.all_node_events if one.is_step_failure]
    assert "NUL" in str(failed.step_failure_data.error_display_string)
    assert list(_stored(postgres_instance)) == ["1"], "each of the batch on its own"


def test_after_a_failed_write_the_body_is_told_at_its_next_report(
    postgres_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "UNSEEN", 0.05)
    reported = []

    def body(report: Report) -> Iterator[dg.AssetMaterialization]:
        yield from report(dg.AssetMaterialization(THING, partition="\0"))
        for number in range(200):
            SystemClock().sleep(0.05)
            yield from report(_thing(number))
            reported.append(number)

    assert not _run(postgres_instance, body).success
    assert len(reported) < 200


@pytest.mark.parametrize(("size", "statements"), [("0", 30), ("7", 5), ("1000", 1)])
def test_a_size_that_somebody_set_stays_and_0_switches_batches_off(
    postgres_instance: dg.DagsterInstance,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    size: str,
    statements: int,
) -> None:
    monkeypatch.setenv(SIZE, size)
    assert _run(postgres_instance, _all(30)).success
    assert len(_stored(postgres_instance)) == 30
    assert _statements(postgres_url) == statements
    assert os.environ[SIZE] == size


def test_a_dagster_without_its_private_names_gets_the_events_one_by_one(
    postgres_instance: dg.DagsterInstance, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dg.multi_asset(specs=[dg.AssetSpec(THING, partitions_def=PARTS)], can_subset=True)
    def thing(context: dg.AssetExecutionContext) -> Iterator[dg.AssetMaterialization]:
        with monkeypatch.context() as patched:  # Dagster itself needs it before and after
            patched.delattr("dagster._core.events.DagsterEventBatchMetadata")
            with materializations(context) as report:
                found = [one for number in range(5) for one in report(_thing(number))]
        yield from found

    assert dg.materialize([thing], instance=postgres_instance).success
    assert len(_stored(postgres_instance)) == 5
    assert _statements(postgres_url) == 5


def test_a_dagster_whose_private_call_has_changed_gets_the_events_one_by_one(
    postgres_instance: dg.DagsterInstance, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dg.DagsterEvent.asset_materialization

    def changed(context: Any, materialization: dg.AssetMaterialization) -> dg.DagsterEvent:
        return before(context, materialization)

    monkeypatch.setattr(dg.DagsterEvent, "asset_materialization", staticmethod(changed))
    assert _run(postgres_instance, _all(5)).success
    assert _statements(postgres_url) == 5


def test_series_have_the_same_events_by_either_way(stage: Stage) -> None:
    assert stage.by_config("AAPL|1d", "MSFT|1d", "MSFT|1wk").success
    told = _stored(stage.instance, OHLCV)
    assert set(told) == stage.materialized() == {"AAPL|1d", "MSFT|1d", "MSFT|1wk"}
    picture = told["AAPL|1d"].pop("candles")
    assert picture.startswith("![the last 60 bars of AAPL](data:image/svg+xml")
    assert told["AAPL|1d"] == {
        "dagster/row_count": 253,
        "new_bars": 253,
        "provider": "truth (simulator:recorded)",
        "requests": 1,
        "seconds": 0.0,
        "first": "2023-03-15",
        "last": "2024-03-15",
        "coverage_percent": 100.0,
        "quality_score": 1.0,
    }


def test_of_21_partitions_18_are_materialized_and_exactly_3_failed(
    stage: Stage, provider: Choosy
) -> None:
    result = stage.by_range("AAPL|1m", "IBM|1wk")
    assert provider.asked
    said = failure(result)
    lost = {f"{one}|15m" for one in ("AAPL", "MSFT", "IBM")}  # which no provider here serves
    listed: Any = said.metadata["failed_partitions"].value
    assert sorted(listed) == sorted(lost)
    assert all(f"no provider serves {one}" in _table(said) for one in lost)
    assert len(stage.materialized()) == 18
    shown = get_and_update_asset_status_cache_value(stage.instance, OHLCV, GRID)
    assert shown is not None
    with partition_loading_context(None, stage.instance):
        failed = shown.deserialize_failed_partition_subsets(GRID).get_partition_keys()
        made = shown.deserialize_materialized_partition_subsets(GRID).get_partition_keys()
    assert set(failed) == lost
    assert set(made) == stage.materialized()


def _table(said: dg.Failure) -> str:
    return str(said.metadata["failed"].value).replace("&#124;", "|")
