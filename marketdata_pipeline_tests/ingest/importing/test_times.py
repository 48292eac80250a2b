"""What a column of times says, and what it does not."""

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.times import UNKNOWN, Stamps, localized, shown, stamps_of
from marketdata_pipeline_tests.ingest.importing.rows import columns_of, table_of

HALF_PAST = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
SECONDS = int(HALF_PAST.timestamp())


def _stamps(times: Any) -> Stamps:
    return stamps_of(table_of(columns_of(time=times)))


def _wall(text: str) -> int:
    return to_micros(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    "text",
    ["2024-01-02 14:30", "2024-01-02T14:30:00", " 2024-01-02 14:30:00.000 ", "20240102T1430"],
)
def test_iso_times_without_a_zone_are_clock_readings(text: str) -> None:
    found = _stamps([text])
    assert found.wall.tolist() == [to_micros(HALF_PAST)]
    assert found.instants is None


@pytest.mark.parametrize("text", ["2024-01-02", "20240102"])
def test_dates_are_midnights(text: str) -> None:
    assert _stamps([text]).wall.tolist() == [_wall("2024-01-02")]


def test_whole_numbers_of_eight_digits_are_dates() -> None:
    found = _stamps([20240102, 19620102])
    assert found.wall.tolist() == [_wall("2024-01-02"), _wall("1962-01-02")]
    assert found.instants is None


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("2024-01-02 09:30:00-05:00", -5.0),
        ("2024-01-02T09:30-0500", -5.0),
        ("2024-01-02 20:00:00+05:30", 5.5),
        ("2024-01-02T14:30Z", 0.0),
        ("2024-01-02 14:30:00 UTC", 0.0),
    ],
)
def test_an_offset_makes_an_instant_and_the_clock_reading_stays(text: str, offset: float) -> None:
    found = _stamps([text])
    assert found.instants is not None
    assert found.instants.tolist() == [to_micros(HALF_PAST)]
    assert found.wall.tolist() == [to_micros(HALF_PAST) + int(offset * 3_600_000_000)]


def test_offsets_may_change_with_the_season() -> None:
    found = _stamps(["2024-01-02 00:00:00+00:00", "2024-07-02 00:00:00+01:00"])
    assert found.wall.tolist() == [_wall("2024-01-02"), _wall("2024-07-02")]
    assert found.instants is not None
    assert found.instants.tolist() == [_wall("2024-01-02"), _wall("2024-07-01 23:00")]


@pytest.mark.parametrize("each", [1, 10**3, 10**6, 10**9])
def test_numbers_since_1970_are_instants_in_the_unit_that_fits(each: int) -> None:
    for kind in ("int64", "float64"):
        found = _stamps(np.array([SECONDS * each, (SECONDS + 60) * each], dtype=kind))
        assert found.instants is not None
        assert found.instants.tolist() == [SECONDS * 10**6, (SECONDS + 60) * 10**6]


@pytest.mark.parametrize(
    "numbers",
    [
        [0, 86_400],  # 1970 in seconds, or the first minutes of it in milliseconds
        [SECONDS, SECONDS * 1000],
        [9 * 10**18],
        [-SECONDS, SECONDS],
        [45_000.5],  # a day of Excel
    ],
)
def test_numbers_that_fit_no_unit_or_several_are_refused(numbers: list[float]) -> None:
    with pytest.raises(BadInput, match="are no times between 1975 and 2100 in one unit since 1970"):
        _stamps(numbers)


@pytest.mark.parametrize(
    "text", ["02.01.2024", "1/2/2024", "yesterday", "2024-13-01", "2024-01-02T09+01", "Q1"]
)
def test_any_other_text_is_named_with_its_line(text: str) -> None:
    with pytest.raises(BadInput, match=r"bars.csv, line 3: .* is no date; write it as 2024-01-31"):
        _stamps(["2024-01-02", text])


def test_an_empty_cell_has_no_time() -> None:
    assert _stamps(["2024-01-02", None]).wall.tolist() == [_wall("2024-01-02"), UNKNOWN]
    found = _stamps([None, "2024-01-02T14:30Z"])
    assert found.instants is not None
    assert found.instants.tolist() == [UNKNOWN, to_micros(HALF_PAST)]
    assert _stamps([np.nan, float(SECONDS)]).wall.tolist() == [UNKNOWN, SECONDS * 10**6]


def test_an_offset_in_some_lines_only_is_refused() -> None:
    with pytest.raises(BadInput, match="line 3: some times have an offset from UTC, this one has"):
        _stamps(["2024-01-02T14:30Z", "2024-01-02T14:31"])


def test_columns_of_instants_keep_their_zone() -> None:
    eastern = pd.DatetimeIndex(["2024-01-02 09:30"]).tz_localize("America/New_York")
    found = _stamps(pd.Series(eastern))
    assert found.instants is not None
    assert found.instants.tolist() == [to_micros(HALF_PAST)]
    assert found.wall.tolist() == [_wall("2024-01-02 09:30")]
    plain = _stamps(pd.Series(eastern.tz_localize(None)))
    assert plain.wall.tolist() == [_wall("2024-01-02 09:30")]
    assert plain.instants is None
    assert _stamps([date(2024, 1, 2)]).wall.tolist() == [_wall("2024-01-02")]


def test_truth_is_no_time() -> None:
    with pytest.raises(BadInput, match="line 2: True is no time"):
        _stamps([True])


def test_clocks_of_new_york_are_four_or_five_hours_behind() -> None:
    wall = np.array([_wall("2024-03-08 09:30"), _wall("2024-03-11 09:30")])
    found = localized(wall, "America/New_York")
    assert found.tolist() == [_wall("2024-03-08 14:30"), _wall("2024-03-11 13:30")]
    assert shown(found, "America/New_York").tolist() == wall.tolist()
    assert shown(np.array([UNKNOWN]), "America/New_York").tolist() == [UNKNOWN]


TWICE = ["2023-11-05 00:30", "2023-11-05 01:30", "2023-11-05 01:30", "2023-11-05 02:30"]
AT_UTC = ["2023-11-05 04:30", "2023-11-05 05:30", "2023-11-05 06:30", "2023-11-05 07:30"]


@pytest.mark.parametrize("order", [1, -1])
def test_an_hour_that_came_twice_is_told_by_its_order(order: int) -> None:
    wall = np.array([_wall(one) for one in TWICE][::order])
    assert localized(wall, "America/New_York").tolist() == [_wall(one) for one in AT_UTC][::order]


def test_one_of_two_such_hours_and_one_that_never_was_are_unknown() -> None:
    once = np.array([_wall(TWICE[0]), _wall(TWICE[1]), _wall(TWICE[3])])
    assert localized(once, "America/New_York").tolist() == [
        _wall(AT_UTC[0]),
        UNKNOWN,
        _wall(AT_UTC[3]),
    ]
    never = np.array([_wall("2024-03-10 02:30")])
    assert localized(never, "America/New_York").tolist() == [UNKNOWN]
