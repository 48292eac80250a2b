"""Spellings of timeframes, and what each one is made from."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.timeframe import DEFAULT_TIMEFRAMES, Timeframe
from marketdata_pipeline.errors import BadInput

SPELLINGS = {
    Timeframe.M1: ["1m", "1min", "1T"],
    Timeframe.M5: ["5m", "5min", "5T"],
    Timeframe.M15: ["15m", "15min", "15T"],
    Timeframe.H1: ["1h", "60m", "60min", "1H", "h"],
    Timeframe.H4: ["4h", "240m", "4H"],
    Timeframe.D1: ["1d", "1D", "D", "day"],
    Timeframe.W1: ["1wk", "1w", "1W", "W", "W-MON", " 1wk "],
}


@pytest.mark.parametrize(
    ("text", "timeframe"), [(text, one) for one, texts in SPELLINGS.items() for text in texts]
)
def test_yahoo_ccxt_openbb_and_pandas_spell_the_same_timeframe(
    text: str, timeframe: Timeframe
) -> None:
    assert Timeframe.parse(text) is timeframe


@pytest.mark.parametrize("timeframe", Timeframe)
def test_each_timeframe_reads_its_own_spelling(timeframe: Timeframe) -> None:
    assert Timeframe.parse(str(timeframe)) is timeframe


@pytest.mark.parametrize("text", ["1M", "M", " 1M"])
def test_1m_in_capitals_may_be_a_minute_or_a_month_and_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="a minute or a month"):
        Timeframe.parse(text)


@pytest.mark.parametrize("text", ["", "1mo", "30m", "2d", "1 d", "1d\n", "|", "d1", "x" * 99])
def test_an_unknown_timeframe_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(BadInput, match="1m, 5m, 15m, 1h, 4h, 1d, 1wk") as refused:
        Timeframe.parse(text)
    assert str(refused.value).isprintable()


@given(st.text(max_size=20))
def test_any_text_is_refused_or_a_timeframe(text: str) -> None:
    try:
        assert Timeframe.parse(text) in Timeframe
    except BadInput as refused:
        assert str(refused).isprintable()  # noqa: PT017 - either outcome holds


def test_the_grid_runs_from_the_finest_to_the_longest() -> None:
    lengths = [one.length for one in Timeframe]
    assert lengths == sorted(lengths)
    assert [one.length for one in (Timeframe.H4, Timeframe.W1)] == [
        timedelta(hours=4),
        timedelta(days=7),
    ]


def test_4h_and_1wk_are_derived_the_others_fetched() -> None:
    assert {one: one.base for one in Timeframe if one.derived} == {
        Timeframe.H4: Timeframe.H1,
        Timeframe.W1: Timeframe.D1,
    }
    assert all(one.base is None for one in Timeframe if not one.derived)


def test_intraday_ends_below_a_day() -> None:
    assert [one for one in Timeframe if not one.intraday] == [Timeframe.D1, Timeframe.W1]


def test_the_defaults_are_neighbours_in_the_grid_so_that_one_range_names_them() -> None:
    members = list(Timeframe)
    first = members.index(DEFAULT_TIMEFRAMES[0])
    assert tuple(members[first : first + len(DEFAULT_TIMEFRAMES)]) == DEFAULT_TIMEFRAMES


@pytest.mark.parametrize(
    ("timeframe", "minutes", "after"),
    [("1d", 30, 30), ("1wk", 30, 30), ("1h", 30, 5), ("1m", 30, 5), ("1h", 2, 2), ("1d", 2, 2)],
)
def test_an_intraday_bar_is_asked_for_after_five_minutes_at_most(
    timeframe: str, minutes: int, after: int
) -> None:
    found = Timeframe.parse(timeframe).asked_after(timedelta(minutes=minutes))
    assert found == timedelta(minutes=after)
