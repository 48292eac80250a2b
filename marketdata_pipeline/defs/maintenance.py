"""The job ``store_maintenance``: the store compacted, tidied, verified; what is logged pruned.

Not here: when it runs (schedules) and the work itself (store, pruning). The steps know nothing of
each other: where one fails, the others are done all the same, and the run fails in the end.
"""

from collections.abc import Sequence
from dataclasses import asdict
from time import perf_counter

import dagster as dg

from marketdata_pipeline.defs.metadata import markdown_table
from marketdata_pipeline.defs.pruning import prune
from marketdata_pipeline.defs.resources import PipelineResource, failing_clearly
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.store.rota import turn

UPKEEP = {"marketdata/tier": "upkeep", "dagster/priority": "-10"}
"""Tags of its runs; ``dagster.yaml`` lets one go at a time. All else comes first."""
_LISTED = 100
_Rows = Sequence[tuple[str, str]]


@dg.op
def compact(context: dg.OpExecutionContext, pipeline: dg.ResourceParam[PipelineResource]) -> None:
    """Merge the small chunks of every series that was written since its last compaction."""
    with failing_clearly(), pipeline.opened() as opened:
        began, compactor = perf_counter(), opened.upkeep.compactor
        pending = compactor.pending()
        merged = made = bars = 0
        failed = []
        for series in pending:
            try:
                done = compactor.compact(series)
            except StoreError as error:
                failed.append((str(series), str(error)))
                continue
            merged, made, bars = merged + done.merged, made + done.made, bars + done.rows
        _tell(context, began, series=len(pending), merged=merged, made=made, bars=bars)
        _fail_for(f"of {len(pending)} series were not compacted", failed)


@dg.op
def collect(context: dg.OpExecutionContext, pipeline: dg.ResourceParam[PipelineResource]) -> None:
    """Remove superseded bars past their time, and files that nothing names any more."""
    with failing_clearly(), pipeline.opened() as opened:
        began, done = perf_counter(), opened.upkeep.collector.collect()
        files = {"retired_files": done.retired, "orphaned_files": done.orphans}
        _tell(context, began, superseded_chunks=done.superseded, **files, bytes_freed=done.size)


@dg.op
def verify(context: dg.OpExecutionContext, pipeline: dg.ResourceParam[PipelineResource]) -> None:
    """Read every bar of this week's share of the series, and what belongs to none."""
    with failing_clearly(), pipeline.opened() as opened:
        began, verifier = perf_counter(), opened.upkeep.verifier
        series = verifier.series()
        ours = turn(series, opened.clock.wall_now())
        found = [fault for one in ours for fault in verifier.faults(one)]
        found += verifier.everywhere()
        _tell(context, began, series=len(ours), of=len(series), faults=len(found))
        rows = [(str(one.series or "catalog"), f"{one.kind}: {one.text}") for one in found]
        _fail_for(f"faults in {len(ours)} series; docs/recover.md says what to do", rows)


@dg.op
def prune_requests(
    context: dg.OpExecutionContext, pipeline: dg.ResourceParam[PipelineResource]
) -> None:
    """Remove requests to providers that are logged for longer than the setting says."""
    with failing_clearly(), pipeline.opened() as opened:
        began = perf_counter()
        _tell(context, began, requests=opened.upkeep.prune_requests())


@dg.op
def prune_dagster(
    context: dg.OpExecutionContext, pipeline: dg.ResourceParam[PipelineResource]
) -> None:
    """Delete Dagster's runs and events that are old and that no status is read from."""
    with failing_clearly(), pipeline.opened() as opened:
        retention = opened.upkeep.dagster_retention
        if not retention:
            context.log.info("MARKETDATA_DAGSTER_RETENTION is 0: all runs and events stay")
            return
        began, before = perf_counter(), opened.clock.wall_now() - retention
        done = prune(context.instance, before, opened.clock, context.log.info)
        _tell(
            context, began, **asdict(done), bytes_freed=max(0, done.bytes_before - done.bytes_after)
        )


@dg.job(tags=UPKEEP)
def store_maintenance() -> None:
    """Compact, tidy and verify the store; prune the log of requests and Dagster's own records."""
    compact()
    collect()
    verify()
    prune_requests()
    prune_dagster()


def _tell(context: dg.OpExecutionContext, began: float, **counts: int) -> None:
    """What a step did, in its log and in its output's metadata."""
    seconds = round(perf_counter() - began, 1)
    context.add_output_metadata({**counts, "seconds": seconds})
    said = " ".join(f"{name}={value}" for name, value in counts.items())
    context.log.info("%s seconds=%s", said, seconds)


def _fail_for(what: str, rows: _Rows) -> None:
    if not rows:
        return
    more = len(rows) - _LISTED
    shown = [*rows[:_LISTED], *([("...", f"and {more} more")] if more > 0 else [])]
    raise dg.Failure(
        f"{len(rows)} {what}, first: {rows[0][0]}: {rows[0][1]}",
        metadata={"failed": dg.MetadataValue.md(markdown_table(("series", "why"), shown))},
        allow_retries=False,
    )
