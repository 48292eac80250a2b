"""The settings of the rules of quality: thresholds, weights, switches, what checks make of them.

Not here: the rules; their names are checked where they are (assembly).
"""

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import BaseSettings

from marketdata_pipeline.config.values import Days, setting
from marketdata_pipeline.domain.thresholds import Severity, Thresholds

_MOST_BARS = 10_000


def as_weights(value: object) -> object:
    """A mapping out of ``rule=weight`` pairs with commas between; ``none`` is an empty one."""
    if not isinstance(value, str):
        return value
    if value.strip().lower() == "none":
        return {}
    parts = [one.partition("=") for one in value.split(",")]
    return {name.strip().lower(): weight.strip() for name, _, weight in parts}


def known_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """The same, once each weight is a number from 0 on."""
    if not all(name and math.isfinite(one) and one >= 0 for name, one in weights.items()):
        raise ValueError
    return dict(weights)


def as_names(value: object) -> object:
    """Names out of text with commas, each once; ``none`` is none."""
    if isinstance(value, str):
        value = [] if value.strip().lower() == "none" else value.split(",")
    if not isinstance(value, list | tuple):
        raise ValueError  # noqa: TRY004 - pydantic takes it for a value that is not allowed
    names = [str(one).strip().lower() for one in value]
    if not all(names):
        raise ValueError
    return tuple(dict.fromkeys(names))


class Quality(BaseSettings):
    """A part of the settings; see ``Settings``."""

    completeness_minimum: float = setting(
        0.95, "Least share of the expected bars for the check to pass.", "0 to 1", ge=0, le=1
    )
    sessions_late: int = setting(
        1, "Sessions that a series may be late for the check to pass.", "0 to 30", ge=0, le=30
    )
    gap_tolerance: int = setting(
        5,
        "Expected bars in a row that may be absent for the check to pass.",
        f"0 to {_MOST_BARS}",
        ge=0,
        le=_MOST_BARS,
    )
    spike_limit: float = setting(
        0.5,
        "Move from one close to the next that is a spike, as a share of the first; twice as much "
        "in a week.",
        "above 0, up to 100",
        gt=0,
        le=100,
    )
    spike_z: float = setting(
        6.0,
        "Robust standard deviations by which a price stands out for it to be a spike, too; what is "
        "no spike whatever the market stays none.",
        "6 to 1000",
        ge=6,
        le=1000,
    )
    zero_volume_bars: int = setting(
        5,
        "Fewer bars in a row without volume are never odd.",
        f"5 to {_MOST_BARS}",
        ge=5,
        le=_MOST_BARS,
    )
    flat_bars: int = setting(
        5,
        "Fewer bars in a row at one price are never odd.",
        f"5 to {_MOST_BARS}",
        ge=5,
        le=_MOST_BARS,
    )
    agreement_tolerance: float = setting(
        0.02,
        "How far a bar may be from what finer bars make of it, as a share of its close.",
        "0 to 1",
        ge=0,
        le=1,
    )
    agreement_minimum: float = setting(
        0.95,
        "Least share of bars that agree with finer ones for the check to pass.",
        "0 to 1",
        ge=0,
        le=1,
    )
    rollover_limit: float = setting(
        0.05,
        "Move of a future from a close to the next open that only a rollover explains.",
        "above 0, up to 10",
        gt=0,
        le=10,
    )
    thin_volume: float = setting(
        0.02,
        "Share of its usual volume below which a future is traded no more.",
        "0 to 1",
        ge=0,
        le=1,
    )
    quality_weights: Annotated[
        dict[str, float], BeforeValidator(as_weights), AfterValidator(known_weights)
    ] = setting(
        dict,
        "What single rules count in the score, where that is not 1; 0 leaves a rule out of it.",
        "rule=weight pairs such as completeness=3,freshness=0.5, or none",
        said="each rule counts 1",
    )
    quality_off: Annotated[tuple[str, ...], BeforeValidator(as_names)] = setting(
        (),
        "Rules that are not applied; docs/quality.md lists them.",
        "rules with commas between, such as zero_volume,flat_runs, or none",
        said="none",
    )
    check_error_share: float = setting(
        0.1,
        "Share of failing series above which a check that fails is an error, not a warning.",
        "0 to 1",
        ge=0,
        le=1,
    )
    check_error_score: float = setting(
        0.0,
        "Score of any series below which it is one, too.",
        "0 to 1",
        ge=0,
        le=1,
    )
    checks_block: bool = setting(
        False,  # noqa: FBT003 - the default of a setting
        "Whether a run fails whose checks end with an error.",
        "true or false",
        said="`false`",
    )
    reports_kept: Days = setting(
        timedelta(days=90),
        "Days for which earlier reports on a series' quality stay; the last one always does.",
        "days, 0 or more",
        said="`90`",
        ge=timedelta(0),
    )

    @property
    def thresholds(self) -> Thresholds:
        """What the rules are measured by."""
        return Thresholds(
            completeness=self.completeness_minimum,
            sessions_late=self.sessions_late,
            gap_tolerance=self.gap_tolerance,
            spike=self.spike_limit,
            spike_z=self.spike_z,
            zero_volume_bars=self.zero_volume_bars,
            flat_bars=self.flat_bars,
            agreement=self.agreement_tolerance,
            agreeing=self.agreement_minimum,
            rollover=self.rollover_limit,
            thin_volume=self.thin_volume,
            weights=self.quality_weights,
            off=frozenset(self.quality_off),
        )

    @property
    def severity(self) -> Severity:
        """When a check that fails is an error."""
        return Severity(self.check_error_share, self.check_error_score, self.checks_block)
