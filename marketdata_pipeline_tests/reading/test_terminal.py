"""Candles in a terminal."""

import pandas as pd

from marketdata_pipeline.domain.bars import empty, frame
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.reading.terminal import chart, chart_room
from marketdata_pipeline_tests.ingest.world import day


def _bars(*rows: tuple[float, float, float, float]) -> pd.DataFrame:
    labels = [to_micros(day(f"2024-03-{number + 1:02}")) for number in range(len(rows))]
    names = ("open", "high", "low", "close")
    columns = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    return frame(labels, {**columns, "volume": [1.0] * len(rows)})


def test_a_chart_is_this_picture() -> None:
    bars = _bars((10, 14, 10, 13), (13, 15, 11, 12), (12, 12, 12, 12), (12, 18, 12, 17))
    assert chart(bars, title="AAPL|1d", height=9) == (
        "AAPL|1d\n"
        "        18 ┤   │\n"
        "           ┤   ░\n"
        "           ┤   ░\n"
        "        15 ┤ │ ░\n"
        "           ┤││ ░\n"
        "           ┤░█ ░\n"
        "           ┤░█░░\n"
        "           ┤░│  \n"
        "        10 ┤░   \n"
        "            2024-03-01 2024-03-04\n"
    )


def test_no_bars_are_said_in_words() -> None:
    assert chart(empty(), title="AAPL|1d") == "AAPL|1d\nno bars\n"


def test_one_flat_bar_is_a_chart_too() -> None:
    lines = chart(_bars((5, 5, 5, 5)), title="x", height=3).splitlines()
    assert lines[-2].endswith("┤░")
    assert lines[-1].split() == ["2024-03-01"]


def test_only_the_newest_that_fit_are_drawn() -> None:
    bars = _bars(*((1.0, 2.0, 1.0, 2.0) for _ in range(20)))
    lines = chart(bars, title="x", width=22).splitlines()
    assert chart_room(22) == 10
    assert {len(line) for line in lines[1:-1]} == {22}
    assert lines[-1].split()[0] == "2024-03-11"
