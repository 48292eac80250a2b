"""What a run says of its batch: how many series are valid, their scores, the worst of them.

Not here: judging one series (judge), and where a run shows it (defs).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.ingest.judge import Judgement

_WORST = 5


@dataclass(frozen=True, slots=True)
class BatchVerdict:
    """The verdict on the series of one run.

    Attributes:
        judged: series that were judged; ``valid`` of them keep every rule.
        mean, lowest: of their scores, 1 where none was judged.
        worst: the lowest scores of those that are not valid, each with the rules that fail.
    """

    judged: int
    valid: int
    mean: float
    lowest: float
    worst: tuple[tuple[Series, float, tuple[str, ...]], ...]

    @property
    def is_valid(self) -> bool:
        """Whether every series is."""
        return self.judged == self.valid

    def __str__(self) -> str:
        said = f"quality: {self.valid} of {self.judged} series valid"
        scores = f"score {self.mean:.4f} on average, {self.lowest:.4f} at least"
        if not self.worst:
            return f"{said}, {scores}"
        series, score, rules = self.worst[0]
        return f"{said}, {scores}; worst {series} {score:.4f} ({', '.join(rules)})"


def batch_verdict(judgements: Mapping[Series, Judgement]) -> BatchVerdict:
    """The verdict on all that were judged."""
    scores = [one.score for one in judgements.values()]
    bad = [
        (series, one.score, _failing(one)) for series, one in judgements.items() if not one.is_valid
    ]
    bad.sort(key=lambda one: (one[1], str(one[0])))
    return BatchVerdict(
        judged=len(scores),
        valid=len(scores) - len(bad),
        mean=sum(scores) / len(scores) if scores else 1.0,
        lowest=min(scores, default=1.0),
        worst=tuple(bad[:_WORST]),
    )


def _failing(judgement: Judgement) -> tuple[str, ...]:
    return tuple(name for name, one in judgement.verdicts.items() if not one.passed)
