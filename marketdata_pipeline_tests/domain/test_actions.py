"""Raw and adjusted prices: exact decimals out of float32, splits there and back, dividends."""

import json
from datetime import date
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata_pipeline.domain.actions import (
    Action,
    ActionKind,
    adjust_for_splits,
    as_paid,
    dividend_factor,
    last_dates,
    later_ratio,
    raw_from_split_adjusted,
    rounding_interval,
    shortest_decimals,
    splits_of,
    traded_prices,
)
from marketdata_pipeline.domain.bars import COLUMNS, PRICES, frame, labels_of
from marketdata_pipeline.domain.series import Series

AAPL = Series.parse("AAPL|1d")
SPLITS_OF_AAPL = [
    Action(date(2000, 6, 21), ActionKind.SPLIT, Fraction(2)),
    Action(date(2005, 2, 28), ActionKind.SPLIT, Fraction(2)),
    Action(date(2014, 6, 9), ActionKind.SPLIT, Fraction(7)),
    Action(date(2020, 8, 31), ActionKind.SPLIT, Fraction(4)),
]
RATIOS = [1.0, 2.0, 4.0, 7.0, 28.0, 56.0, 1 / 8, 3 / 2, 1 / 20]


def split(day: str, ratio: Fraction | int) -> Action:
    return Action(date.fromisoformat(day), ActionKind.SPLIT, Fraction(ratio))


def paid(day: str, cash: str, kind: ActionKind = ActionKind.DIVIDEND) -> Action:
    return Action(date.fromisoformat(day), kind, Fraction(cash))


def daily(closes: dict[str, float], volume: float = 1000.0) -> pd.DataFrame:
    values = list(closes.values())
    labels = pd.DatetimeIndex(list(closes)).as_unit("us").to_numpy()
    return frame(labels, {**dict.fromkeys(PRICES, values), "volume": [volume] * len(values)})


def as_yahoo_sends(raw: pd.DataFrame, ratio: np.ndarray) -> pd.DataFrame:
    """Divided by later splits, rounded to float32 and widened again; volume in whole units."""
    sent = {name: (raw[name].to_numpy() / ratio).astype(np.float32) for name in PRICES}
    volume = np.round(raw["volume"].to_numpy() * ratio)
    return frame(labels_of(raw), {**sent, "volume": volume})


@pytest.fixture(scope="module")
def traded(shared: Path) -> pd.DataFrame:
    """AAPL as traded, 1998 to 2021."""
    table = pd.read_csv(shared / "bars/lean/aapl_1d_raw.csv.gz", parse_dates=["date"])
    return frame(table["date"].to_numpy(), {name: table[name].to_numpy() for name in COLUMNS})


# Decimals


@given(
    st.integers(1, 999_999),
    st.integers(2, 4),
    st.sampled_from(RATIOS),
)
def test_the_decimal_of_up_to_six_digits_comes_back_from_float32(
    number: int, digits: int, ratio: float
) -> None:
    price = number / 10**digits
    sent = np.array([price / ratio], dtype=np.float32).astype(np.float64)
    assert shortest_decimals(sent, np.array([ratio]))[0] == price


@given(st.decimals(min_value="0.0001", max_value="99999", places=4), st.sampled_from([1.0]))
def test_a_decimal_in_float64_stays_what_it_is(price: object, ratio: float) -> None:
    wide = np.array([float(str(price))])
    if wide.astype(np.float32).astype(np.float64)[0] != wide[0]:
        assert shortest_decimals(wide, np.array([ratio]))[0] == wide[0]


@pytest.mark.parametrize("ratio", [*RATIOS, 112.0])
def test_every_price_of_apple_comes_back_exactly(traded: pd.DataFrame, ratio: float) -> None:
    prices = traded[list(PRICES)].to_numpy().ravel()
    sent = (prices / ratio).astype(np.float32).astype(np.float64)
    found = shortest_decimals(sent, np.full(len(sent), ratio))
    assert len(prices) == 23_396
    assert int((found != prices).sum()) == 0


@pytest.mark.parametrize("ratio", [28.0, 56.0])
def test_rounding_to_fixed_digits_before_or_after_multiplying_is_wrong_for_some(
    traded: pd.DataFrame, ratio: float
) -> None:
    prices = traded[list(PRICES)].to_numpy().ravel()
    sent = (prices / ratio).astype(np.float32).astype(np.float64)
    cents_after = np.round(sent * ratio, 2)
    noise_after = np.round(sent * ratio, 6)
    before = np.round(np.round(sent, 4) * ratio, 4)
    assert int((cents_after != prices).sum()) == 26
    assert int((noise_after != prices).sum()) > 10_000
    assert int((before != prices).sum()) > 10_000


def test_a_price_that_three_roundings_get_wrong_and_the_interval_gets_right() -> None:
    price, ratio = 101.0101, 56.0
    sent = np.array([price / ratio], dtype=np.float32).astype(np.float64)
    assert round(float(sent[0]) * ratio, 2) != price
    assert round(float(sent[0]) * ratio, 6) != price
    assert round(round(float(sent[0]), 4) * ratio, 4) != price
    assert shortest_decimals(sent, np.array([ratio]))[0] == price


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (0.0, 0.0),
        (-37.630001068115234, -37.63),
        (8.12345e-06, 8.12345e-06),
        (float(np.float32(1.2345e-11)), 1.2345e-11),
        (float(np.float32(545000.0)), 545000.0),
        (1e300, 1e300),
        (float(np.finfo(np.float32).max), 3.4028234663852886e38),
    ],
)
def test_odd_prices_keep_their_value(price: float, expected: float) -> None:
    assert shortest_decimals(np.array([price]), np.ones(1))[0] == expected


def test_what_is_not_finite_becomes_nan_beside_prices_that_are_found() -> None:
    prices = np.array([np.nan, np.inf, -np.inf, 1e308, float(np.float32(0.1))])
    found = shortest_decimals(prices, np.full(5, 10.0))
    assert np.isnan(found[:4]).all()
    assert found[4] == 1.0


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_the_interval_of_a_float32_is_what_rounds_to_it(price: float) -> None:
    low, high = rounding_interval(np.array([price]))
    middle = np.array([(low[0] + price) / 2, (high[0] + price) / 2])
    if np.isfinite(middle).all():
        assert (middle.astype(np.float32) == np.float32(price)).all()
    assert low[0] < price < high[0]
    with np.errstate(over="ignore"):
        beyond = np.array([price - 1.01 * (price - low[0]), price + 1.01 * (high[0] - price)])
        assert (beyond.astype(np.float32) != np.float32(price)).all()


def test_the_interval_of_a_float64_is_half_its_own_step() -> None:
    low, high = rounding_interval(np.array([0.1]))
    assert high[0] - low[0] <= 2 * np.spacing(0.1)


# Splits


def test_actions_of_one_day_can_be_sorted_and_a_split_listed_twice_took_place_once() -> None:
    both = [split("2020-08-31", 4), paid("2020-08-31", "0.205"), split("2020-08-31", 4)]
    assert len(sorted(both)) == 3
    assert splits_of(both) == [split("2020-08-31", 4)]


def test_splits_come_oldest_first() -> None:
    assert splits_of(reversed(SPLITS_OF_AAPL)) == SPLITS_OF_AAPL


def test_a_date_is_divided_by_the_splits_after_it_and_not_by_its_own() -> None:
    days = ["1999-01-04", "2000-06-20", "2000-06-21", "2014-06-06", "2014-06-09", "2020-08-31"]
    dates = np.array(days, dtype="datetime64[D]")
    assert later_ratio(dates, SPLITS_OF_AAPL).tolist() == [112.0, 112.0, 56.0, 28.0, 4.0, 1.0]
    assert later_ratio(dates, []).tolist() == [1.0] * 6


def test_a_reverse_split_is_a_ratio_below_one() -> None:
    dates = np.array(["2021-07-30", "2021-08-02"], dtype="datetime64[D]")
    assert later_ratio(dates, [split("2021-08-02", Fraction(1, 8))]).tolist() == [0.125, 1.0]


@pytest.mark.parametrize(
    ("series", "label", "expected"),
    [
        ("AAPL|1d", "2024-06-10", "2024-06-10"),
        ("AAPL|1wk", "2024-06-10", "2024-06-16"),
        ("AAPL|1h", "2024-06-10T13:30", "2024-06-10"),
        ("AAPL|1h", "2024-06-11T00:30", "2024-06-10"),
        ("APS.AX|1h", "2024-01-07T23:00", "2024-01-08"),
        ("BTC-USD|1h", "2024-01-07T23:00", "2024-01-07"),
    ],
)
def test_a_bars_last_date_is_the_exchanges(series: str, label: str, expected: str) -> None:
    bars = frame(np.array([label], dtype="datetime64[us]"), {name: [1.0] for name in COLUMNS})
    assert last_dates(bars, Series.parse(series))[0] == np.datetime64(expected)


def test_apple_as_yahoo_sends_it_is_what_was_traded(traded: pd.DataFrame) -> None:
    ratio = later_ratio(last_dates(traded, AAPL), SPLITS_OF_AAPL)
    raw = raw_from_split_adjusted(as_yahoo_sends(traded, ratio), AAPL, SPLITS_OF_AAPL)
    pd.testing.assert_frame_equal(raw, traded, check_exact=True)


def test_a_window_before_a_split_is_divided_by_it_all_the_same(traded: pd.DataFrame) -> None:
    window = traded.loc["2005-02-01":"2005-02-25"]
    sent = as_yahoo_sends(window, np.full(len(window), 56.0))
    raw = raw_from_split_adjusted(sent, AAPL, SPLITS_OF_AAPL)
    pd.testing.assert_frame_equal(raw, window, check_exact=True)


def test_apple_of_the_public_sample_comes_back_across_its_split_of_2005() -> None:
    stocks = pytest.importorskip("bokeh_sampledata.stocks", exc_type=ImportError)
    table = pd.DataFrame(stocks.AAPL)
    labels = pd.DatetimeIndex(pd.to_datetime(table["date"])).as_unit("us").to_numpy()
    raw = frame(labels, {name: table[name].to_numpy() for name in COLUMNS})
    ratio = later_ratio(last_dates(raw, AAPL), SPLITS_OF_AAPL)
    assert set(ratio) == {112.0, 56.0, 28.0}
    back = raw_from_split_adjusted(as_yahoo_sends(raw, ratio), AAPL, SPLITS_OF_AAPL)
    pd.testing.assert_frame_equal(back, raw, check_exact=True)
    close = back["close"].loc["2005-02-25":"2005-02-28"]
    assert close.tolist() == [88.99, 44.86]


@settings(max_examples=50)
@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=9), st.sampled_from([8, 20, 50]))
def test_volume_is_exact_after_splits_and_to_half_a_ratio_after_a_reverse_one(
    volumes: list[int], ratio: int
) -> None:
    labels = np.arange(len(volumes)) * 86_400_000_000
    raw = frame(labels, {**dict.fromkeys(PRICES, [1.0] * len(volumes)), "volume": volumes})
    for value, off in (
        (Fraction(ratio), 0.0),
        (Fraction(3, 2), 0.0),
        (Fraction(1, ratio), ratio / 2),
    ):
        actions = [split("2200-01-03", value)]
        sent = as_yahoo_sends(raw, np.full(len(volumes), float(value)))
        back = raw_from_split_adjusted(sent, AAPL, actions)["volume"]
        assert (back - raw["volume"]).abs().max() <= off


def test_unknown_volume_stays_unknown() -> None:
    bars = daily({"2024-01-02": 8.0, "2024-01-03": 9.0}, volume=float("nan"))
    back = raw_from_split_adjusted(bars, AAPL, [split("2024-01-03", 2)])
    assert back["volume"].isna().all()
    assert back["close"].tolist() == [16.0, 9.0]


def test_volume_without_later_splits_keeps_its_fractions() -> None:
    bars = daily({"2024-01-02": 8.0}, volume=0.25)
    assert raw_from_split_adjusted(bars, AAPL, [])["volume"].tolist() == [0.25]


def test_adjusting_and_taking_the_splits_out_again_changes_nothing(traded: pd.DataFrame) -> None:
    adjusted = adjust_for_splits(traded, AAPL, SPLITS_OF_AAPL)
    ratio = later_ratio(last_dates(traded, AAPL), SPLITS_OF_AAPL)
    np.testing.assert_allclose(adjusted["close"] * ratio, traded["close"], rtol=1e-15)
    np.testing.assert_allclose(adjusted["volume"] / ratio, traded["volume"], rtol=1e-15)
    back = raw_from_split_adjusted(adjusted, AAPL, SPLITS_OF_AAPL)
    np.testing.assert_allclose(back, traded, rtol=1e-12)


def test_adjusted_prices_have_no_jump_at_a_split(traded: pd.DataFrame) -> None:
    close = adjust_for_splits(traded, AAPL, SPLITS_OF_AAPL)["close"]
    jumps = close.pct_change().abs()
    for day in ("2000-06-21", "2005-02-28", "2014-06-09", "2020-08-31"):
        assert jumps.to_dict()[pd.Timestamp(day, tz="UTC")] < 0.12


def test_frames_are_not_changed_in_place(traded: pd.DataFrame) -> None:
    before = traded.copy()
    adjust_for_splits(traded, AAPL, SPLITS_OF_AAPL)
    raw_from_split_adjusted(traded, AAPL, SPLITS_OF_AAPL)
    pd.testing.assert_frame_equal(traded, before, check_exact=True)


# Dividends

THREE = {"2024-01-02": 100.0, "2024-01-03": 80.0, "2024-01-04": 50.0}


def factor(actions: list[Action], closes: dict[str, float]) -> list[float]:
    bars = daily(closes)
    return [float(one) for one in dividend_factor(bars, AAPL, actions, bars["close"])]


def test_a_dividend_takes_its_share_of_the_close_before_the_ex_date() -> None:
    assert factor([paid("2024-01-03", "10")], THREE) == [0.9, 1.0, 1.0]


def test_dividends_multiply_up_into_the_past() -> None:
    two = [paid("2024-01-04", "8"), paid("2024-01-03", "10")]
    assert factor(two, THREE) == pytest.approx([0.9 * 0.9, 0.9, 1.0])


def test_cash_of_one_ex_date_counts_together() -> None:
    both = [paid("2024-01-03", "6"), paid("2024-01-03", "4", ActionKind.CAPITAL_GAIN)]
    assert factor(both, THREE) == pytest.approx([0.9, 1.0, 1.0])


def test_an_ex_date_between_sessions_takes_the_last_close_before_it() -> None:
    weekend = {"2024-01-05": 100.0, "2024-01-08": 90.0}
    assert factor([paid("2024-01-06", "10")], weekend) == [0.9, 1.0]


def test_a_dividend_on_the_day_of_a_split_is_of_the_new_shares() -> None:
    halved = {"2024-01-02": 100.0, "2024-01-03": 50.0}
    both = [split("2024-01-03", 2), paid("2024-01-03", "5")]
    assert factor(both, halved) == [0.9, 1.0]


def test_a_later_split_leaves_an_earlier_dividend_alone() -> None:
    assert factor([split("2024-01-04", 2), paid("2024-01-03", "10")], THREE) == [0.9, 1.0, 1.0]


@pytest.mark.parametrize(
    "action",
    [
        paid("2024-01-02", "10"),
        paid("2023-06-01", "10"),
        paid("2024-01-03", "100"),
        split("2024-01-03", 2),
    ],
)
def test_what_no_close_before_can_pay_is_left_out(action: Action) -> None:
    assert factor([action], THREE) == [1.0, 1.0, 1.0]


PAID_BY_APPLE = (
    "2012-08-09 2.65, 2012-11-07 2.65, 2013-02-07 2.65, 2013-05-09 3.05, 2013-08-08 3.05,"
    "2013-11-06 3.05, 2014-02-06 3.05, 2014-05-08 3.29, 2014-08-07 .47, 2014-11-06 .47,"
    "2015-02-05 .47, 2015-05-07 .52, 2015-08-06 .52, 2015-11-05 .52, 2016-02-04 .52,"
    "2016-05-05 .57, 2016-08-04 .57, 2016-11-03 .57, 2017-02-09 .57, 2017-05-11 .63,"
    "2017-08-10 .63, 2017-11-10 .63, 2018-02-09 .63, 2018-05-11 .73, 2018-08-10 .73,"
    "2018-11-08 .73, 2019-02-08 .73, 2019-05-10 .77, 2019-08-09 .77, 2019-11-07 .77,"
    "2020-02-07 .77, 2020-05-08 .82, 2020-08-07 .82, 2020-11-06 .205, 2021-02-05 .205"
)
"""As paid; source: Apple Inc., investor relations, dividend history."""


def paid_by_apple() -> list[Action]:
    both = (one.split() for one in PAID_BY_APPLE.split(","))
    return [paid(day, cash) for day, cash in both]


def test_the_factors_of_apple_are_those_of_an_independent_factor_file(
    traded: pd.DataFrame, shared: Path
) -> None:
    actions = paid_by_apple()
    ours = dividend_factor(traded, AAPL, [*actions, *SPLITS_OF_AAPL], traded["close"])
    ratio = later_ratio(last_dates(traded, AAPL), SPLITS_OF_AAPL)
    theirs = pd.read_csv(
        shared / "bars/lean/aapl_factor_file.csv",
        names=["day", "dividends", "splits", "close"],
        parse_dates=["day"],
        date_format="%Y%m%d",
    )
    row = np.searchsorted(theirs["day"].to_numpy(), last_dates(traded, AAPL))
    np.testing.assert_allclose(ours, theirs["dividends"].to_numpy()[row], rtol=2e-6)
    np.testing.assert_allclose(1 / ratio, theirs["splits"].to_numpy()[row], rtol=1e-5)


def test_what_apple_paid_comes_back_from_what_yahoo_lists() -> None:
    actions = paid_by_apple()
    days = np.array([one.ex_date for one in actions], dtype="datetime64[D]")
    ratio = later_ratio(days, SPLITS_OF_AAPL)
    listed = [
        Action(one.ex_date, one.kind, round(one.value / Fraction(divisor), 6))
        for one, divisor in zip(actions, ratio, strict=True)
    ]
    assert listed[0].value == Fraction("0.094643")
    assert as_paid([*listed, *SPLITS_OF_AAPL], SPLITS_OF_AAPL) == (*actions, *SPLITS_OF_AAPL)


def test_without_later_splits_a_payment_is_as_listed() -> None:
    third = Action(date(2024, 1, 3), ActionKind.DIVIDEND, Fraction(1, 3))
    assert as_paid([third], [split("2024-01-03", 2)]) == (third,)


def test_a_payment_that_no_short_decimal_explains_is_multiplied_only() -> None:
    odd = Action(date(2024, 1, 2), ActionKind.DIVIDEND, Fraction(1, 3))
    (found,) = as_paid([odd], [split("2024-01-03", 3)])
    assert abs(found.value / 3 - odd.value) <= Fraction(1, 2_000_000)


@given(cents=st.integers(1, 10**6), ratio=st.sampled_from([2, 3, 7, 15, 20, 28, 40]))
def test_a_quotient_rounded_to_six_decimals_still_gives_the_traded_price(
    cents: int, ratio: int
) -> None:
    price = cents / 100
    sent = np.array([round(price / ratio, 6)]).astype(np.float32).astype(np.float64)
    assert traded_prices(sent, np.array([float(ratio)]))[0] == price


def test_recorded_tsla_comes_back_in_whole_cents(shared: Path) -> None:
    (file,) = (shared / "recordings/yahoo").glob("chart__TSLA__*-no-dividends.json")
    chart = json.loads(file.read_text())["chart"]["result"][0]
    days = np.array(chart["timestamp"], dtype="datetime64[s]").astype("datetime64[D]")
    splits = [split("2020-08-31", 5), split("2022-08-25", 3)]
    ratio = later_ratio(days, splits)
    quoted = [chart["indicators"]["quote"][0][name] for name in PRICES]
    raw = np.concatenate([traded_prices(np.array(one, dtype=float), ratio) for one in quoted])
    before = np.tile(ratio == 15, 4)
    whole = np.round(raw, 2) == raw
    assert before.sum() == 10_244
    assert whole[before].all()
    narrow = np.concatenate([shortest_decimals(np.array(one), ratio) for one in quoted])
    assert (np.round(narrow, 2) == narrow)[before].sum() < 7_200
