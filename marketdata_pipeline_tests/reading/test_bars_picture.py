"""The picture of scores: small, well formed, a bar for each tenth that has any."""

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.reading.bars_picture import scores_svg
from marketdata_pipeline.reading.candles import DOWN, UP, data_uri

SPACE = "{http://www.w3.org/2000/svg}"


def drawn(spread: list[int]) -> list[ET.Element]:
    return list(ET.fromstring(scores_svg(spread, title="a < b")).iter(f"{SPACE}rect"))  # noqa: S314 - ours


@given(st.lists(st.integers(0, 100_000), min_size=10, max_size=10))
def test_each_tenth_that_has_series_has_a_bar_inside_the_picture(spread: list[int]) -> None:
    bars = drawn(spread)
    assert len(bars) == sum(1 for one in spread if one)
    for one in bars:
        assert 0 <= float(one.attrib["y"]) < 88
        assert float(one.attrib["height"]) >= 2
    assert len(data_uri(scores_svg(spread, title="series by score"))) < 4_000


def test_one_bad_series_is_seen_beside_thousands_of_good_ones() -> None:
    low, full = drawn([1, 0, 0, 0, 0, 0, 0, 0, 0, 9_000])
    assert (low.attrib["fill"], full.attrib["fill"]) == (DOWN, UP)
    assert float(low.attrib["height"]) >= 2


def test_without_any_series_there_is_no_bar() -> None:
    assert drawn([0] * 10) == []
