"""Prices that were divided by splits become what was traded, or are refused."""

from dataclasses import replace
from datetime import UTC, date, datetime
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata_pipeline.domain.actions import Action, ActionKind, adjust_for_splits
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.terms import Prices, Terms
from marketdata_pipeline.ingest.importing.told import Told
from marketdata_pipeline.ingest.importing.traded import Priced
from marketdata_pipeline.store.catalog import KnownActions
from marketdata_pipeline_tests.ingest.world import day, days, walk

NVDA = Series.parse("NVDA|1d")
TEN = Action(date(2024, 6, 10), ActionKind.SPLIT, Fraction(10))
FOUR = Action(date(2021, 7, 20), ActionKind.SPLIT, Fraction(4))
PAID = Action(date(2021, 3, 9), ActionKind.DIVIDEND, Fraction("0.16"))
NOW = datetime(2024, 11, 1, 20, tzinfo=UTC)
RAW = walk(NVDA, days("2021-01-04", "2024-11-01"), FOUR, TEN)
EVERYTHING = (days("2021-01-04", "2024-11-02"),)
SPLIT_ADJUSTED = Terms(basis=Prices.SPLITS)


def _divided(*splits: Action, raw: pd.DataFrame = RAW, digits: int | None = None) -> pd.DataFrame:
    bars = adjust_for_splits(raw, NVDA, splits)
    if digits is None:
        return bars
    prices = bars.drop(columns="volume").round(digits)
    return prices.assign(volume=bars["volume"])


def _priced(bars: pd.DataFrame, terms: Terms = SPLIT_ADJUSTED) -> Priced:
    known = KnownActions((FOUR, TEN), EVERYTHING)
    return Priced(bars, NVDA, terms, Told(), known, NOW)


def _refusal(priced: Priced) -> str:
    with pytest.raises(BadInput) as refused:
        priced.traded()
    return str(refused.value)


@pytest.mark.parametrize("digits", [None, 6])
def test_known_splits_are_undone_to_the_cent(digits: int | None) -> None:
    found = _priced(_divided(FOUR, TEN, digits=digits)).traded()
    pd.testing.assert_frame_equal(found.bars, RAW, rtol=0, atol=0)
    assert (found.splits, found.news, found.splits_known) == ((FOUR, TEN), (), True)


def test_raw_prices_stay_as_they_are_whatever_is_known() -> None:
    found = _priced(RAW, Terms(basis=Prices.RAW)).traded()
    assert found.bars is RAW
    unknown = replace(_priced(RAW, Terms(basis=Prices.RAW)), known=KnownActions())
    assert unknown.traded().bars is RAW
    assert not unknown.traded().splits_known


def test_the_files_own_splits_are_as_good_as_the_catalogs_as_far_as_they_reach() -> None:
    told = Told((FOUR, TEN, replace(PAID, value=PAID.value / 40)), days("2021-01-04", "2024-11-01"))
    alone = replace(_priced(_divided(FOUR, TEN)), known=KnownActions(), told=told)
    said = _refusal(alone)
    assert said.startswith(
        "the splits of NVDA are not known from 2024-11-01 to 2024-11-01; run marketdata backfill "
        "NVDA first, or give them: --splits"
    )
    assert said.endswith("or say up to which day prices are adjusted: --adjusted-to DATE")
    terms = replace(SPLIT_ADJUSTED, adjusted_to=date(2024, 10, 31))
    found = replace(alone, terms=terms).traded()
    pd.testing.assert_frame_equal(found.bars, RAW, rtol=0, atol=0)
    assert set(found.news) == {FOUR, TEN, PAID}  # what was paid before two splits, as it was paid
    assert not found.splits_known


def test_splits_that_nobody_knows_are_asked_for() -> None:
    nothing = replace(_priced(_divided(FOUR, TEN)), known=KnownActions())
    assert _refusal(nothing) == (
        "the splits of NVDA are not known from 2021-01-04 to 2024-11-01; run marketdata backfill "
        "NVDA first, or give them: --splits 2024-06-10=10:1 or --splits none"
    )
    late = replace(nothing, known=KnownActions((TEN,), (days("2023-01-01", "2024-11-02"),)))
    assert "not known from 2021-01-04 to 2023-01-01" in _refusal(late)


def test_nights_weekends_and_the_hours_before_an_open_hide_no_split() -> None:
    friday = KnownActions((FOUR, TEN), (days("2021-01-04", "2024-11-02"),))
    sunday = datetime(2024, 11, 3, 12, tzinfo=UTC)
    assert replace(_priced(RAW), known=friday, market_now=sunday).traded().splits_known
    monday = datetime(2024, 11, 4, 14, 31, tzinfo=UTC)
    said = _refusal(replace(_priced(RAW), known=friday, market_now=monday))
    assert "not known from 2024-11-02 to 2024-11-04" in said


def test_a_person_may_give_the_splits() -> None:
    stated = replace(SPLIT_ADJUSTED, splits=(FOUR, TEN))
    found = replace(_priced(_divided(FOUR, TEN), stated), known=KnownActions()).traded()
    pd.testing.assert_frame_equal(found.bars, RAW, rtol=0, atol=0)
    assert found.news == (FOUR, TEN)
    assert found.splits_known


@pytest.mark.parametrize("stated", [(), (TEN,), (FOUR,)])
def test_splits_that_are_known_cannot_be_denied(stated: tuple[Action, ...]) -> None:
    said = _refusal(_priced(_divided(FOUR, TEN), replace(SPLIT_ADJUSTED, splits=stated)))
    assert "--splits lacks the split of" in said


def test_a_split_that_is_known_not_to_be_is_refused() -> None:
    strange = Action(date(2023, 5, 2), ActionKind.SPLIT, Fraction(2))
    stated = replace(SPLIT_ADJUSTED, splits=(FOUR, strange, TEN))
    assert "a split of 2:1 on 2023-05-02 is not among those that are known" in _refusal(
        _priced(_divided(FOUR, TEN), stated)
    )
    in_file = replace(_priced(RAW, Terms(basis=Prices.RAW)), told=Told((strange,)))
    assert "is not among those that are known" in _refusal(in_file)


def test_a_known_split_that_the_file_dates_otherwise_is_the_known_one() -> None:
    moved = replace(TEN, ex_date=date(2024, 6, 7))
    stated = replace(SPLIT_ADJUSTED, splits=(FOUR, moved))
    found = _priced(_divided(FOUR, TEN), stated).traded()
    pd.testing.assert_frame_equal(found.bars, RAW, rtol=0, atol=0)
    assert found.news == ()


def test_the_file_may_list_no_split_that_the_person_does_not() -> None:
    stated = replace(SPLIT_ADJUSTED, splits=(FOUR,))
    said = _refusal(replace(_priced(RAW, stated), told=Told((TEN,))))
    assert "the file lists a split on 2024-06-10 (10:1) that --splits lacks" in said


def test_a_split_after_the_last_bar_asks_whether_prices_know_of_it() -> None:
    old = RAW[RAW.index < day("2024-01-01")]
    assert _refusal(_priced(_divided(FOUR, raw=old))) == (
        "NVDA|1d: NVDA split 10:1 on 2024-06-10, after the last bar (2023-12-29); say whether "
        "prices are divided by that: --adjusted-to 2023-12-29 if not, --adjusted-to 2024-06-10 if "
        "so"
    )
    before = _priced(_divided(FOUR, raw=old), replace(SPLIT_ADJUSTED, adjusted_to=date(2024, 1, 5)))
    after = replace(SPLIT_ADJUSTED, adjusted_to=date(2024, 6, 10))
    for one in (before, _priced(_divided(FOUR, TEN, raw=old), after)):
        pd.testing.assert_frame_equal(one.traded().bars, old, rtol=0, atol=0)


def test_prices_are_not_adjusted_to_a_day_before_their_last_bar() -> None:
    terms = replace(SPLIT_ADJUSTED, adjusted_to=date(2024, 10, 30))
    assert "--adjusted-to 2024-10-30 is before the last bar (2024-10-31)" in _refusal(
        _priced(RAW, terms)
    )


def test_payments_that_are_known_and_those_of_known_times_are_no_news() -> None:
    other = replace(PAID, ex_date=date(2021, 6, 9))
    raw = replace(_priced(RAW, Terms(basis=Prices.RAW)), told=Told((PAID, other)))
    assert raw.traded().news == ()
    partly = KnownActions((FOUR, TEN, PAID), (days("2021-07-01", "2024-11-02"),))
    assert replace(raw, known=partly).traded().news == (other,)


def test_before_the_calendar_begins_any_day_may_have_split() -> None:
    ibm = Series.parse("IBM|1d")
    bars = RAW.iloc[:2].set_axis(pd.DatetimeIndex(["1962-01-02", "1962-01-03"], tz="UTC"))
    known = KnownActions((), (days("1970-01-01", "2024-11-02"),))
    priced = Priced(bars, ibm, SPLIT_ADJUSTED, Told(), known, NOW)
    assert "not known from 1962-01-02 to 1970-01-01" in _refusal(priced)


@pytest.mark.parametrize("name", ["BTC-USD|1d", "EURUSD=X|1d", "^GSPC|1d", "ES=F|1d"])
def test_what_has_no_splits_needs_none(name: str) -> None:
    one = replace(_priced(RAW), series=Series.parse(name), known=KnownActions())
    assert one.traded().bars is RAW
    assert one.traded().splits_known


def test_no_bar_needs_no_split() -> None:
    assert replace(_priced(RAW.iloc[:0]), known=KnownActions()).traded().bars.empty


def test_an_export_is_undone_by_its_own_splits_alone() -> None:
    """What its home did not know, or believed wrongly, was not, or was, divided by."""
    wrong = Action(date(2023, 5, 2), ActionKind.SPLIT, Fraction(3))
    terms = replace(SPLIT_ADJUSTED, splits=(FOUR, wrong), exact=True, adjusted_to=date(2024, 11, 1))
    found = _priced(_divided(FOUR, wrong), terms).traded()
    pd.testing.assert_frame_equal(found.bars, RAW, rtol=0, atol=0)
    assert found.news == ()
    assert found.splits == (FOUR, TEN)


ratios = st.sampled_from([2, 3, 4, 7, 10, 20, 28, 1.5, 1.05, 0.125, 0.1, 0.333])


@settings(max_examples=40)
@given(
    st.lists(st.decimals("0.0001", "900000", places=4), min_size=1, max_size=50),
    st.lists(ratios, min_size=1, max_size=4),
)
def test_an_exports_quotients_are_undone_exactly(
    prices: list[object], factors: list[float]
) -> None:
    labels = RAW.index[: len(prices)]
    numbers = np.array([float(str(one)) for one in prices])
    columns = dict.fromkeys(("open", "high", "low", "close"), numbers)
    raw = pd.DataFrame({**columns, "volume": np.full(len(numbers), 12_345.0)}, index=labels)
    splits = [
        Action(date(2024, 1, 2 + n), ActionKind.SPLIT, Fraction(str(one)))
        for n, one in enumerate(factors)
    ]
    terms = replace(SPLIT_ADJUSTED, splits=tuple(splits), exact=True)
    divided = adjust_for_splits(raw, NVDA, splits)
    found = Priced(divided, NVDA, terms, Told(), KnownActions(), NOW).traded()
    pd.testing.assert_frame_equal(found.bars, raw, rtol=0, atol=0, check_freq=False)
