"""A report: what JSON holds of it, what tells two apart, what is kept of the one before."""

import json
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.report import Report
from marketdata_pipeline.domain.verdict import Finding

NOON = datetime(2024, 3, 15, 12, tzinfo=UTC)
DAY = TimeRange(datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 2, tzinfo=UTC))
SPIKE = Finding("spikes", DAY, "the close moves +80 %", {"move": 0.8, "price": "close"})
REPORT = Report(
    market_at=NOON,
    is_valid=False,
    score=0.75,
    scores={"gaps": 1.0, "spikes": 0.5},
    errors={"spikes": "1 spike"},
    gaps=(DAY,),
    gap_count=1,
    longest_gap=1,
    findings=(SPIKE,),
)

instants = st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive, the zone comes beside
ranges = st.tuples(instants, instants).filter(lambda one: one[0] < one[1])
spans = ranges.map(lambda one: TimeRange(*one))
names = st.sampled_from(["gaps", "spikes", "columns"])
findings = st.builds(
    Finding,
    names,
    spans,
    st.text(max_size=9),
    st.dictionaries(st.text(max_size=5), st.integers() | st.booleans() | st.text(max_size=5)),
)
reports = st.builds(
    Report,
    market_at=instants,
    is_valid=st.booleans(),
    score=st.integers(0, 1000).map(lambda one: one / 1000),
    scores=st.dictionaries(names, st.integers(0, 1000).map(lambda one: one / 1000)),
    errors=st.dictionaries(names, st.text(max_size=9)),
    gaps=st.lists(spans, max_size=3).map(tuple),
    gap_count=st.integers(0, 9),
    longest_gap=st.integers(0, 9),
    duplicates=st.integers(0, 3),
    missing_columns=st.lists(st.sampled_from(["open", "volume"]), max_size=2).map(tuple),
    dtypes_valid=st.booleans(),
    logically_consistent=st.booleans(),
    findings=st.lists(findings, max_size=3).map(tuple),
)


@given(reports)
def test_json_holds_all_of_it(report: Report) -> None:
    assert Report.of_json(json.loads(json.dumps(report.as_json()))) == report


@given(reports, reports)
def test_saying_the_same_goes_both_ways(left: Report, right: Report) -> None:
    assert left.says_the_same_as(left)
    assert left.says_the_same_as(right) == right.says_the_same_as(left)


def test_neither_time_nor_words_nor_a_hair_of_the_score_make_another_report() -> None:
    later = replace(REPORT, market_at=NOON.replace(hour=13), score=0.7501)
    assert later.says_the_same_as(REPORT)
    assert replace(REPORT, errors={"spikes": "still 1 spike"}).says_the_same_as(REPORT)
    assert not replace(REPORT, score=0.74).says_the_same_as(REPORT)
    assert not replace(REPORT, gaps=()).says_the_same_as(REPORT)
    assert not replace(REPORT, findings=()).says_the_same_as(REPORT)
    assert not replace(REPORT, errors={}).says_the_same_as(REPORT)


def test_where_no_bar_was_looked_at_what_was_said_of_them_before_stays() -> None:
    before = replace(REPORT, duplicates=2, logically_consistent=False)
    blind = replace(REPORT, findings=(), looked=False)
    assert blind.after(before) == replace(before, looked=False)
    assert blind.after(None) == blind


def test_what_a_rule_found_before_goes_once_it_holds() -> None:
    blind = replace(REPORT, errors={}, findings=(), looked=False)
    assert blind.after(REPORT).findings == ()
