import re
import xml.etree.ElementTree as ET
from base64 import b64decode
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.reading.candles import (
    DOWN,
    UP,
    candles_svg,
    data_uri,
    date_marks,
    price_ticks,
    spell_prices,
)

DAY = 86_400_000_000
HOUR = DAY // 24
NEW_YEAR = 1_356_998_400_000_000  # 2013-01-01
SVG = "{http://www.w3.org/2000/svg}"


def walk(count: int, *, step: int = DAY, start: float = 100.0, seed: int = 1) -> pd.DataFrame:
    dice = np.random.default_rng(seed)
    close = start * np.exp(np.cumsum(dice.normal(0, 0.02, count)))
    opened = close * np.exp(dice.normal(0, 0.01, count))
    return contract.frame(
        NEW_YEAR + step * np.arange(count),
        {
            "open": opened,
            "high": np.maximum(opened, close) * 1.01,
            "low": np.minimum(opened, close) * 0.99,
            "close": close,
            "volume": dice.integers(0, 10**9, count),
        },
    )


def drawn(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own picture


def texts(svg: str) -> list[str]:
    return [str(one.text) for one in drawn(svg).iter(f"{SVG}text")]


def strokes(svg: str, colour: str) -> list[str]:
    """The paths of one colour: wicks, then bodies, each as its list of moves."""
    return [
        str(one.get("d"))
        for one in drawn(svg).iter(f"{SVG}path")
        if one.get("stroke") == colour and one.get("stroke-opacity") is None
    ]


def test_the_picture_is_a_data_uri_that_decodes_to_itself() -> None:
    svg = candles_svg(walk(5), title="AAPL|1d")
    uri = data_uri(svg)
    head, _, body = uri.partition(",")
    assert head == "data:image/svg+xml;base64"
    assert b64decode(body).decode() == svg


@given(
    count=st.integers(0, 300),
    start=st.sampled_from([1e-8, 0.0123456789, 1.0, 99.5, 12345.678, 1e7]),
    step=st.sampled_from([60_000_000, HOUR, DAY, 7 * DAY]),
    seed=st.integers(0, 10),
)
def test_a_picture_of_the_usual_size_is_below_10_kb_as_a_data_uri(
    count: int, start: float, step: int, seed: int
) -> None:
    svg = candles_svg(walk(count, start=start, step=step, seed=seed), title="&" * 500)
    assert len(data_uri(svg)) < 10_000
    drawn(svg)


def test_no_bars_give_a_small_picture_that_says_so() -> None:
    svg = candles_svg(contract.empty(), title="AAPL|1d")
    assert texts(svg) == ["AAPL|1d", "no bars"]
    assert int(str(drawn(svg).get("height"))) < 100


def test_each_bar_is_a_wick_and_a_body_in_the_colour_of_its_direction() -> None:
    bars = contract.frame(
        [NEW_YEAR, NEW_YEAR + DAY, NEW_YEAR + 2 * DAY],
        {
            "open": [10, 12, 11],
            "high": [13, 12.5, 11],
            "low": [9, 10, 11],
            "close": [12, 11, 11],
            "volume": [1, 2, 3],
        },
    )
    svg = candles_svg(bars, title="x")
    up_wicks, up_bodies = strokes(svg, UP)
    down_wicks, down_bodies = strokes(svg, DOWN)
    assert [path.count("M") for path in (up_wicks, up_bodies)] == [2, 2]
    assert [path.count("M") for path in (down_wicks, down_bodies)] == [1, 1]
    (x, top, low), (_, _, _) = re.findall(r"M(\d+) (\d+)V(\d+)", up_wicks)
    assert int(top) < int(low), "the high is above the low"
    (body_x, body_top, tall), (_, _, flat) = re.findall(r"M(\d+) (\d+)v(\d+)", up_bodies)
    assert x == body_x
    assert int(top) < int(body_top) < int(body_top) + int(tall) < int(low)
    assert int(flat) > 0, "a bar without a body is still to be seen"


def test_time_between_sessions_takes_no_room() -> None:
    bars = walk(30)
    gaps = bars.set_axis(bars.index + pd.to_timedelta(np.arange(30) ** 3, unit="D"))
    even, uneven = (candles_svg(one, title="x") for one in (bars, gaps))
    assert strokes(even, UP) == strokes(uneven, UP)


def test_only_the_newest_bars_are_shown() -> None:
    bars = walk(500)
    assert candles_svg(bars, title="x", most=60) == candles_svg(bars.tail(60), title="x")
    assert "over 60 bars" in candles_svg(bars, title="x", most=60)


def test_all_that_is_drawn_lies_inside_the_picture() -> None:
    svg = candles_svg(walk(120), title="x", width=640, height=240)
    for path in drawn(svg).iter(f"{SVG}path"):
        for x, y in re.findall(r"M(\d+) (\d+)", str(path.get("d"))):
            assert 0 <= int(x) <= 1280
            assert 0 <= int(y) <= 480


def test_without_volume_the_prices_take_its_room() -> None:
    bars = walk(20)
    flat = bars.assign(volume=0.0)

    def lowest(svg: str) -> int:
        wicks = "".join(strokes(svg, UP) + strokes(svg, DOWN))
        return max(int(low) for low in re.findall(r"V(\d+)", wicks))

    assert lowest(candles_svg(flat, title="x")) > lowest(candles_svg(bars, title="x"))


def test_the_picture_brings_no_background_and_fetches_nothing() -> None:
    svg = candles_svg(walk(20), title="x")
    assert "<rect" not in svg
    assert "href" not in svg
    assert svg.count("http") == 1, "the name of the XML namespace"


@pytest.mark.parametrize("title", ["</text><script>alert(1)</script>", 'a"b&c<d', "é|1d"])
def test_the_title_is_text_whatever_is_in_it(title: str) -> None:
    assert texts(candles_svg(walk(3), title=title))[0] == title


def test_the_frame_is_not_changed() -> None:
    bars = walk(20)
    before = bars.copy()
    candles_svg(bars, title="x")
    pd.testing.assert_frame_equal(bars, before)


@given(
    low=st.floats(1e-9, 1e9),
    reach=st.floats(1e-6, 1e3),
    most=st.integers(2, 12),
)
def test_ticks_are_inside_few_and_evenly_apart(low: float, reach: float, most: int) -> None:
    high = low * (1 + reach)
    ticks = price_ticks(low, high, most)
    assert 1 <= len(ticks) <= most + 1
    slack = (high - low) * 1e-6
    assert all(low - slack <= one <= high + slack for one in ticks)
    steps = np.diff(ticks)
    assert np.allclose(steps, steps[:1] if len(steps) else 0)


@pytest.mark.parametrize(
    ("low", "high", "most", "spelled"),
    [
        (427, 549, 4, ["450", "500"]),
        (0, 1, 5, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (1.0801, 1.0849, 4, ["1.082", "1.084"]),
        (105_000, 113_900, 4, ["105,000", "110,000"]),
        (7, 7, 3, ["7.00"]),
    ],
)
def test_ticks_are_round_prices(low: float, high: float, most: int, spelled: list[str]) -> None:
    assert spell_prices(price_ticks(low, high, most)) == spelled


@pytest.mark.parametrize(
    ("step", "count", "marks"),
    [
        (DAY, 80, ["Feb", "Mar"]),
        (DAY, 9, ["2 Jan", "3 Jan", "4 Jan", "5 Jan", "6 Jan", "7 Jan", "8 Jan", "9 Jan"]),
        (DAY, 30, ["7 Jan", "14 Jan", "21 Jan", "28 Jan"]),
        (7 * DAY, 60, ["Apr", "Jul", "Oct", "2014"]),
        (HOUR, 60, ["2 Jan", "3 Jan"]),
        (HOUR // 60, 60, ["00:15", "00:30", "00:45"]),
        (HOUR // 60, 3, ["1 Jan 00:00", "1 Jan 00:01", "1 Jan 00:02"]),
        (DAY, 1, ["1 Jan 2013"]),
    ],
)
def test_dates_are_marked_where_a_period_starts(step: int, count: int, marks: list[str]) -> None:
    labels = NEW_YEAR + step * np.arange(count)
    assert [text for _, text in date_marks(labels, 9)] == marks


def test_marked_ranges_are_bands_behind_their_bars_and_a_gap_is_a_line() -> None:
    bars = walk(40).drop(walk(40).index[20:25])
    plain = candles_svg(bars, title="x")
    first, gap = bars.index[10].to_pydatetime(), walk(40).index[20].to_pydatetime()
    marks = [
        TimeRange(first, first + timedelta(days=2)),
        TimeRange(gap, gap + timedelta(days=5)),
        TimeRange(first - timedelta(days=900), first - timedelta(days=800)),
    ]
    marked = candles_svg(bars, title="x", marks=marks)
    (band,) = re.findall(r'<path d="([^"]*)" fill="[^"]*" fill-opacity', marked)
    widths = [int(one) for one in re.findall(r"h(\d+)V", band)]
    assert len(widths) == 2, "what lies before the picture is not in it"
    assert widths[0] > 5 * widths[1]
    assert marked.replace(f'<path d="{band}" fill="{DOWN}" fill-opacity=".28"/>', "") == plain
