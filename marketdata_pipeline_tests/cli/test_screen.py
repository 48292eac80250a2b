"""The screen of a home, as text."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console, ConsoleDimensions

from marketdata_pipeline.cli.screen import Picture, screen
from marketdata_pipeline.domain.gate import Turns
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.tiers import Pace, Tier, Wishes
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.orchestrator import Door, Runs, RunState
from marketdata_pipeline.reading.cadence import Cadence, Load
from marketdata_pipeline.reading.status import ClassCoverage, Status
from marketdata_pipeline.store.totals import Written

NOW = datetime(2024, 3, 15, 16, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EQUITY, CRYPTO = AssetClass.EQUITY, AssetClass.CRYPTO
H1, H4, D1 = Timeframe.H1, Timeframe.H4, Timeframe.D1
YAHOO = Turns("yahoo", 2000, 200, timedelta(seconds=2), 150, NOW, None)


def cadence(timeframe: Timeframe, behind: timedelta | None, updated: timedelta | None) -> Cadence:
    return Cadence(
        timeframe,
        4000,
        3000,
        Wishes().every(Tier.OTHER, timeframe),
        behind,
        updated,
        4000.0,
        3000.0,
    )


def covered(
    kind: AssetClass, timeframe: Timeframe, completeness: float, failing: int = 0
) -> ClassCoverage:
    return ClassCoverage(kind, timeframe, 4000, 3900, completeness, failing)


STATUS = Status(
    market_now=NOW,
    wall_now=NOW,
    coverage=(
        covered(EQUITY, H1, 0.98765, failing=7),
        covered(EQUITY, D1, 1.0),
        covered(CRYPTO, H1, 0.5),
    ),
    cadences=(
        cadence(H1, 60 * MINUTE, 12 * MINUTE),
        cadence(H4, timedelta(0), 12 * MINUTE),
        cadence(D1, None, None),
    ),
    turns=(YAHOO,),
    load=Load(8000, 1800, H1, timedelta(hours=4, minutes=27)),
    minute=Written(30, 600),
    hour=Written(1800, 36_000),
)
UNDER_WAY = RunState(
    "0a1b2c3d-rest", "started", Door.CONFIG, 700, 350, NOW - 5 * MINUTE, None, 7 * MINUTE
)
WAITING = RunState("1b2c3d4e-rest", "queued", Door.SCHEDULE, 700, None, NOW - MINUTE, None)
ENDED = RunState(
    "2c3d4e5f-rest", "failure", Door.KEYED, 1, None, NOW - 9 * MINUTE, NOW - 8 * MINUTE
)
RUNS = Runs((UNDER_WAY, WAITING, ENDED), under_way=1, waiting=12)
PICTURE = Picture("home /here (live), market time 2024-03-15 16:00 UTC", STATUS, RUNS)


def drawn(picture: Picture, width: int = 112, height: int | None = None) -> list[str]:
    """The lines of the screen, without frames and outer blanks."""
    console = Console(width=width, height=height, color_system=None, force_terminal=False)
    size = None if height is None else ConsoleDimensions(width, height)
    with console.capture() as captured:
        console.print(screen(picture, size))
    return [line.strip("│╭╮╰╯─ ") for line in captured.get().splitlines()]


def words(line: str) -> list[str]:
    return line.replace("━", "").replace("╺", "").replace("╸", "").split()


def test_runs_say_state_door_progress_and_age() -> None:
    lines = drawn(PICTURE)
    assert lines[1].endswith("1 under way, 12 waiting")
    assert [" ".join(words(one)) for one in lines[2:5]] == [
        "● started config 0a1b2c3d 350 of 700 series for 5 min, 7 min left",
        "● queued schedule 1b2c3d4e 700 series for 1 min",
        "● failure keyed 2c3d4e5f 1 series 8 min ago, took 1 min",
    ]


def test_turns_and_rates_are_said_of_each_provider() -> None:
    status = replace(STATUS, turns=(YAHOO, replace(YAHOO, provider="tiingo", free=0)))
    lines = [" ".join(words(one)) for one in drawn(replace(PICTURE, status=status))]
    assert "yahoo 150 of 200 turns free; 2,000 an hour, one every 2 s" in lines
    assert "tiingo 0 of 200 turns free; 2,000 an hour, one every 2 s; the next in 0 s" in lines
    assert "last minute 30 requests answered, 600 bars written" in lines
    assert "last hour 1,800 requests answered, 36,000 bars written" in lines


def test_a_cadence_sets_the_wish_beside_what_is() -> None:
    lines = [" ".join(one.split()) for one in drawn(PICTURE)]
    assert "series open now wished updated behind requests/h" in lines
    assert "1h 4,000 3,000 1 h 12 min ago 1 h 4,000" in lines
    assert "4h 4,000 3,000 4 h 12 min ago up to date derived" in lines
    assert "1d 4,000 after the close never no bars 4,000" in lines
    assert (
        "8,000 requests an hour wished, 1,800 allowed: 1h series are refreshed every 4 h 27 min"
        in lines
    )


PACES = (
    Pace(Tier.PRIORITY, 12, 2 * MINUTE, 2 * MINUTE, 200.0, 1.0),
    Pace(Tier.OTHER, 11_988, 5 * MINUTE, 267 * MINUTE, 7800.0, 4.45),
)


def test_tiers_are_told_with_what_is_wished_and_what_is() -> None:
    picture = replace(PICTURE, status=replace(STATUS, paces=PACES))
    lines = drawn(picture)
    at = lines.index("priority: 12 series, wished every 2 min, real every 2 min")
    assert lines[at + 1] == "other: 11,988 series, wished every 5 min, real every 4 h 27 min"
    assert max(map(len, drawn(picture, width=40))) <= 40


def test_the_lines_of_tiers_are_counted() -> None:
    picture = replace(PICTURE, status=replace(STATUS, paces=PACES))
    tall = len(drawn(picture))
    assert tall == len(drawn(PICTURE)) + len(PACES)
    assert drawn(picture, height=tall) == drawn(picture)
    assert len(drawn(picture, height=tall - 1)) < tall


def test_coverage_is_by_class_and_timeframe_and_of_all_classes() -> None:
    lines = [" ".join(one.split()) for one in drawn(PICTURE)]
    assert any(one.endswith("12,000 series, 11,700 complete, 7 failing") for one in lines)
    at = lines.index("1h 1d")
    assert lines[at + 1 :][:8] == [
        "equity 98.76 % 100.00 %",
        "3,900/4,000 3,900/4,000",
        "7 failing",
        "crypto 50.00 %",
        "3,900/4,000",
        "all 74.38 % 100.00 %",
        "7,800/8,000 3,900/4,000",
        "7 failing",
    ]


@pytest.mark.parametrize(("width", "height"), [(112, 26), (80, 26), (60, 28)])
def test_a_small_terminal_gets_one_line_a_class(width: int, height: int) -> None:
    lines = [" ".join(one.split()) for one in drawn(PICTURE, width, height)]
    assert "equity 98.7 % 7✗ 100.0 %" in lines
    assert "3,900/4,000 3,900/4,000" not in lines
    assert len(lines) <= height


def test_what_fits_is_not_cut_short() -> None:
    tall = len(drawn(PICTURE))
    assert drawn(PICTURE, height=tall) == drawn(PICTURE)
    assert len(drawn(PICTURE, height=tall - 1)) < tall


def test_fewer_runs_are_shown_before_anything_is_cut_off() -> None:
    runs = Runs((UNDER_WAY,) * 8, under_way=8)
    lines = drawn(replace(PICTURE, runs=runs), height=27)
    assert len(lines) == 27
    assert sum("started" in one for one in lines) == 6


def test_an_empty_home_has_neither_cadence_nor_coverage() -> None:
    nothing = replace(STATUS, coverage=(), cadences=(), turns=(), load=Load(0, None, None, None))
    lines = drawn(Picture("home", nothing, Runs()), height=20)
    assert [words(one) for one in lines[2:3]] == [["none", "yet"]]
    assert not any(one.startswith(("cadence", "coverage")) for one in lines)


def test_how_to_end_it_is_said_at_the_foot_of_the_first_frame() -> None:
    lines = drawn(replace(PICTURE, hint="Ctrl-C ends this"), width=60)
    assert lines[5] == "Ctrl-C ends this"


def test_why_runs_are_not_known_stands_in_their_place() -> None:
    lines = drawn(replace(PICTURE, runs=Runs(), trouble="Dagster's instance cannot be used"))
    assert lines[2] == "Dagster's instance cannot be used"
