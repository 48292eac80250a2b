"""Settings of quality: thresholds, weights and switches become one value; bad ones are named."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from marketdata_pipeline.config import Settings, load_settings
from marketdata_pipeline.domain.thresholds import Severity, Thresholds
from marketdata_pipeline.errors import SettingsError


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory, no setting in the environment."""
    for name in list(os.environ):
        if name.startswith("MARKETDATA_") or name == "DAGSTER_HOME":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def loaded(monkeypatch: pytest.MonkeyPatch, **given: str) -> Settings:
    for name, value in given.items():
        monkeypatch.setenv(f"MARKETDATA_{name}", value)
    return load_settings()


def test_without_any_the_rules_have_their_own_thresholds() -> None:
    assert load_settings().thresholds == Thresholds()
    assert load_settings().severity == Severity()
    assert load_settings().reports_kept == timedelta(days=90)


def test_each_setting_reaches_its_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    found = loaded(
        monkeypatch,
        COMPLETENESS_MINIMUM="0.9",
        SESSIONS_LATE="3",
        GAP_TOLERANCE="2",
        SPIKE_LIMIT="0.8",
        SPIKE_Z="9",
        ZERO_VOLUME_BARS="7",
        FLAT_BARS="8",
        AGREEMENT_TOLERANCE="0.01",
        AGREEMENT_MINIMUM="0.99",
        ROLLOVER_LIMIT="0.1",
        THIN_VOLUME="0.05",
        QUALITY_WEIGHTS="completeness=3, freshness = 0.5",
        QUALITY_OFF="zero_volume,flat_runs",
        CHECK_ERROR_SHARE="0.5",
        CHECK_ERROR_SCORE="0.25",
        CHECKS_BLOCK="true",
    )
    assert found.thresholds == Thresholds(
        completeness=0.9,
        sessions_late=3,
        gap_tolerance=2,
        spike=0.8,
        spike_z=9,
        zero_volume_bars=7,
        flat_bars=8,
        agreement=0.01,
        agreeing=0.99,
        rollover=0.1,
        thin_volume=0.05,
        weights={"completeness": 3.0, "freshness": 0.5},
        off=frozenset({"zero_volume", "flat_runs"}),
    )
    assert found.severity == Severity(share=0.5, score=0.25, blocking=True)


def test_none_is_no_weight_and_no_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    found = loaded(monkeypatch, QUALITY_WEIGHTS="none", QUALITY_OFF="None")
    assert found.thresholds == Thresholds()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("QUALITY_WEIGHTS", "spikes", "rule=weight pairs such as completeness=3,freshness=0.5"),
        ("QUALITY_WEIGHTS", "spikes=-1", "rule=weight pairs"),
        ("QUALITY_WEIGHTS", "spikes=nan", "rule=weight pairs"),
        ("QUALITY_OFF", "spikes,,gaps", "rules with commas between"),
        ("GAP_TOLERANCE", "-1", "0 to 10000"),
        ("SPIKE_LIMIT", "0", "above 0, up to 100"),
        ("SPIKE_Z", "3", "6 to 1000"),
        ("COMPLETENESS_MINIMUM", "95", "0 to 1"),
        ("CHECK_ERROR_SHARE", "2", "0 to 1"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_what_it_may_be(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=f"MARKETDATA_{name} is .*it must be {said}"):
        loaded(monkeypatch, **{name: value})
