"""Asset checks: one for each rule, its verdict over all series from the quality table.

Not here: the rules. Partitioned checks do not scale in Dagster 1.13, so each check is one
unpartitioned verdict over every series; each run judges its own series anew before.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from marketdata_pipeline.defs.metadata import markdown_table
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.ingest.judge import Judge
from marketdata_pipeline.quality.rules import RULES

_WORST = 20


def check_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """One spec for each rule."""
    return [
        dg.AssetCheckSpec(
            name, asset=key, description=f"{_first_line(rule.__doc__)} Over all series."
        )
        for name, rule in RULES.items()
    ]


def _first_line(doc: str | None) -> str:
    return (doc or "").strip().partition("\n")[0]


def check_results(
    key: dg.AssetKey, judge: Judge, judged: Sequence[Series]
) -> Iterator[dg.AssetCheckResult]:
    """Each rule's verdict over every series that is kept, whoever judged it and when."""
    mine = set(judged)
    for name in RULES:
        table = judge.over_all(name, mine)
        failing = sorted(
            ((series, one) for series, one in table.items() if not one.passed),
            key=lambda pair: (pair[1].score, str(pair[0])),
        )
        ok = sum(1 for series in mine if series in table and table[series].passed)
        scores = [one.score for one in table.values()]
        scope = f"over all {len(table)} series; this run: {ok} of {len(mine)} ok"
        rows = [(str(series), f"{one.score:.3f}", one.detail) for series, one in failing[:_WORST]]
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=name,
            passed=not failing,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{scope}; {len(failing)} fail" if failing else scope,
            metadata={
                "scope": scope,
                "series": len(table),
                "failing": len(failing),
                "lowest_score": round(min(scores, default=1.0), 4),
                "mean_score": round(sum(scores) / len(scores), 4) if scores else 1.0,
                "worst": _worst(rows),
            },
        )


def _worst(rows: Sequence[Sequence[str]]) -> dg.MetadataValue:
    """A table, which Dagster hides behind a link; a plain word where there is nothing in it."""
    if not rows:
        return dg.MetadataValue.text("none")
    return dg.MetadataValue.md(markdown_table(("series", "score", "why"), rows))
