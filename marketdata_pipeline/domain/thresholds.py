"""From which score on a rule holds, what a rule weighs, which are off, and what is an error.

Not here: where these values are set (config), and the rules themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What the rules are measured by; a share is 0 to 1, a number of bars is of expected ones.

    Attributes:
        completeness: the least share of expected bars that is present.
        sessions_late: how many expected bars the newest stored one may lag behind.
        gap_tolerance: the most expected bars in a row that may be absent.
        spike: the move from one close to the next, as a share of the first, that is a spike.
        spike_z: a price that stands out by fewer robust standard deviations than that is none.
        zero_volume_bars: fewer bars in a row without volume are never odd.
        flat_bars: fewer bars in a row at one price are never odd.
        agreement: how far a bar may be from what finer ones make of it, as a share of its price.
        agreeing: the least share of bars that agree with finer ones.
        rollover: the move from one session's close to the next one's open that a future makes
            without a rollover.
        thin_volume: below this share of its usual volume a future is traded no more.
        weights: what a rule counts in the score; one that is not named counts 1.
        off: rules that are not applied.
    """

    completeness: float = 0.95
    sessions_late: int = 1
    gap_tolerance: int = 5
    spike: float = 0.5
    spike_z: float = 6.0
    zero_volume_bars: int = 5
    flat_bars: int = 5
    agreement: float = 0.02
    agreeing: float = 0.95
    rollover: float = 0.05
    thin_volume: float = 0.02
    weights: Mapping[str, float] = field(default_factory=dict)
    off: frozenset[str] = frozenset()

    def weight(self, rule: str) -> float:
        """What a rule counts in the score."""
        return self.weights.get(rule, 1.0)


@dataclass(frozen=True, slots=True)
class Severity:
    """From when on a rule that fails is an error, not a warning, and whether a run then fails.

    Attributes:
        share: of the series, above which failing ones are an error.
        score: any series' score below it is one, too.
        blocking: whether a run fails whose checks end with an error.
    """

    share: float = 0.1
    score: float = 0.0
    blocking: bool = False

    def is_error(self, *, series: int, failing: int, lowest: float) -> bool:
        """Whether it is an error that so many of all series fail, the lowest with that score."""
        return failing > self.share * series or (failing > 0 and lowest < self.score)
