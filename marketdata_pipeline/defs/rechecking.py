"""The job ``quality_check``: every rule over every stored bar, and all checks, without a request.

Not here: the rules, the checks' words and pictures (checks), and the checks of a run that updates.
"""

from collections.abc import Iterator
from time import perf_counter

import dagster as dg

from marketdata_pipeline.defs.checks import blocked, check_results, evaluation
from marketdata_pipeline.defs.maintenance import UPKEEP
from marketdata_pipeline.defs.resources import PipelineResource, failing_clearly
from marketdata_pipeline.defs.schedules import is_under_way
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.errors import MarketDataError
from marketdata_pipeline.ingest.batch_verdict import batch_verdict

_ASSET = dg.AssetKey("ohlcv")
_TOLD_EVERY = 500


class QualityConfig(dg.Config):
    """What is judged: these instruments, as `AAPL`; none: all that is kept."""

    instruments: list[str] = []


@dg.op(out=dg.Out(dg.Nothing))
def judge_everything(
    context: dg.OpExecutionContext,
    config: QualityConfig,
    pipeline: dg.ResourceParam[PipelineResource],
) -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
    """Judge all that is stored anew, then evaluate each check over all series."""
    with failing_clearly(), pipeline.opened() as opened:
        began, recheck = perf_counter(), opened.recheck
        series = recheck.series([Instrument.parse(one) for one in config.instruments])
        judged, failed = {}, []
        for number, one in enumerate(recheck.run(series, context.run_id), start=1):
            if one.judgement is None:
                failed.append(f"{one.series}: {one.error}")
                context.log.error(failed[-1])
            else:
                judged[one.series] = one.judgement
            if not number % _TOLD_EVERY:
                context.log.info("judged %d of %d", number, len(series))
        batch = batch_verdict(judged)
        context.log.info(str(batch))
        done = list(judged)
        results = list(check_results(_ASSET, recheck.judge, done, opened.severity, batch))
        yield from map(evaluation, results)
        yield dg.Output(
            None,
            metadata={
                "series": batch.judged,
                "valid": batch.valid,
                "mean_score": round(batch.mean, 4),
                "lowest_score": round(batch.lowest, 4),
                "unreadable": len(failed),
                "seconds": round(perf_counter() - began, 1),
            },
        )
        if failed:
            raise MarketDataError(f"{len(failed)} series cannot be read, first: {failed[0]}")
        if opened.severity.blocking:
            blocked(results)


@dg.job(tags=UPKEEP)
def quality_check() -> None:
    """Judge all stored bars anew and evaluate every check; no provider is asked."""
    judge_everything()


@dg.schedule(
    job=quality_check,
    cron_schedule="30 4 * * 6",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "Every Saturday: all that is stored is judged anew, every rule over every bar, and each "
        "check is evaluated. No provider is asked."
    ),
)
def weekly_quality_check(
    context: dg.ScheduleEvaluationContext,
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run, unless the last one is still under way."""
    if is_under_way(context, quality_check.name):
        yield dg.SkipReason("the last check is still under way")
        return
    yield dg.RunRequest()
