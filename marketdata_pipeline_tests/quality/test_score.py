"""The score, thresholds, weights and switches; when a failing rule is an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.thresholds import Severity, Thresholds
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.errors import SettingsError
from marketdata_pipeline.quality.rules import RULES, refuse_unknown, score_of

verdicts = st.dictionaries(
    st.sampled_from(list(RULES)),
    st.floats(0, 1).map(lambda one: Verdict(passed=one > 0.5, score=one, detail="")),
    min_size=1,
)
weights = st.dictionaries(st.sampled_from(list(RULES)), st.floats(0, 10))


@given(verdicts, weights)
def test_a_score_lies_between_the_lowest_and_the_highest(
    found: dict[str, Verdict], given_weights: dict[str, float]
) -> None:
    score = score_of(found, Thresholds(weights=given_weights))
    scores = [one.score for one in found.values()]
    assert 0 <= score <= 1
    if any(Thresholds(weights=given_weights).weight(name) for name in found):
        assert min(scores) - 1e-9 <= score <= max(scores) + 1e-9


@given(verdicts, st.floats(0.1, 9))
def test_only_the_ratio_of_weights_matters(found: dict[str, Verdict], factor: float) -> None:
    scaled = Thresholds(weights=dict.fromkeys(RULES, factor))
    assert score_of(found, scaled) == pytest.approx(score_of(found, Thresholds()))


def test_a_rule_without_weight_changes_nothing() -> None:
    bad = Verdict(passed=False, score=0.0, detail="")
    good = Verdict(passed=True, score=1.0, detail="")
    found = {"spikes": bad, "gaps": good}
    assert score_of(found, Thresholds()) == 0.5
    assert score_of(found, Thresholds(weights={"spikes": 3})) == 0.25
    assert score_of(found, Thresholds(weights={"spikes": 0})) == 1.0
    assert score_of({}, Thresholds()) == 1.0


def test_a_rule_that_does_not_exist_is_refused_by_name() -> None:
    known = Thresholds(weights={"spikes": 2}, off=frozenset({"gaps"}))
    assert refuse_unknown(known) is known
    with pytest.raises(SettingsError, match="MARKETDATA_QUALITY_WEIGHTS names 'gap', which"):
        refuse_unknown(Thresholds(weights={"gap": 2}))


def test_few_that_fail_are_a_warning_many_or_very_bad_ones_an_error() -> None:
    severity = Severity(share=0.1, score=0.2)
    assert not severity.is_error(series=100, failing=10, lowest=0.5)
    assert severity.is_error(series=100, failing=11, lowest=0.5)
    assert severity.is_error(series=100, failing=1, lowest=0.1)
    assert not severity.is_error(series=0, failing=0, lowest=1.0)


@pytest.mark.parametrize("name", list(RULES))
def test_each_rule_says_in_one_line_what_holds(name: str) -> None:
    assert RULES[name].says.endswith(".")
    assert name.islower()
