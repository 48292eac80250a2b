"""Asset checks: one for each rule, its verdict over all series from the quality table.

Not here: the rules. Partitioned checks do not scale in Dagster 1.13, so each check is one
unpartitioned verdict over every series; each run judges its own series anew before.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from marketdata_pipeline.defs.metadata import markdown_table
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Severity
from marketdata_pipeline.ingest.batch_verdict import BatchVerdict
from marketdata_pipeline.ingest.judge import Judge
from marketdata_pipeline.quality.rules import RULES
from marketdata_pipeline.reading.bars_picture import scores_svg
from marketdata_pipeline.reading.candles import data_uri
from marketdata_pipeline.store.standings import Standing

_USUAL = Severity()
_FIRST = next(iter(RULES))


def check_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """One spec for each rule."""
    return [
        dg.AssetCheckSpec(name, asset=key, description=f"{rule.says} Over all series.")
        for name, rule in RULES.items()
    ]


def check_results(
    key: dg.AssetKey,
    judge: Judge,
    judged: Sequence[Series],
    severity: Severity = _USUAL,
    batch: BatchVerdict | None = None,
    *,
    everything: bool = True,
) -> Iterator[dg.AssetCheckResult]:
    """Each rule's verdict over every series that is kept, whoever judged it and when.

    Args:
        key: of the asset.
        judge: that reads the verdicts.
        judged: the series of this run.
        severity: when a check that fails is an error.
        batch: the verdict on the series of this run, shown with the check of the contract.
        everything: also rules that apply to no series of this run, of which it has no news.
    """
    for name, found in judge.standings(judged).items():
        if not found.asked and not everything:
            continue
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=name,
            passed=not found.failing,
            severity=_severity(severity, found),
            description=described(found),
            metadata=_metadata(name, found) | (_batch(batch) if name == _FIRST and batch else {}),
        )


def evaluation(result: dg.AssetCheckResult) -> dg.AssetCheckEvaluation:
    """The same for a run that materializes nothing."""
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey.from_coercible(result.asset_key or ()),
        check_name=str(result.check_name),
        passed=result.passed,
        metadata=result.metadata,
        severity=result.severity,
        description=result.description,
    )


def blocked(results: Sequence[dg.AssetCheckResult]) -> None:
    """Pass unless a check failed with an error.

    Raises:
        dagster.Failure: some did; it names them.
    """
    bad = [
        f"{one.check_name} ({one.description})"
        for one in results
        if not one.passed and one.severity is dg.AssetCheckSeverity.ERROR
    ]
    if bad:
        raise dg.Failure(
            f"{len(bad)} checks failed with an error, first: {bad[0]}; "
            "MARKETDATA_CHECKS_BLOCK says that a run fails then",
            allow_retries=False,
        )


def _batch(batch: BatchVerdict) -> dict[str, dg.MetadataValue]:
    told: dict[str, dg.MetadataValue] = {
        "run_valid": dg.MetadataValue.bool(batch.is_valid),
        "run_series_valid": dg.MetadataValue.text(f"{batch.valid} of {batch.judged}"),
        "run_mean_score": dg.MetadataValue.float(round(batch.mean, 4)),
        "run_lowest_score": dg.MetadataValue.float(round(batch.lowest, 4)),
    }
    rows = [(str(series), f"{score:.3f}", ", ".join(rules)) for series, score, rules in batch.worst]
    if rows:
        table = markdown_table(("series", "score", "rules that fail"), rows)
        told["run_worst"] = dg.MetadataValue.md(table)
    return told


def _severity(severity: Severity, found: Standing) -> dg.AssetCheckSeverity:
    error = severity.is_error(series=found.series, failing=found.failing, lowest=found.lowest)
    return dg.AssetCheckSeverity.ERROR if error else dg.AssetCheckSeverity.WARN


def described(found: Standing) -> str:
    """Over how many series, how many of this run's pass, how many fail."""
    scope = _scope(found)
    return f"{scope}; {found.failing} fail" if found.failing else scope


def _scope(found: Standing) -> str:
    if not found.series:
        return "there is no series that it applies to"
    return f"over all {found.series} series; this run: {found.ok} of {found.asked} ok"


def _metadata(name: str, found: Standing) -> dict[str, dg.MetadataValue]:
    rows = [(str(series), f"{one.score:.3f}", one.detail) for series, one in found.worst]
    told: dict[str, dg.MetadataValue] = {
        "scope": dg.MetadataValue.text(_scope(found)),
        "series": dg.MetadataValue.int(found.series),
        "failing": dg.MetadataValue.int(found.failing),
        "lowest_score": dg.MetadataValue.float(round(found.lowest, 4)),
        "mean_score": dg.MetadataValue.float(round(found.mean, 4)),
        "worst": _worst(rows),
    }
    if found.failing:  # a picture of scores that are all 1 shows nothing, and each run keeps it
        svg = scores_svg(found.spread, title=f"{name}: series by score")
        told["scores"] = dg.MetadataValue.md(f"![series by score]({data_uri(svg)})")
    return told


def _worst(rows: Sequence[Sequence[str]]) -> dg.MetadataValue:
    """A table, which Dagster hides behind a link; a plain word where there is nothing in it."""
    if not rows:
        return dg.MetadataValue.text("none")
    return dg.MetadataValue.md(markdown_table(("series", "score", "why"), rows))
