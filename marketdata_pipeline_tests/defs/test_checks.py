"""Asset checks: a verdict over every series, which can fail."""

from base64 import b64decode
from datetime import timedelta
from xml.etree import ElementTree as ET

import dagster as dg
import pandas as pd
import pytest
from sqlalchemy import update

from marketdata_pipeline.database.engine import writing
from marketdata_pipeline.database.metadata import chunks
from marketdata_pipeline.defs.checks import check_specs
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Basis
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Severity
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.quality.rules import RULES
from marketdata_pipeline.store.write import Fetch, FetchKind, State, Write
from marketdata_pipeline_tests.defs.stage import Choosy, Stage, checks, failure, worst
from marketdata_pipeline_tests.ingest.world import day, days, walk

AAPL = Series.parse("AAPL|1d")


def _store(stage: Stage, bars: pd.DataFrame) -> None:
    """Past everything that judges bars, as a faulty writer would."""
    now = stage.world.clock.wall_now() + timedelta(days=30)  # the later fetch wins
    fetch = Fetch(
        kind=FetchKind.REPLY,
        provider="truth",
        origin="truth",
        window=TimeRange(bars.index[0], bars.index[-1] + timedelta(days=1)),
        basis=Basis.RAW,
        currency="USD",
        market_at=now,
        fetched_at=now,
    )
    version = stage.world.store.versions([AAPL])[AAPL]
    write = Write(AAPL, fetch, bars, state=State.FINAL, reason="a faulty writer")
    stage.world.store.commit(write, expected_version=version)


def spoil(stage: Stage, label: str) -> None:
    """A stored, final bar of AAPL whose high is below its low."""
    at = day(label)
    within = TimeRange(at, at + timedelta(days=1))
    bar = stage.world.store.read(AAPL, within)
    _store(stage, bar.assign(high=bar["low"] - 1))


def test_each_rule_is_a_check_that_says_what_it_looks_at() -> None:
    specs = {one.name: one for one in check_specs(dg.AssetKey("ohlcv"))}
    assert list(specs) == list(RULES)
    assert specs["bars_contract"].description == (
        "Stored bars still keep every hard rule. Over all series."
    )
    assert not any(one.blocking for one in specs.values())


def test_good_bars_pass_every_check_and_the_first_line_says_over_what(stage: Stage) -> None:
    stage.by_key("MSFT|1d")
    found = checks(stage.by_key("AAPL|1d"))
    assert set(found) == set(RULES)
    nowhere = {"agreement", "coverage_holds"} | {"rollover", "contract_volume"}
    nowhere |= {"contract_month", "expiry"}
    for name in nowhere:
        assert found.pop(name).description == "there is no series that it applies to"
    for one in found.values():
        assert one.passed
        assert one.severity is dg.AssetCheckSeverity.WARN
        assert one.description == "over all 2 series; this run: 1 of 1 ok"
        assert next(iter(one.metadata)) == "scope"
        assert one.metadata["scope"].value == one.description
        assert one.metadata["series"].value == 2
        assert one.metadata["failing"].value == 0
        assert one.metadata["worst"].value == "none"
        assert one.metadata["mean_score"].value == one.metadata["lowest_score"].value == 1.0


def test_a_stored_bar_that_breaks_a_hard_rule_turns_the_contract_red(
    stage: Stage, provider: Choosy
) -> None:
    provider.lacking = {day("2024-02-14")}
    stage.by_key("AAPL|1d")
    bad = stage.world.store.read(AAPL).loc[[day("2024-03-15")]]
    _store(stage, bad.assign(high=bad["low"] - 1))
    provider.lacking = set()
    stage.world.clock.advance(timedelta(days=3))  # the hole and a new day: around the bad bar
    red = checks(stage.by_key("AAPL|1d"))["bars_contract"]
    assert not red.passed
    assert red.severity is dg.AssetCheckSeverity.ERROR, "all series fail"
    assert "| AAPL&#124;1d | 0.000 | AAPL&#124;1d: 1 bars break a hard rule, first low_high at" in (
        worst(red)
    )


def test_a_red_series_stays_red_in_runs_of_others(stage: Stage) -> None:
    stage.by_key("AAPL|1d")
    stage.world.verdicts.put(AAPL, {"bars_contract": _failed()})
    found = checks(stage.by_key("MSFT|1d"))["bars_contract"]
    assert not found.passed
    assert found.description == "over all 2 series; this run: 1 of 1 ok; 1 fail"
    assert found.metadata["mean_score"].value == pytest.approx(0.5)


def test_a_red_series_turns_green_once_it_is_right_again(stage: Stage) -> None:
    stage.by_key("AAPL|1d")
    stage.world.verdicts.put(AAPL, {"bars_contract": _failed()})
    assert checks(stage.by_key("AAPL|1d"))["bars_contract"].passed


def test_bytes_that_rot_in_the_store_fail_the_run_with_a_sentence(stage: Stage) -> None:
    stage.by_key("AAPL|1d")
    stage.world.verdicts.put(AAPL, {"bars_contract": _failed()})
    with writing(stage.world.home.engine) as connection:
        connection.execute(update(chunks).values(data=b"rot"))
    result = stage.by_key("AAPL|1d")
    said = failure(result).description
    assert said is not None
    assert "AAPL|1d" in said
    assert "\n" not in said


def test_absent_bars_turn_completeness_red(stage: Stage, provider: Choosy) -> None:
    provider.truth = {AAPL: walk(AAPL, days("2023-06-01", "2024-03-16"))}
    found = checks(stage.by_key("AAPL|1d"))
    assert not found["completeness"].passed
    assert "54 of 253 expected bars absent" in worst(found["completeness"])
    assert found["completeness"].metadata["lowest_score"].value == round(1 - 54 / 253, 4)
    assert found["freshness"].passed


def test_a_series_that_stops_turns_freshness_red(stage: Stage, provider: Choosy) -> None:
    stage.by_key("AAPL|1d")
    provider.down = {"AAPL"}
    stage.world.clock.advance(timedelta(days=4))
    found = checks(stage.by_key("AAPL|1d"))["freshness"]
    assert not found.passed
    assert "2 expected bars behind" in worst(found)


def test_freshness_ages_while_nobody_looks(stage: Stage) -> None:
    stage.track("AAPL", "MSFT")
    stage.by_config("AAPL|1d", "MSFT|1d")
    stage.world.clock.advance(timedelta(days=30))
    found = checks(stage.by_key("AAPL|1d"))
    assert found["freshness"].description == "over all 2 series; this run: 0 of 1 ok; 2 fail"
    assert "| MSFT&#124;1d |" in worst(found["freshness"])
    assert "19 expected bars behind" in worst(found["freshness"])


def test_a_typo_that_is_tracked_no_longer_leaves_the_checks_alone(
    stage: Stage, provider: Choosy
) -> None:
    provider.unknown = {"AAPLE"}
    stage.track("AAPL", "AAPLE")
    red = checks(stage.by_config("AAPL|1d", "AAPLE|1d"))
    assert not red["completeness"].passed
    stage.world.tracking.remove(Series.parse("AAPLE|1d").instrument)
    found = checks(stage.by_key("AAPL|1d"))
    assert all(one.passed for one in found.values())
    assert found["freshness"].description == "over all 1 series; this run: 1 of 1 ok"
    assert found["completeness"].description == found["freshness"].description


def test_the_table_of_the_worst_ends_after_twenty(stage: Stage) -> None:
    for number in range(30):
        stage.track(f"A{number}")
        stage.world.verdicts.put(Series.parse(f"A{number}|1d"), {"freshness": _failed()})
    found = checks(stage.by_key("AAPL|1d"))["freshness"]
    assert found.metadata["failing"].value == 30
    assert worst(found).count("\n") == 22


def _failed() -> Verdict:
    return Verdict(passed=False, score=0.0, detail="bad")


def test_few_failing_series_are_a_warning_and_many_an_error(stage: Stage) -> None:
    for number in range(12):
        stage.track(f"A{number}")
        stage.world.verdicts.put(Series.parse(f"A{number}|1d"), {"freshness": _good()})
    stage.world.verdicts.put(Series.parse("A3|1d"), {"spikes": _failed()})
    for number in range(11):
        stage.world.verdicts.put(Series.parse(f"A{number}|1d"), {"gaps": _good()})
    stage.world.verdicts.put(Series.parse("A11|1d"), {"gaps": _failed()})
    found = checks(stage.by_key("AAPL|1d"))
    assert found["gaps"].severity is dg.AssetCheckSeverity.WARN, "1 of 13"
    assert found["spikes"].severity is dg.AssetCheckSeverity.ERROR, "1 of 2"
    stage.severity = Severity(score=0.5)
    assert checks(stage.by_key("AAPL|1d"))["gaps"].severity is dg.AssetCheckSeverity.ERROR


def test_a_failing_check_shows_its_scores_in_a_small_picture(stage: Stage) -> None:
    stage.by_key("AAPL|1d")
    stage.world.verdicts.put(AAPL, {"spikes": Verdict(passed=False, score=0.34, detail="bad")})
    found = checks(stage.by_key("MSFT|1d"))
    picture = str(found["spikes"].metadata["scores"].value)
    assert len(picture) < 10_000
    svg = b64decode(picture.partition("base64,")[2].rstrip(")")).decode()
    title = next(iter(ET.fromstring(svg)))  # noqa: S314 - ours
    assert title.text == "spikes: series by score"
    assert svg.count("<rect") == 2
    assert "scores" not in found["gaps"].metadata, "nothing fails there"


def test_an_error_fails_the_run_only_where_checks_block(stage: Stage) -> None:
    stage.by_key("AAPL|1d")
    stage.world.verdicts.put(AAPL, {"spikes": _failed()})
    assert stage.by_key("MSFT|1d").success
    stage.severity = Severity(blocking=True)
    result = stage.by_key("MSFT|1d")
    assert str(failure(result).description).startswith("1 checks failed with an error, first: spik")
    assert stage.materialized() == {"AAPL|1d", "MSFT|1d"}, "what was stored stays shown"
    stage.severity = Severity(share=0.9, blocking=True)
    assert stage.by_key("MSFT|1d").success, "a warning blocks nothing"


def test_the_first_check_tells_how_the_batch_of_the_run_stands(
    stage: Stage, provider: Choosy
) -> None:
    provider.truth = {
        **provider.truth,
        AAPL: walk(AAPL, days("2023-06-01", "2024-03-16")),
    }
    found = checks(stage.by_config("AAPL|1d", "MSFT|1d"))["bars_contract"].metadata
    assert found["run_valid"].value is False
    assert found["run_series_valid"].value == "1 of 2"
    assert 0 < float(str(found["run_lowest_score"].value)) < 1
    assert "| AAPL&#124;1d |" in str(found["run_worst"].value)
    assert "completeness" in str(found["run_worst"].value)


def test_a_run_by_config_has_results_of_what_it_has_news_of_only(stage: Stage) -> None:
    stage.track("AAPL")
    found = set(checks(stage.by_config("AAPL|1d")))
    assert {"bars_contract", "completeness", "freshness", "spikes"} <= found
    assert not found & {"rollover", "expiry", "agreement", "coverage_holds"}
    assert set(checks(stage.by_key("AAPL|1d"))) == set(RULES)


def _good() -> Verdict:
    return Verdict(passed=True, score=1.0, detail="good")
