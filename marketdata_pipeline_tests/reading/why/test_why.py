"""`why` gives the one right reason, in each of many labelled situations."""

import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from marketdata_pipeline.domain.coverage import SpanKind
from marketdata_pipeline.domain.gap import GapState
from marketdata_pipeline.domain.ranges import MICROSECOND, TimeRange
from marketdata_pipeline.domain.reason import Reason
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.reading.why.answer import Source
from marketdata_pipeline.reading.why.ask import Told, why
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.reading.why.cases import CASES, FEBRUARY, Case, keyed
from marketdata_pipeline_tests.reading.why.scene import Scene, at, between

PARTS = 4
"""A test is to take seconds."""
TROUBLE = {"rate_limited", "circuit_open", "blocked", "unavailable", "timeout", "credentials"}


def ask(scene: Scene, label: str, sources: tuple[Source, ...] = (Source("yahoo"),)) -> list[Told]:
    within = TimeRange(at(label), at(label) + MICROSECOND)
    return why(scene.witnesses, scene.series, within, sources)


@pytest.fixture
def scene(engine: Engine, tmp_path: Path) -> Scene:
    return Scene(engine, tmp_path / "bars", FrozenClock(), Series.parse("AAPL|1d"))


def scenes(scene: Scene, part: int) -> list[tuple[Case, Scene]]:
    """Every fourth situation, all of them in one catalog."""
    made = [
        (
            case,
            Scene(scene.engine, scene.folder, scene.clock, Series.parse(f"{key}|{case.timeframe}")),
        )
        for case, key in list(keyed())[part::PARTS]
    ]
    for case, one in made:
        case.situation(one)
    return made


@pytest.mark.parametrize("part", range(PARTS))
def test_each_case_has_its_one_reason_and_trouble_is_no_delisting(scene: Scene, part: int) -> None:
    wrong = []
    for case, one in scenes(scene, part):
        (told,) = ask(one, case.label, case.sources)
        answer = told.answer
        if answer.reason is not case.reason or case.words not in answer.text:
            wrong.append(f"{case.name}: {answer.reason}: {answer.text}")
        error = one.witnesses.of(one.series, FEBRUARY).error
        if error is not None and error.category in TROUBLE:
            assert "delisted" not in f"{answer.reason} {answer.text}", case.name
    assert wrong == []


def test_there_are_enough_cases_of_every_reason() -> None:
    assert len(CASES) >= 60
    assert len({one.name for one in CASES}) == len(CASES)
    assert {one.reason for one in CASES} == set(Reason)


def test_what_a_gap_can_be_is_a_reason_of_the_same_word() -> None:
    assert {str(one) for one in GapState} <= {one.value for one in Reason}


def test_a_range_is_told_in_stretches_of_one_answer(scene: Scene) -> None:
    scene.answered(FEBRUARY, lacking=between("2024-02-14", "2024-02-16"))
    scene.tracked(since=at("2024-01-15"))
    told = why(
        scene.witnesses, scene.series, between("2024-01-10", "2024-03-02"), [Source("yahoo")]
    )
    assert [(one.answer.reason.value, f"{one.first:%m-%d}", f"{one.last:%m-%d}", one.bars)
            for one in told] == [
        ("before_since", "01-10", "01-12", 3),
        ("never_asked", "01-16", "01-31", 12),
        ("stored", "02-01", "02-13", 9),
        ("new", "02-14", "02-15", 2),
        ("stored", "02-16", "02-29", 9),
        ("never_asked", "03-01", "03-01", 1),
    ]  # fmt: skip


def test_a_range_without_any_bar_is_answered_for_its_first_label(scene: Scene) -> None:
    (told,) = why(scene.witnesses, scene.series, between("2024-03-09", "2024-03-11"), [])
    assert (told.answer.reason, told.bars) == (Reason.NO_SESSION, 1)


def test_too_long_a_range_is_refused(scene: Scene) -> None:
    minutes = Series.parse("BTC-USD|1m")
    with pytest.raises(BadInput, match="ask for 5000 at most"):
        why(scene.witnesses, minutes, between("2024-03-01", "2024-03-06"), [])


def test_evidence_names_fetch_and_provider(scene: Scene) -> None:
    scene.answered(FEBRUARY)
    (told,) = ask(scene, "2024-02-14")
    evidence = told.answer.evidence
    assert evidence["provider"] == "yahoo"
    assert evidence["fetch"] == 1
    assert evidence["fetched_at"] == scene.clock.market_now()


def test_an_answer_takes_a_tenth_of_a_second_at_most(scene: Scene) -> None:
    scene.answered(between("2012-02-01", "2024-03-16"))
    for back in range(40):
        asked = at("2024-03-15T21:00") - timedelta(hours=back)
        scene.covered(TimeRange(asked, asked + MICROSECOND), SpanKind.HOLE, recheck=asked)
    ask(scene, "2024-02-14")
    took = []
    for _ in range(5):
        begun = time.perf_counter()
        ask(scene, "2024-02-14")
        took.append(time.perf_counter() - begun)
    assert min(took) < 0.1
