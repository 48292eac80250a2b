"""How quotas and their steps are spelled."""

import pytest

from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.quota import Quota, Step, in_order, quotas_of, spelled


@pytest.mark.parametrize("text", ["", "5", "5/0", "0/5", "a/b", "-1/5", "1/2/3", "1.5/2"])
def test_a_quota_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadInput, match="2000/3600"):
        Quota.parse(text)


def test_a_quota_is_spelled_requests_in_seconds() -> None:
    assert Quota.parse(" 2000/3600 ") == Quota(2000, 3600)
    assert str(Quota(2000, 3600)) == "2000/3600"


def test_several_quotas_are_spelled_with_commas() -> None:
    several = (Quota(10, 1), Quota(600, 60))
    assert quotas_of("10/1, 600/60") == several
    assert spelled(several) == "10/1,600/60"
    assert quotas_of("10/1,600/60") == several
    assert spelled(()) is None


def test_a_step_is_spelled_with_the_second_that_it_comes_after() -> None:
    assert Step.parse("30/60@600") == Step(600, (Quota(30, 60),))
    assert Step.parse("10/1,600/60") == Step(0, (Quota(10, 1), Quota(600, 60)))


@pytest.mark.parametrize("text", ["", "@5", "30/60@", "30/60@soon", "30/60@1@2", "30/60,@5"])
def test_a_step_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadInput, match=r"2000/3600|30/60@600"):
        Step.parse(text)


@pytest.mark.parametrize("after", [-1.0, float("nan"), float("inf")])
def test_a_step_comes_at_a_time_that_can_be(after: float) -> None:
    with pytest.raises(BadInput, match="0 or more"):
        Step(after)


def test_a_schedule_is_in_order() -> None:
    steps = (Step(0), Step(5), Step(6))
    assert in_order(steps) == steps
    for wrong in ((Step(5), Step(0)), (Step(5), Step(5))):
        with pytest.raises(BadInput, match="after the one before it"):
            in_order(wrong)
