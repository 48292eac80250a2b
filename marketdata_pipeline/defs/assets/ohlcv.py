"""The asset ``ohlcv``: one partition a series, one body behind three doors.

Not here: what a run is asked for (doors), what an update does (ingest) and what a partition's
metadata looks like (metadata).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import dagster as dg

from marketdata_pipeline.assembly import Pipeline
from marketdata_pipeline.defs.checks import blocked, check_results, check_specs
from marketdata_pipeline.defs.doors import Asked, OhlcvConfig, through_a_door
from marketdata_pipeline.defs.events import materializations
from marketdata_pipeline.defs.metadata import about, describe, markdown_table, materialization
from marketdata_pipeline.defs.partitions import GRID
from marketdata_pipeline.defs.resources import PipelineResource, failing_clearly
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.ingest.batch_verdict import batch_verdict
from marketdata_pipeline.ingest.judge import Judgement
from marketdata_pipeline.ingest.outcome import Outcome
from marketdata_pipeline.ingest.progress import Leftover, Progress, RunLog, SeriesDone
from marketdata_pipeline.store.catalog import Catalog

OHLCV = dg.AssetKey("ohlcv")


@dg.multi_asset(
    name="ohlcv",
    specs=[
        dg.AssetSpec(
            OHLCV,
            partitions_def=GRID,
            description=describe(),
            metadata=about(),
            group_name="bars",
            owners=["team:marketdata"],
            kinds={"python", "parquet", "sql"},
        )
    ],
    check_specs=check_specs(OHLCV),
    can_subset=True,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def ohlcv(
    context: dg.AssetExecutionContext,
    config: OhlcvConfig,
    pipeline: dg.ResourceParam[PipelineResource],
) -> Iterator[dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckResult]:
    """Bring the run's series up to date; one materialization for each that succeeded."""
    with (
        failing_clearly(),
        pipeline.opened(queued=bool(config.queue)) as opened,
        through_a_door(context, config, opened) as asked,
    ):
        pictures = len(asked.series) <= opened.picture_limit
        behind: list[Outcome] = []
        judged: dict[Series, Judgement] = {}
        updated: set[Instrument] = set()
        log = RunLog(len(asked.series), opened.clock, opened.waits)
        with _shown(opened.catalog) as told, materializations(context) as report:
            for outcome in asked.outcomes:
                _say(context.log, log.lines(outcome))
                if outcome.judgement is not None:
                    judged[outcome.series] = outcome.judgement
                if outcome.error is not None:
                    behind.append(outcome)
                    continue
                updated.add(outcome.series.instrument)
                if asked.keyed or outcome.rows_new or outcome.unseen:
                    store = opened.store if pictures else None
                    told[outcome.series] = outcome.version
                    yield from report(materialization(OHLCV, outcome, store))
            _say(context.log, log.last())
        if judged:
            context.log.info(str(batch_verdict(judged)))
        opened.tracking.updated(updated)
        if not asked.series:
            context.log.info("nothing to do: another run has been at what this one was asked for")
        opened.events.recount(asked.done)  # splits and currencies are known now
        yield from _concluded(opened, asked, behind, judged)


def _concluded(
    opened: Pipeline,
    asked: Asked,
    behind: Sequence[Outcome],
    judged: Mapping[Series, Judgement],
) -> Iterator[dg.AssetObservation | dg.AssetCheckResult]:
    """The checks, what is not done, and the run's failure if it failed.

    A run that a person gave keys to fails for what is not done too: nobody else asks for those
    partitions. What a config-driven one left is still due, and what the queue asked for is in the
    queue again: the next run takes it.
    """
    left = [one for one in behind if one.not_done]
    undone = {one.series for one in left}
    done = [one for one in asked.series if one not in undone]
    if left:
        yield _not_done(left)
    results = list(
        check_results(
            OHLCV,
            opened.updater.judge,
            done,
            opened.severity,
            batch_verdict(judged),
            everything=asked.keyed,
        )
    )
    yield from results
    failed = asked.failed(behind)
    allowed = 0.0 if asked.keyed else opened.failure_share
    if len(failed) > allowed * len(done):
        raise _failure(failed, len(asked.series if asked.keyed else done))
    if opened.severity.blocking:
        blocked(results)


@contextmanager
def _shown(catalog: Catalog) -> Iterator[dict[Series, int]]:
    """Takes what Dagster is told of; noted once all of it is written.

    Where a run ends before, its series are told of again by the next update of them.
    """
    told: dict[Series, int] = {}
    yield told
    catalog.note_shown(told)


def _say(log: dg.DagsterLogManager, lines: Sequence[SeriesDone | Progress | Leftover]) -> None:
    """Into the run's log; what failed stands out there, and what is not done."""
    for one in lines:
        if isinstance(one, SeriesDone) and one.error is not None:
            log.error(str(one))
        elif isinstance(one, Leftover):
            log.warning(str(one))
        else:
            log.info(str(one))


def _not_done(left: Sequence[Outcome]) -> dg.AssetObservation:
    """An event of the run, which otherwise would tell of them in its log only."""
    metadata = {
        "not_done": dg.MetadataValue.int(len(left)),
        "why": dg.MetadataValue.text(str(left[0].error)),
        "series": dg.MetadataValue.json([str(one.series) for one in left]),
    }
    return dg.AssetObservation(OHLCV, metadata=metadata)


def _failure(failed: Sequence[Outcome], total: int) -> dg.Failure:
    """One line a failed series, so that the run's page tells the reasons."""
    rows = [(str(one.series), str(one.error)) for one in failed]
    return dg.Failure(
        f"{len(failed)} of {total} series failed, first: {failed[0].error}",
        metadata={
            "failed": dg.MetadataValue.md(markdown_table(("series", "why"), rows)),
            "failed_partitions": dg.MetadataValue.json([str(one.series) for one in failed]),
        },
        allow_retries=False,
    )
