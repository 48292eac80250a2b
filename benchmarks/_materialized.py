"""Dagster's storage as full as a size says: partition keys, runs, their materializations.

Not here: the catalog (_tracked). The events are what a run of bars_update leaves of each series;
its log lines, checks and other events are left out, since they do not grow with the grid.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from dagster._core.definitions.dependency import NodeHandle
from dagster._core.events import DagsterEvent, StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster._core.execution.plan.handle import StepHandle
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster_postgres import PostgresEventLogStorage
from sqlalchemy import text

from marketdata_pipeline.defs.assets.ohlcv import OHLCV
from marketdata_pipeline.defs.metadata import materialization
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.ingest.judge import Judgement
from marketdata_pipeline.ingest.outcome import Outcome

RUN = 700
"""Series in one run."""
BATCH = 500
"""Events in one INSERT: what DAGSTER_EVENT_BATCH_SIZE would say."""
_JOB, _STEP = "bars_update", "ohlcv"
_JUDGED = Judgement({"bars_contract": Verdict(passed=True, score=1.0, detail="")}, 1.0)
_TABLES = ("event_logs", "asset_keys", "asset_event_tags")


def materialize(instance: dg.DagsterInstance, series: Sequence[Series]) -> None:
    """Store a materialization of each, in runs that succeeded."""
    for start in range(0, len(series), RUN):
        run_id = str(uuid.uuid4())
        status = dg.DagsterRunStatus.SUCCESS
        instance.add_run(dg.DagsterRun(job_name=_JOB, run_id=run_id, status=status))
        part = series[start : start + RUN]
        for first in range(0, len(part), BATCH):
            _store(instance, [_event(one, run_id) for one in part[first : first + BATCH]])


def _store(instance: dg.DagsterInstance, events: Sequence[EventLogEntry]) -> None:
    """In few statements: Dagster's SQLite storage takes single events only, at 15 ms each.

    It keeps an event twice, in the run's file and in the index.
    """
    log = instance.event_log_storage
    if not isinstance(log, SqliteEventLogStorage):
        log.store_event_batch(events)
        return
    rows = log.prepare_insert_event_batch(events)
    with log.run_connection(events[0].run_id) as connection:
        connection.execute(rows)
    with log.index_connection() as connection:
        connection.execute(rows)
        newest = connection.execute(text("SELECT max(id) FROM event_logs")).scalar_one()
    log.store_asset_event(events[-1], newest)


def _event(series: Series, run_id: str) -> EventLogEntry:
    node = NodeHandle(_STEP, None)
    tags = {"job_name": _JOB, "op_name": _STEP, "run_id": run_id, "step_key": _STEP}
    said = f"Materialized value {_STEP}."
    event = DagsterEvent(
        event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
        job_name=_JOB,
        step_handle=StepHandle(node, _STEP),
        node_handle=node,
        step_kind_value="COMPUTE",
        logging_tags={**tags, "resource_fn_name": "None", "resource_name": "None"},
        event_specific_data=StepMaterializationData(_materialization(series), []),
        message=said,
        pid=12345,
    )
    at = datetime.now(UTC).timestamp()
    return EventLogEntry(None, 10, said, run_id, at, _STEP, _JOB, event)  # type: ignore[no-untyped-call]  # of Dagster


def _materialization(series: Series) -> dg.AssetMaterialization:
    """What the asset says of an hour's refresh."""
    last = datetime(2024, 3, 15, 19, tzinfo=UTC)
    outcome = Outcome(
        series=series,
        rows_new=60,
        requests=1,
        written=None,
        rows=12_345,
        first=datetime(2022, 3, 17, 13, 30, tzinfo=UTC),
        last=last,
        provider="yahoo",
        origin="yahoo",
        judgement=_JUDGED,
        error=None,
        seconds=0.123,
    )
    return materialization(OHLCV, outcome, None)


def log_bytes(instance: dg.DagsterInstance, folder: Path) -> int:
    """What the event log takes on disk: SQLite's files, or Postgres' tables with indexes."""
    log = instance.event_log_storage
    if isinstance(log, SqliteEventLogStorage):
        return sum(one.stat().st_size for one in (folder / "history" / "runs").iterdir())
    if not isinstance(log, PostgresEventLogStorage):
        raise TypeError(f"{log} is neither SQLite nor Postgres")
    with log.index_connection() as connection:
        sizes = [text(f"SELECT pg_total_relation_size('{one}')") for one in _TABLES]
        return sum(connection.execute(one).scalar_one() for one in sizes)
