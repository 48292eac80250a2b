"""The asset ``ohlcv``: one partition a series, one body behind three doors.

Not here: what an update does (ingest) and what a partition's metadata looks like (metadata).
The doors: partition keys (UI, Dagster's CLI), a range of keys (sensors), a list of series in the
run's config (schedules, mass work).
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import dagster as dg

from marketdata_pipeline.assembly import Pipeline
from marketdata_pipeline.defs.checks import check_results, check_specs
from marketdata_pipeline.defs.events import materializations
from marketdata_pipeline.defs.metadata import about, describe, markdown_table, materialization
from marketdata_pipeline.defs.partitions import GRID, series_of
from marketdata_pipeline.defs.resources import PipelineResource, failing_clearly
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.ranges import TimeRange, parse_instant
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.outcome import Outcome
from marketdata_pipeline.ingest.progress import Leftover, Progress, RunLog, SeriesDone
from marketdata_pipeline.store.catalog import Catalog

OHLCV = dg.AssetKey("ohlcv")


class OhlcvConfig(dg.Config):
    """The config door: series to update, and the range, where a run has no partition keys.

    ``series`` are spelled ``AAPL|1d``; ``start`` and ``end`` are ISO dates or instants (UTC where
    no zone is given), half-open; empty means as tracked.
    """

    series: list[str] = []
    start: str = ""
    end: str = ""


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
    keyed = context.has_partition_key or context.has_partition_key_range
    with failing_clearly(), pipeline.opened() as opened:
        wanted = _wanted(config)
        asked = _asked(context.partition_keys if keyed else config.series, keyed=keyed)
        pictures = len(asked) <= opened.picture_limit
        behind: list[Outcome] = []
        log = RunLog(len(asked), opened.clock, opened.waits)
        updates = opened.updater.update_many(
            asked,
            wanted,
            errand=Errand(run_id=context.run.run_id),
            ends_within=None if keyed else opened.run_time,
            failure_share=opened.failure_share,
        )
        with (
            closing(updates) as outcomes,
            _shown(opened.catalog) as told,
            materializations(context) as report,
        ):
            for outcome in outcomes:
                _say(context.log, log.lines(outcome))
                if outcome.error is not None:
                    behind.append(outcome)
                elif keyed or outcome.rows_new or outcome.unseen:
                    store = opened.store if pictures else None
                    told[outcome.series] = outcome.version
                    yield from report(materialization(OHLCV, outcome, store))
            _say(context.log, log.last())
        yield from _concluded(opened, asked, behind, keyed=keyed)


def _concluded(
    opened: Pipeline, asked: Sequence[Series], behind: Sequence[Outcome], *, keyed: bool
) -> Iterator[dg.AssetObservation | dg.AssetCheckResult]:
    """The checks, what is not done, and the run's failure if it failed.

    A keyed run fails for what is not done too: nobody else asks for those partitions. What a
    config-driven one left is still due, and its next run takes it.
    """
    left = [one for one in behind if one.not_done]
    undone = {one.series for one in left}
    done = [one for one in asked if one not in undone]
    if left:
        yield _not_done(left)
    yield from check_results(OHLCV, opened.updater.judge, done)
    failed = [one for one in behind if keyed or not one.not_done]
    allowed = 0.0 if keyed else opened.failure_share
    if len(failed) > allowed * len(done):
        raise _failure(failed, len(asked if keyed else done))


def _asked(keys: Sequence[str], *, keyed: bool) -> list[Series]:
    asked = list(dict.fromkeys(series_of(keys)))
    if asked:
        return asked
    if keyed:  # Dagster reads AAPL|1d...MSFT|1h as a box that nothing is in, and starts the run
        raise BadInput(
            "the range holds no partition; give the timeframe first that is first in "
            f"{', '.join(map(str, Timeframe))}, and the instrument that was tracked first"
        )
    raise BadInput('the run names no series; its config needs e.g. series: ["AAPL|1d"]')


def _wanted(config: OhlcvConfig) -> TimeRange | None:
    if not config.start and not config.end:
        return None
    if not (config.start and config.end):
        raise BadInput("give both start and end, or neither")
    return TimeRange(parse_instant(config.start), parse_instant(config.end))


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
