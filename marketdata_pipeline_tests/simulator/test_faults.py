"""The faults that are switched on, and which of them befall a request."""

import pytest

from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.fault import Fault, Target
from marketdata_pipeline.simulator.faults import KINDS, Faults, Taken
from marketdata_pipeline.simulator.on_answer import ON_ANSWER
from marketdata_pipeline.simulator.on_listing import ON_LISTING


def befallen(faults: Faults, requests: int) -> list[int]:
    return [len(faults.take(Target.CHART, "AAPL").faults) for _ in range(requests)]


def test_faults_are_counted_down() -> None:
    faults = Faults()
    faults.add(Fault("empty", times=2))
    assert befallen(faults, 1) == [1]
    assert faults.active() == (Fault("empty", times=1),)
    assert befallen(faults, 2) == [1, 0]
    assert faults.active() == ()


def test_two_equal_faults_count_each_for_itself() -> None:
    faults = Faults()
    faults.add(Fault("empty", times=1), Fault("empty", times=1))
    assert len(faults.take(Target.CHART).faults) == 2
    assert faults.active() == ()


def test_faults_without_a_number_stay_until_cleared() -> None:
    faults = Faults()
    faults.add(Fault("empty"), Fault("slow"))
    assert befallen(faults, 3) == [2, 2, 2]
    faults.clear()
    assert faults.take(Target.CHART) == Taken()


def test_a_fault_may_be_for_one_symbol_or_one_route() -> None:
    faults = Faults()
    faults.add(Fault("empty", symbol="msft", times=1), Fault("html", target=Target.CRUMB, times=1))
    assert faults.take(Target.CHART, "AAPL") == Taken()
    assert [one.kind for one in faults.take(Target.CHART, "MSFT").faults] == ["empty"]
    assert [one.kind for one in faults.take(Target.CRUMB).faults] == ["html"]


def test_a_fault_may_befall_a_share_of_the_requests() -> None:
    faults = Faults()
    faults.add(Fault("empty", share=0.1))
    assert sum(befallen(faults, 2000)) == pytest.approx(200, abs=40)


def test_dice_of_a_seed_fall_the_same_again_and_of_another_one_otherwise() -> None:
    fallen = []
    for seed in (1, 1, 2):
        faults = Faults(seed)
        faults.add(Fault("empty", share=0.5))
        fallen.append(befallen(faults, 64))
    assert fallen[0] == fallen[1] != fallen[2]


def test_switched_off_and_on_again_faults_befall_the_same_requests() -> None:
    faults = Faults()
    faults.add(Fault("empty", share=0.5))
    first = befallen(faults, 64)
    faults.clear()
    faults.add(Fault("empty", share=0.5))
    assert befallen(faults, 64) == first


def test_equal_faults_with_a_share_fall_each_for_itself() -> None:
    faults = Faults()
    faults.add(Fault("empty", share=0.5), Fault("empty", share=0.5))
    assert set(befallen(faults, 200)) == {0, 1, 2}


def test_a_share_counts_only_the_requests_that_it_befell() -> None:
    faults = Faults()
    faults.add(Fault("empty", share=0.1, times=5))
    assert sum(befallen(faults, 1000)) == 5
    assert faults.active() == ()


def test_a_request_that_a_fault_is_not_for_throws_no_dice() -> None:
    alone, amid = Faults(), Faults()
    for faults in (alone, amid):
        faults.add(Fault("empty", share=0.5, symbol="AAPL"))
    wanted = befallen(alone, 64)
    found = []
    for _ in range(64):
        amid.take(Target.CHART, "MSFT")
        found += befallen(amid, 1)
    assert found == wanted


def test_what_is_no_fault_is_refused_with_the_whole_list_of_kinds() -> None:
    faults = Faults()
    with pytest.raises(BadInput, match="'typo' is no fault; use one of drop, null,"):
        faults.add(Fault("empty"), Fault("typo"))
    assert faults.active() == ()


def test_each_kind_is_in_one_table() -> None:
    assert not set(ON_ANSWER) & set(ON_LISTING)
    assert set(KINDS) == set(ON_ANSWER) | set(ON_LISTING)
