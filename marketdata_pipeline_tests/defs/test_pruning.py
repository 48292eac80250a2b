"""Pruning of Dagster's storage: what goes, and that Dagster says the same as before.

Not here: SQLite's files (test_dagster_files) and the job (test_maintenance).
"""

import random
import signal
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus
from dagster._core.storage.compute_log_manager import ComputeIOType

from marketdata_pipeline.defs import dagster_tables
from marketdata_pipeline.defs.pruning import PRUNED, Pruned
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.errors import MarketDataError
from marketdata_pipeline_tests.children import PROCESSES
from marketdata_pipeline_tests.defs.past import (
    NAMES,
    Past,
    drop,
    kinds,
    prune_home,
    pruned,
    rows,
    told,
)

pytestmark = pytest.mark.proof

KEYS = [f"{name}|{size}" for name in NAMES for size in (1, 2)]
MATERIALIZED, PLANNED = "ASSET_MATERIALIZATION", "ASSET_MATERIALIZATION_PLANNED"
DELETED = ("runs", "events", "checks", "backfills", "files")


@pytest.fixture(params=["sqlite", "postgres"])
def past(request: pytest.FixtureRequest) -> Past:
    return Past(request.getfixturevalue(f"{request.param}_instance"))


on_both = pytest.mark.parametrize("past", ["sqlite", "postgres"], indirect=True)
"""On both databases in `make test` too: one of each kind of statement."""


def _now() -> datetime:
    return datetime.now(UTC)


def _deleted(done: Pruned) -> int:
    return sum(getattr(done, one) for one in DELETED)


def _writers(instance: dg.DagsterInstance, table: str) -> set[str]:
    return {row.run_id for row in rows(instance, table)}


def _has_output(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether what a run wrote to standard error is there."""
    logs, prefix = instance.compute_log_manager, [run_id, "compute_logs"]
    try:
        return bool(logs.get_log_keys_for_log_key_prefix(prefix, ComputeIOType.STDERR))
    except FileNotFoundError:
        return False


@on_both
def test_a_run_of_which_nothing_is_needed_goes_with_all_that_belongs_to_it(past: Past) -> None:
    instance = past.instance
    first = past.refreshed(*KEYS)
    assert _has_output(instance, first)
    events = len(rows(instance, "event_logs"))
    until = _now()
    second = past.refreshed(*KEYS)
    said = told(instance)
    done = pruned(instance, until)
    assert (done.runs, done.thinned, done.checks) == (1, 0, 1)
    assert done.events == events
    assert instance.get_run_ids() == [second]
    assert _writers(instance, "event_logs") == {second}
    assert _writers(instance, "asset_check_executions") == {second}
    assert len(rows(instance, "asset_event_tags")) == len(KEYS)
    assert not _has_output(instance, first)
    assert _has_output(instance, second)
    assert told(instance) == said


def test_a_run_that_holds_the_newest_of_a_partition_keeps_that_and_how_it_went(past: Past) -> None:
    first = past.refreshed(*KEYS)
    until = _now()
    past.refreshed(*KEYS[1:])
    said = told(past.instance)
    done = pruned(past.instance, until)
    assert (done.runs, done.thinned) == (0, 1)
    shown = kinds(past.instance, first)
    assert shown.count(MATERIALIZED) == 1
    assert "" not in shown, "the lines of its log"
    assert {"PIPELINE_START", "STEP_SUCCESS", "PIPELINE_SUCCESS"} <= set(shown)
    run = past.instance.get_run_by_id(first)
    assert run is not None
    assert run.tags[PRUNED] == until.isoformat(timespec="minutes")
    assert not _has_output(past.instance, first)
    assert past.instance.get_run_stats(first).start_time is not None
    assert told(past.instance) == said


def test_what_is_younger_stays_whole(past: Past) -> None:
    until = _now()
    runs = [past.refreshed(*KEYS) for _ in range(2)]
    whole = {one: kinds(past.instance, one) for one in runs}
    assert _deleted(pruned(past.instance, until)) == 0
    assert {one: kinds(past.instance, one) for one in runs} == whole


def test_a_failure_that_nothing_followed_stays_and_one_that_was_mended_goes(past: Past) -> None:
    failed = past.backfilled("a|1", "c|1", bad=("a|1", "b|1"))
    past.refreshed("a|1")
    said = told(past.instance)
    assert said["statuses"]["failed"] == ["b|1"]
    pruned(past.instance)
    shown = kinds(past.instance, failed)
    assert shown.count(PLANNED) == 1
    assert shown.count(MATERIALIZED) == 1, "that of c|1"
    assert told(past.instance) == said


def test_a_run_that_is_under_way_stays_whole_however_old_it_is(past: Past) -> None:
    begun = past.begun("a|1", "c|2")
    past.refreshed(*KEYS)
    whole = kinds(past.instance, begun)
    said = told(past.instance)
    pruned(past.instance)
    assert kinds(past.instance, begun) == whole
    assert whole.count(PLANNED) == 6
    assert begun in _writers(past.instance, "asset_check_executions")
    assert told(past.instance) == said


@on_both
def test_events_that_no_run_wrote_go_once_they_are_old_and_superseded(past: Past) -> None:
    for key in ("a|1", "a|1", "b|1"):
        past.reported(key)
    until = _now()
    for key in ("b|1", "b|1"):
        past.reported(key)
    said = told(past.instance)
    done = pruned(past.instance, until)
    assert (done.runs, done.events) == (0, 2)
    left = [row.partition for row in rows(past.instance, "event_logs")]
    assert left == ["a|1", "b|1", "b|1"]
    assert kinds(past.instance, "") == [MATERIALIZED] * 3
    assert told(past.instance) == said


def test_a_check_keeps_its_last_execution_and_its_last_result(past: Past) -> None:
    past.refreshed("a|1")
    passed = past.refreshed("a|1")
    past.reported("a|1")
    _, failed = past.failed("a|1"), past.failed("a|1")
    said = told(past.instance)
    assert pruned(past.instance).checks == 2
    assert _writers(past.instance, "asset_check_executions") == {passed, failed}
    assert kinds(past.instance, passed).count("ASSET_CHECK_EVALUATION") == 1
    assert told(past.instance) == said


def test_runs_of_a_backfill_stay_until_it_ends_and_then_its_record_goes_too(past: Past) -> None:
    instance = past.instance
    for key, status in (
        ("going", BulkActionStatus.REQUESTED),
        ("ended", BulkActionStatus.COMPLETED_SUCCESS),
    ):
        past.backfill(key, status)
        past.refreshed(*KEYS, tags={"dagster/backfill": key})
    last = past.refreshed(*KEYS)
    done = pruned(instance)
    assert (done.runs, done.backfills) == (1, 1)
    assert [one.backfill_id for one in instance.get_backfills()] == ["going"]
    (kept,) = instance.get_run_ids(dg.RunsFilter(tags={"dagster/backfill": "going"}))
    assert set(instance.get_run_ids()) == {kept, last}
    assert "" in kinds(instance, kept), "its log"


def test_what_dagster_left_of_a_run_that_it_deleted_goes_once_it_is_old(past: Past) -> None:
    until = _now()
    killed = past.refreshed(*KEYS)
    past.refreshed(*KEYS)
    past.instance.run_storage.delete_run(killed)  # and then it was killed
    said = told(past.instance)
    pruned(past.instance, until)
    assert killed in _writers(past.instance, "event_logs")
    pruned(past.instance)
    assert killed not in _writers(past.instance, "event_logs")
    assert told(past.instance) == said


@on_both
def test_an_event_whose_successor_is_gone_by_then_stays(past: Past) -> None:
    for key in ("a|1", "a|1", "b|1", "b|1"):
        past.reported(key)
    first, second, other, _ = (row.id for row in rows(past.instance, "event_logs"))
    tables = dagster_tables.DagsterTables(past.instance)
    assert tables.delete_events({second: None}) == 1
    assert tables.delete_events({first: second, other: other + 1}) == 1
    assert [row.id for row in rows(past.instance, "event_logs")] == [first, other + 1]


def test_the_newest_event_stays_since_sqlite_would_give_its_number_again(
    sqlite_instance: dg.DagsterInstance,
) -> None:
    past = Past(sqlite_instance)
    past.refreshed("a|1")
    last = past.idle()
    pruned(past.instance)
    assert rows(past.instance, "event_logs")[-1].run_id == last
    past.reported("a|1")
    pruned(past.instance)
    assert past.instance.get_run_by_id(last) is None


def _random_past(past: Past, seed: int, length: int) -> list[datetime]:
    """Add so many things that happened, in any order; the instants between them."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    instants = []
    for number in range(length):
        some = chance.sample(KEYS, chance.randint(1, 4))
        first, last = sorted(chance.sample(NAMES, 2))
        box = (f"{first}|1", f"{last}|{chance.choice('12')}")
        if number == 2:
            past.begun(*box)
        elif chance.random() < 0.3:
            past.reported(some[0])
        elif chance.random() < 0.5:
            past.backfilled(*box, bad=tuple(some[:1]))
        else:
            past.refreshed(*some)
        instants.append(_now())
    return instants


def _assert_the_same_is_said(past: Past, seed: int, length: int) -> None:
    instants = _random_past(past, seed, length)
    said = told(past.instance)
    deleted = 0
    for until in (instants[length // 2], instants[-2], instants[-1]):
        deleted += _deleted(pruned(past.instance, until))
        assert told(past.instance) == said
        assert _deleted(pruned(past.instance, until)) == 0
    assert deleted > 0


@on_both
def test_dagster_says_the_same_and_a_second_pruning_finds_nothing(past: Past) -> None:
    _assert_the_same_is_said(past, seed=1, length=8)


@pytest.mark.parametrize("seed", range(2, 12))
def test_dagster_says_the_same_whatever_happened(past: Past, seed: int) -> None:
    _assert_the_same_is_said(past, seed, length=20)


class _Dying(SystemClock):
    """Ends the work after its first step."""

    def sleep(self, seconds: float) -> None:
        raise KeyboardInterrupt(f"after {seconds} s")


def _broken_off(instance: dg.DagsterInstance) -> bool:
    """Whether a pruning of one step had something to do."""
    try:
        pruned(instance, clock=_Dying(), batch=4)
    except KeyboardInterrupt:
        return True
    return False


def test_broken_off_at_any_step_it_leaves_what_dagster_says_and_goes_on(past: Past) -> None:
    past.backfilled("a|1", "b|2", bad=("a|1", "b|1"))
    past.refreshed("a|1", "c|1")
    past.reported("a|1")
    past.refreshed("a|1", "a|2")
    said = told(past.instance)
    steps = 0
    while _broken_off(past.instance):
        steps += 1
        assert told(past.instance) == said
    assert steps >= 6
    assert _deleted(pruned(past.instance)) == 0


def _killed_after(seconds: float, folder: Path) -> bool:
    """Start a pruning and kill it that long after it began; whether it was still at work."""
    begun = PROCESSES.Event()
    child = PROCESSES.Process(target=prune_home, args=(folder, begun))
    child.start()
    assert begun.wait(60)
    child.join(seconds)
    child.kill()
    child.join()
    return child.exitcode == -signal.SIGKILL


def test_killed_again_and_again_it_leaves_what_dagster_says_and_ends(past: Past) -> None:
    _random_past(past, seed=30, length=40)
    said = told(past.instance)
    folder = Path(past.instance.root_directory)
    hits = 0
    for attempt in range(20):
        hits += _killed_after(0.02 + 0.04 * attempt, folder)
        assert told(past.instance) == said
    assert hits > 5
    pruned(past.instance)
    assert told(past.instance) == said
    assert _deleted(pruned(past.instance)) == 0


@on_both
def test_tables_of_another_revision_are_refused_and_nothing_is_deleted(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    past.refreshed(*KEYS)
    past.refreshed(*KEYS)
    events = rows(past.instance, "event_logs")
    monkeypatch.setattr(dagster_tables, "REVISIONS", ("older",))
    with pytest.raises(MarketDataError, match="of revision 29b539ebc72a, known is older"):
        pruned(past.instance)
    assert rows(past.instance, "event_logs") == events


def test_a_storage_of_another_kind_is_refused() -> None:
    with (
        dg.DagsterInstance.ephemeral() as instance,
        pytest.raises(MarketDataError, match="are in InMemoryEventLogStorage and"),
    ):
        pruned(instance)


@on_both
def test_a_storage_that_fails_is_told_in_one_line(past: Past) -> None:
    past.refreshed(*KEYS)
    drop(past.instance, "asset_check_executions")
    with pytest.raises(MarketDataError, match=r"goes on when it is run again: .*check") as failed:
        pruned(past.instance)
    assert "\n" not in str(failed.value)
