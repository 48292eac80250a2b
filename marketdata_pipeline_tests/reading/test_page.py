import json
import re
from datetime import UTC, date, datetime
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import Action, ActionKind, adjust_for_splits, last_dates
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.reading.page import (
    Chart,
    Facts,
    Row,
    columns_of,
    render_page,
    write_page,
)

DAY = 86_400_000_000
MONDAY = 951_696_000_000_000  # 2000-02-28
AAPL = Series.parse("AAPL|1d")
WEEKLY = Series.parse("AAPL|1wk")
NASTY = "</title><script>alert('1')</script><img src=x onerror=\"a&b\">"


def frame(count: int, *, step: int = DAY, start: int = MONDAY, seed: int = 1) -> pd.DataFrame:
    dice = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(dice.normal(0, 0.02, count))), 2)
    return contract.frame(
        start + step * np.arange(count),
        {
            "open": close,
            "high": np.round(close * 1.01, 2),
            "low": np.round(close * 0.99, 2),
            "close": close,
            "volume": dice.integers(1_000_000, 10**9, count),
        },
    )


def split(day: str, ratio: str) -> Action:
    return Action(date.fromisoformat(day), ActionKind.SPLIT, Fraction(ratio))


def facts(*rows: Row, title: str = "Five stocks", origins: tuple[str, ...] = ("yahoo",)) -> Facts:
    return Facts(
        title,
        origins,
        datetime(2013, 2, 15, 21, tzinfo=UTC),
        datetime(2026, 11, 22, 3, 1, tzinfo=UTC),
        rows,
    )


def row(series: Series = AAPL, **other: Any) -> Row:
    plain: dict[str, Any] = {
        "bars": 3270,
        "first": datetime(2000, 3, 1, tzinfo=UTC),
        "last": datetime(2013, 3, 1, tzinfo=UTC),
        "coverage": 1.0,
        "provider": "yahoo",
        "requests": 3,
    }
    return Row(series, **(plain | other))


class Read(HTMLParser):
    """Elements with their attributes, the text of each cell, and the data of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self.inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside = tag
        if tag in {"td", "script", "title", "h1", "style", "tr"}:
            self.text.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"a", "meter"}:
            self.inside = ""

    def handle_data(self, data: str) -> None:
        target = "td" if self.inside in {"a", "meter"} else self.inside
        if target in self.text:
            self.text[target][-1] += data

    @property
    def data(self) -> Any:
        return json.loads(self.text["script"][0])


def decoded(one: dict[str, Any]) -> pd.DataFrame:
    """What page.js does: labels are sums of steps, each so many microseconds long."""
    labels = np.cumsum(np.array(one["t"], dtype=np.int64)) * one["unit"]
    return contract.frame(labels, {name: one[name[0]] for name in contract.COLUMNS})


@given(
    series=st.sampled_from(["AAPL|1d", "AAPL|1wk", "BTC-USD|1m", "EURUSD=X|1h"]),
    labels=st.lists(st.integers(-(10**15), 4 * 10**15), unique=True, max_size=20),
    numbers=st.data(),
)
def test_the_bars_are_embedded_bit_exact(
    series: str, labels: list[int], numbers: st.DataObject
) -> None:
    count = len(labels)
    floats = st.lists(st.floats(0, 1e300, allow_subnormal=True), min_size=count, max_size=count)
    bars = contract.frame(sorted(labels), {name: numbers.draw(floats) for name in contract.COLUMNS})
    page = render_page([Chart(Series.parse(series), bars, (), "USD")], facts())
    (one,) = Read(page).data
    pd.testing.assert_frame_equal(decoded(one), bars, check_exact=True)


def test_five_series_of_thirteen_years_stay_below_a_megabyte_and_a_half() -> None:
    charts = [Chart(AAPL, frame(3300, seed=seed), (), "USD") for seed in range(5)]
    assert len(render_page(charts, facts()).encode()) < 1_500_000


def test_the_page_refers_to_nothing_outside_and_forbids_it_too() -> None:
    page = render_page([Chart(AAPL, frame(5), (), "USD")], facts(row()))
    read = Read(page)
    for tag, attributes in read.elements:
        assert tag not in {"link", "iframe", "img", "object", "embed", "base"}
        assert "src" not in attributes
        assert str(attributes.get("href", "#")).startswith("#")
    assert "url(" not in page
    assert "@import" not in page
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|import)\s*\(", page)
    addresses = set(re.findall(r"https?://[\w./]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}, "the name of an XML namespace"
    (policy,) = (
        str(attributes["content"])
        for tag, attributes in read.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none';")


def test_nothing_of_the_template_is_left_open() -> None:
    assert "{{" not in render_page([], facts())


def test_what_others_wrote_is_text_and_never_markup() -> None:
    plain = Read(render_page([Chart(AAPL, frame(3), (), "USD")], facts(row())))
    page = render_page(
        [Chart(AAPL, frame(3), (), NASTY)],
        facts(row(provider=NASTY), title=NASTY, origins=(NASTY,)),
    )
    read = Read(page)
    assert [tag for tag, _ in read.elements] == [tag for tag, _ in plain.elements]
    assert read.text["title"] == read.text["h1"] == [NASTY]
    assert NASTY in read.text["td"]
    assert read.data[0]["currency"] == NASTY


def test_a_title_cannot_pull_in_a_part_of_the_template() -> None:
    assert Read(render_page([], facts(title="{{data}}"))).text["h1"] == ["{{data}}"]


def test_the_table_says_what_is_kept() -> None:
    hourly = Series.parse("AZN.L|1h")
    at = datetime(2013, 3, 1, 14, 30, tzinfo=UTC)
    page = render_page(
        [Chart(AAPL, frame(3), (), "USD")],
        facts(row(), row(hourly, bars=0, first=at, last=None, coverage=None, provider="")),
    )
    cells = Read(page).text["td"]
    assert cells == [
        *("AAPL|1d", "3,270", "2000-03-01", "2013-03-01", "100.0 %", "yahoo", "3"),
        *("AZN.L|1h", "0", "2013-03-01 14:30", "–", "–", "–", "3"),  # noqa: RUF001 - as printed
    ]
    assert "2 instruments, 2 series, 3,270 bars" in page


def test_only_series_with_a_chart_are_links_to_it() -> None:
    page = render_page([Chart(AAPL, frame(3), (), "USD")], facts(row(), row(WEEKLY)))
    links = [attributes.get("href") for tag, attributes in Read(page).elements if tag == "a"]
    assert links == ["#AAPL%7C1d"]


def test_what_is_not_complete_does_not_read_as_such() -> None:
    assert "99.9 %" in render_page([], facts(row(coverage=0.99999)))


@pytest.mark.parametrize(
    ("origin", "said"),
    [("simulator:recorded", "Recorded history"), ("simulator:synthetic", "Invented prices")],
)
def test_data_of_the_simulator_is_plainly_said_to_be(origin: str, said: str) -> None:
    page = render_page([], facts(origins=("yahoo", origin)))
    assert f'<p class="banner" role="note"><code>{origin}</code>' in page
    assert said in page
    assert f"<dd>yahoo, {origin}</dd>" in page


def test_a_mixture_says_of_which_instruments_prices_are_invented() -> None:
    coin = Series.parse("BTC-USD|1h")
    rows = (row(origin="simulator:recorded"), row(coin, origin="simulator:synthetic"))
    page = render_page([], facts(*rows, origins=("simulator:recorded", "simulator:synthetic")))
    assert "&ensp;AAPL: Recorded history" in page
    assert "&ensp;BTC-USD: Invented prices" in page


def test_data_of_a_provider_has_no_banner() -> None:
    assert 'class="banner"' not in render_page([], facts())


def test_the_page_says_when_it_was_made_and_how_far_it_reaches() -> None:
    page = render_page([], facts())
    assert "<dt>generated</dt><dd>2026-11-22 03:01 UTC</dd>" in page
    assert "<dt>market time</dt><dd>2013-02-15 21:00 UTC</dd>" in page


@pytest.mark.parametrize("series", [AAPL, WEEKLY])
def test_dividing_the_rows_before_each_split_gives_adjusted_prices(series: Series) -> None:
    step = DAY if series is AAPL else 7 * DAY
    bars = frame(300, step=step)
    splits = (split("2000-06-21", "2"), split("2000-03-15", "1/8"), split("2030-01-01", "4"))
    one = columns_of(Chart(series, bars, splits, "USD"))
    close, volume = np.array(one["c"], dtype=float), np.array(one["v"], dtype=float)
    for event in one["events"]:
        close[: event["at"]] /= event["ratio"]
        volume[: event["at"]] *= event["ratio"]
    adjusted = adjust_for_splits(bars, series, splits)
    np.testing.assert_allclose(close, adjusted["close"], rtol=1e-12)
    np.testing.assert_allclose(volume, adjusted["volume"], rtol=1e-12)


def test_an_action_stands_at_the_first_row_whose_price_knows_of_it() -> None:
    bars = frame(30)
    actions = (
        split("2000-03-06", "2"),
        Action(date(2000, 3, 8), ActionKind.DIVIDEND, Fraction("0.11")),
        split("1999-01-01", "2"),
        Action(date(2030, 1, 1), ActionKind.DIVIDEND, Fraction(1)),
    )
    assert columns_of(Chart(AAPL, bars, actions, "USD"))["events"] == [
        {"at": 7, "kind": "split", "text": "2:1", "ratio": 2.0},
        {"at": 9, "kind": "dividend", "text": "0.11"},
    ]
    assert str(last_dates(bars, AAPL)[7]) == "2000-03-06"


def test_a_series_without_bars_has_a_place_all_the_same() -> None:
    chart = Chart(AAPL, contract.empty(), (split("2000-06-21", "2"),), "")
    (one,) = Read(render_page([chart], facts())).data
    assert (one["key"], one["t"], one["c"], one["events"]) == ("AAPL|1d", [], [], [])


def test_the_page_is_written_whole_over_an_older_one(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    target.write_text("older")
    charts = [Chart(AAPL, frame(3), (), "USD")]
    write_page(target, charts, facts(row(), title="é"))
    assert target.read_text("utf-8") == render_page(charts, facts(row(), title="é"))
    assert list(tmp_path.iterdir()) == [target]


def test_a_page_that_cannot_be_written_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    target.mkdir()
    (target / "full").touch()
    with pytest.raises(StoreError, match=r"page\.html cannot be written: "):
        write_page(target, [], facts())
    with pytest.raises(StoreError, match="cannot be written: No such file or directory"):
        write_page(tmp_path / "absent" / "page.html", [], facts())
    assert list(tmp_path.iterdir()) == [target]
