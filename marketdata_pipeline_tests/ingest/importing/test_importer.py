"""What an import stores, and what it leaves as it is; on both databases."""

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pandas as pd
import pytest
from sqlalchemy import func, select

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import fetches
from marketdata_pipeline.domain.actions import Action, ActionKind, adjust_for_splits
from marketdata_pipeline.domain.coverage import SpanKind
from marketdata_pipeline.domain.reply import Basis
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.importer import Rows
from marketdata_pipeline.ingest.importing.outcome import Imported
from marketdata_pipeline.ingest.importing.said import UNHEARD, Said
from marketdata_pipeline.ingest.importing.terms import UNSAID, Prices, Side, Terms
from marketdata_pipeline.store.tracking import Tracked
from marketdata_pipeline.store.write import Fetch, FetchKind, State, Write
from marketdata_pipeline_tests.ingest.importing.conftest import Make
from marketdata_pipeline_tests.ingest.importing.rows import (
    at_closes,
    naive,
    table_of,
    yahoo_daily,
)
from marketdata_pipeline_tests.ingest.world import World, day, days, walk

AAPL, HOURS, WEEKS = (Series.parse(f"AAPL|{one}") for one in ("1d", "1h", "1wk"))
YEAR = days("2023-03-15", "2024-03-15")
BARS = walk(AAPL, YEAR)
RAW = Terms(side=Side.OPEN, zone="America/New_York", basis=Prices.RAW)
SPLIT = Action(date(2023, 6, 12), ActionKind.SPLIT, Fraction(10))


def _rows(
    frame: pd.DataFrame, series: Series = AAPL, terms: Terms = RAW, said: Said = UNHEARD
) -> Rows:
    return Rows(series, table_of(frame), terms, said, "import:bars.csv")


def _dates(bars: pd.DataFrame) -> pd.DataFrame:
    """With the dates in a column of text."""
    return bars.reset_index().assign(ts=lambda one: one["ts"].dt.strftime("%Y-%m-%d"))


def _fetched(world: World, within: pd.DataFrame = BARS, *, series: Series = AAPL) -> pd.DataFrame:
    """What a provider has brought."""
    world.provider.truth = {series: within}
    span = days(str(within.index[0].date()), str((within.index[-1] + timedelta(days=1)).date()))
    assert world.updater.update(series, span).error is None
    return world.store.read(series)


def _changed(bars: pd.DataFrame, row: int, by: float = 0.01) -> pd.DataFrame:
    found = bars.copy()
    found.loc[found.index[row], ["close", "high"]] += by
    return found


def _count(world: World) -> int:
    with reading(world.home.engine) as connection:
        return int(connection.execute(select(func.count()).select_from(fetches)).scalar_one())


def _numbers(found: Imported) -> tuple[int, int, int, int]:
    """New, known, differing, replaced."""
    assert found.counts is not None
    counts = found.counts
    return counts.new, counts.known, counts.differing, counts.replaced


def test_bars_are_stored_with_where_they_come_from(world: World, importing: Make) -> None:
    terms = replace(RAW, provider="stooq", currency="USD")
    found = importing().take(_rows(_dates(BARS), terms=terms))
    assert _numbers(found) == (252, 0, 0, 0)
    assert (found.stored, found.tracked, found.error) == (True, False, None)
    assert found.span == days("2023-03-15", "2024-03-15")
    pd.testing.assert_frame_equal(world.store.read(AAPL), BARS, check_freq=False)
    (summary,) = world.catalog.summaries([AAPL])
    assert (summary.provider, summary.origin, summary.requests) == ("stooq", "import:bars.csv", 0)
    assert world.catalog.facts([AAPL.instrument])[AAPL.instrument].currency == "USD"
    with reading(world.home.engine) as connection:
        row = connection.execute(select(fetches)).one()
    assert (row.kind, row.basis, row.currency, row.dropped) == ("reply", "raw", "USD", "[]")


def test_the_same_rows_again_change_nothing(world: World, importing: Make) -> None:
    importing().take(_rows(_dates(BARS)))
    before, versions = _count(world), world.store.versions([AAPL])
    world.clock.advance(timedelta(days=1))
    found = importing().take(_rows(_dates(BARS)))
    assert _numbers(found) == (0, 252, 0, 0)
    assert not found.stored
    assert (_count(world), world.store.versions([AAPL])) == (before, versions)


def test_a_dry_run_counts_the_same_and_writes_nothing(world: World, importing: Make) -> None:
    importing().take(_rows(_dates(BARS.iloc[:100])))
    dry = importing(dry_run=True).take(_rows(_dates(BARS)))
    assert not dry.stored
    assert len(world.store.read(AAPL)) == 100
    wet = importing().take(_rows(_dates(BARS)))
    assert dry == replace(wet, stored=False)
    assert _numbers(wet) == (152, 100, 0, 0)


def test_holes_are_filled_and_what_a_provider_brought_stays(world: World, importing: Make) -> None:
    world.provider.lacking = {day("2023-08-01"), day("2023-08-02")}
    stored = _fetched(world)
    assert [one.kind for one in world.store.coverage([AAPL])[AAPL].spans].count(SpanKind.HOLE) == 1
    found = importing().take(_rows(_dates(_changed(BARS, 7))))
    assert _numbers(found) == (2, 250, 1, 0)
    (one,) = found.differences
    assert (one.ts, one.column) == (BARS.index[7], "high")
    assert one.imported == pytest.approx(one.stored + 0.01)
    merged = world.store.read(AAPL)
    pd.testing.assert_frame_equal(merged.loc[stored.index], stored)
    pd.testing.assert_frame_equal(merged, BARS, check_freq=False)
    spans = world.store.coverage([AAPL])[AAPL].spans
    assert {one.kind for one in spans} == {SpanKind.ANSWERED}


def test_provisional_bars_are_replaced_only_where_it_is_said(world: World, importing: Make) -> None:
    _fetched(world)
    assert _numbers(importing().take(_rows(_dates(_changed(BARS, 251))))) == (0, 252, 1, 0)
    found = importing(over=True).take(_rows(_dates(_changed(BARS, 251))))
    assert _numbers(found) == (0, 252, 1, 1)
    assert world.store.read(AAPL)["close"].iloc[251] == BARS["close"].iloc[251] + 0.01
    assert world.catalog.summaries([AAPL])[0].rows == 252
    again = importing(over=True).take(_rows(_dates(_changed(BARS, 251))))
    assert (_numbers(again), again.stored) == ((0, 252, 0, 0), False)


def test_final_bars_and_those_with_volume_are_never_replaced(world: World, importing: Make) -> None:
    importing().take(_rows(_dates(BARS)))
    now = world.clock.market_now()
    settled = Fetch(FetchKind.REPLY, "truth", "truth", YEAR, Basis.RAW, "USD", now, now)
    world.store.commit(
        Write(AAPL, settled, BARS.iloc[[7]], state=State.FINAL),
        expected_version=world.store.versions([AAPL])[AAPL],
    )
    other = _changed(_changed(BARS, 7), 9)
    other.loc[other.index[20], "volume"] = 0.0
    found = importing(over=True).take(_rows(_dates(other)))
    assert _numbers(found) == (0, 252, 3, 1)
    stored = world.store.read(AAPL)
    assert stored["close"].iloc[7] == BARS["close"].iloc[7]
    assert stored["close"].iloc[9] == other["close"].iloc[9]
    assert stored["volume"].iloc[20] == BARS["volume"].iloc[20]


def test_an_import_answers_where_its_bars_are_and_nowhere_else(
    world: World, importing: Make
) -> None:
    """What is absent between imported bars stays missing: a provider is asked for it."""
    lacking = [day("2023-08-01"), day("2023-08-02"), day("2023-11-10")]
    importing().take(_rows(_dates(BARS.drop(index=lacking))))
    covered = [one.within for one in world.store.coverage([AAPL])[AAPL].spans]
    assert covered == [
        days("2023-03-15", "2023-08-01"),
        days("2023-08-03", "2023-11-10"),
        days("2023-11-13", "2024-03-15"),
    ]
    world.provider.truth = {AAPL: BARS}
    outcome = world.updater.update(AAPL, YEAR)
    assert (outcome.error, outcome.rows_new) == (None, 3)
    pd.testing.assert_frame_equal(world.store.read(AAPL), BARS, check_freq=False)


def test_what_is_out_of_the_providers_depth_is_answered_by_an_import(
    world: World, importing: Make
) -> None:
    bars = walk(HOURS, days("2021-01-04", "2021-01-09"))
    world.provider.truth = {HOURS: walk(HOURS, days("2024-03-11", "2024-03-15"))}
    assert world.updater.update(HOURS, days("2021-01-01", "2024-03-15")).error is None
    spans = world.store.coverage([HOURS])[HOURS].spans
    assert spans[0].kind is SpanKind.OUT_OF_DEPTH
    importing().take(_rows(naive(bars, "America/New_York"), HOURS))
    answered = [
        one.within
        for one in world.store.coverage([HOURS])[HOURS].spans
        if one.kind is SpanKind.ANSWERED
    ]
    assert answered[0].start == bars.index[0]
    assert answered[0].end == day("2021-01-08") + timedelta(hours=21)


def test_days_before_the_calendar_begins_are_answered_week_by_week(
    world: World, importing: Make
) -> None:
    series = Series.parse("IBM|1d")
    labels = pd.bdate_range("1962-01-02", "1962-02-09", tz="UTC").drop(
        pd.date_range("1962-01-22", "1962-01-26", tz="UTC")
    )
    bars = BARS.iloc[: len(labels)].set_axis(labels.as_unit("us").rename("ts"))
    found = importing().take(_rows(_dates(bars), series))
    assert _numbers(found) == (len(labels), 0, 0, 0)
    assert [one.within for one in world.store.coverage([series])[series].spans] == [
        days("1962-01-02", "1962-01-20"),
        days("1962-01-29", "1962-02-10"),
    ]


def test_bars_labelled_by_their_close_are_moved_by_the_calendar(
    world: World, importing: Make
) -> None:
    """With both half days of November and December, and a change of the clocks."""
    bars = walk(HOURS, days("2023-10-30", "2024-01-06"))
    terms = replace(RAW, side=Side.CLOSE)
    found = importing().take(_rows(naive(at_closes(bars, HOURS), "America/New_York"), HOURS, terms))
    assert found.counts is not None
    assert found.counts.moved == found.counts.new == len(bars)
    pd.testing.assert_frame_equal(world.store.read(HOURS), bars, check_freq=False)


def test_lunch_breaks_and_another_zone_are_the_calendars_business(
    world: World, importing: Make
) -> None:
    series = Series.parse("0700.HK|1h")
    bars = walk(series, days("2024-01-02", "2024-02-20"))
    terms = replace(RAW, side=Side.CLOSE, zone="Asia/Hong_Kong")
    importing().take(_rows(naive(at_closes(bars, series), "Asia/Hong_Kong"), series, terms))
    pd.testing.assert_frame_equal(world.store.read(series), bars, check_freq=False)


def test_split_adjusted_prices_are_stored_as_traded(world: World, importing: Make) -> None:
    raw = walk(AAPL, YEAR, SPLIT)
    world.provider.truth, world.provider.actions = {AAPL: raw}, (SPLIT,)
    assert world.updater.update(AAPL, days("2024-01-02", "2024-03-15")).error is None
    adjusted = adjust_for_splits(raw, AAPL, [SPLIT])
    terms = replace(RAW, basis=Prices.SPLITS)
    with pytest.raises(BadInput, match="the splits of AAPL are not known from 2023-03-15 to 2024-"):
        importing().take(_rows(_dates(adjusted), terms=terms))
    found = importing().take(_rows(_dates(adjusted), terms=replace(terms, splits=(SPLIT,))))
    assert found.counts is not None
    assert (found.counts.actions, found.counts.differing) == (1, 0)
    pd.testing.assert_frame_equal(world.store.read(AAPL), raw, check_freq=False)
    assert world.catalog.known_actions([AAPL.instrument])[AAPL.instrument].actions == (SPLIT,)


def test_a_split_that_prices_were_not_divided_by_is_noticed(world: World, importing: Make) -> None:
    raw = walk(AAPL, YEAR, SPLIT)
    world.provider.truth, world.provider.actions = {AAPL: raw}, (SPLIT,)
    assert world.updater.update(AAPL, days("2023-03-15", "2024-01-02")).error is None
    adjusted = adjust_for_splits(raw, AAPL, [SPLIT])
    with pytest.raises(BadInput, match=r"disagree with the split of 2023-06-12 \(10:1\); is --bas"):
        importing().take(_rows(_dates(adjusted), terms=RAW))


@pytest.mark.parametrize("factor", [100.0, 0.9])
def test_other_closes_than_the_stored_ones_are_another_instrument(
    factor: float, world: World, importing: Make
) -> None:
    _fetched(world, BARS.iloc[:200])
    prices = {name: BARS[name] * factor for name in ("open", "high", "low", "close")}
    with pytest.raises(
        BadInput, match=r"times the stored ones in the middle of 200 bars in common"
    ):
        importing().take(_rows(_dates(BARS.assign(**prices))))
    assert len(world.store.read(AAPL)) == 200


def test_yfinances_frame_says_all_of_itself_and_brings_its_actions(
    world: World, importing: Make
) -> None:
    raw = walk(AAPL, YEAR, SPLIT)
    frame = yahoo_daily(adjust_for_splits(raw, AAPL, [SPLIT]))
    frame.loc["2023-06-12", "Stock Splits"] = 10.0
    frame.loc["2023-05-12", "Dividends"] = 0.024
    terms = Terms(adjusted_to=date(2024, 3, 14))
    found = importing().take(_rows(frame, terms=terms))
    assert _numbers(found) == (252, 0, 0, 0)
    pd.testing.assert_frame_equal(world.store.read(AAPL), raw, check_freq=False)
    known = world.catalog.known_actions([AAPL.instrument])[AAPL.instrument]
    paid = Action(date(2023, 5, 12), ActionKind.DIVIDEND, Fraction("0.24"))
    assert known.actions == (paid, SPLIT)
    assert known.covered == ()  # a provider is asked all the same
    again = importing().take(_rows(frame, terms=terms))
    assert (again.stored, again.counts and again.counts.actions) == (False, 0)


def test_new_actions_are_kept_also_where_no_bar_is_new(world: World, importing: Make) -> None:
    importing().take(_rows(_dates(BARS)))
    frame = yahoo_daily(BARS)
    frame.loc["2023-05-12", "Dividends"] = 0.24
    found = importing().take(_rows(frame, terms=Terms(adjusted_to=date(2024, 3, 14))))
    assert (found.stored, _numbers(found)) == (True, (0, 252, 0, 0))
    assert len(world.catalog.known_actions([AAPL.instrument])[AAPL.instrument].actions) == 1


def test_dividend_adjusted_prices_are_refused(importing: Make) -> None:
    frame = yahoo_daily(BARS).drop(columns="Adj Close")
    with pytest.raises(BadInput) as refused:
        importing().take(_rows(frame, terms=UNSAID))
    assert str(refused.value) == (
        "bars.csv: prices that dividends were taken out of cannot be made raw without the factors; "
        "save them again with an unadjusted close (yfinance: auto_adjust=False, then Close is "
        "unadjusted beside Adj Close), or say --basis raw or --basis splits where that is what "
        "they are"
    )
    coin = Series.parse("BTC-USD|1d")
    pays_nothing = yahoo_daily(walk(coin, YEAR), "UTC").drop(columns="Adj Close")
    assert _numbers(importing().take(_rows(pays_nothing, coin, UNSAID))) == (366, 0, 0, 0)


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (UNSAID, "does not say its label side, zone and basis; add --labels open|close, --zone"),
        (replace(RAW, zone=None), "does not say its zone; add --zone (America/New_York, UTC, ...)"),
        (replace(RAW, side=None), "does not say its label side; add --labels open|close"),
        (replace(RAW, basis=None), "does not say its basis; add --basis raw|splits"),
    ],
)
def test_what_neither_file_nor_person_says_is_refused(
    terms: Terms, said: str, importing: Make
) -> None:
    with pytest.raises(BadInput) as refused:
        importing().take(_rows(_dates(BARS), terms=terms))
    assert said in str(refused.value)


def test_times_that_name_their_zone_need_none_and_bear_no_other(
    world: World, importing: Make
) -> None:
    bars = walk(HOURS, days("2024-03-04", "2024-03-15"))
    with pytest.raises(BadInput, match="the times name their zone themselves, and it is not Amer"):
        importing().take(_rows(bars, HOURS, RAW))
    beside = Said(terms=Terms(zone="America/New_York"))  # of the exchange, as metadata has it
    importing().take(_rows(bars, HOURS, replace(RAW, zone=None), beside))
    pd.testing.assert_frame_equal(world.store.read(HOURS), bars, check_freq=False)


def test_what_stands_beside_a_file_counts_and_bears_no_contradiction(importing: Make) -> None:
    said = Said(terms=replace(RAW, basis=Prices.SPLITS))
    with pytest.raises(BadInput, match=r"beside bars.csv says that its basis is splits, not raw"):
        importing().take(_rows(_dates(BARS), terms=RAW, said=said))
    found = importing().take(_rows(_dates(BARS), terms=UNSAID, said=Said(terms=RAW)))
    assert _numbers(found) == (252, 0, 0, 0)


def test_another_currency_than_the_instruments_is_refused(world: World, importing: Make) -> None:
    _fetched(world, BARS.iloc[:100])
    with pytest.raises(BadInput, match=r"AAPL\|1d is kept in USD, not EUR; convert the prices"):
        importing().take(_rows(_dates(BARS), terms=replace(RAW, currency="EUR")))


def test_simulated_bars_stay_out_of_a_live_home(importing: Make) -> None:
    rows = _rows(_dates(BARS), said=Said(terms=RAW, simulated=True))
    with pytest.raises(BadInput, match="holds simulated bars, which a live home refuses"):
        importing().take(rows)
    assert _numbers(replace(importing(), live=False).take(rows)) == (252, 0, 0, 0)


def test_a_series_that_is_kept_is_judged(world: World, importing: Make) -> None:
    world.tracking.put(Tracked(AAPL.instrument, (AAPL.timeframe,), since=day("2023-03-15")))
    found = importing().take(_rows(_dates(BARS.iloc[:-2])))
    assert (found.tracked, found.error) == (True, None)
    verdicts = world.verdicts.of(AAPL)
    assert verdicts["bars_contract"].passed
    assert verdicts["completeness"].detail == "3 of 253 expected bars absent"
    importing().take(_rows(_dates(BARS)))
    assert world.verdicts.of(AAPL)["completeness"].detail == "1 of 253 expected bars absent"


def test_a_series_that_nobody_keeps_is_not_judged(world: World, importing: Make) -> None:
    importing().take(_rows(_dates(BARS)))
    assert world.verdicts.of(AAPL) == {}


def test_imported_weeks_stay_until_they_can_be_made_of_days(world: World, importing: Make) -> None:
    weeks = walk(WEEKS, days("2023-01-02", "2023-03-13"))
    world.tracking.put(Tracked(AAPL.instrument, (AAPL.timeframe, WEEKS.timeframe)))
    found = importing().take(_rows(_dates(weeks), WEEKS))
    assert (_numbers(found), found.error) == ((10, 0, 0, 0), None)
    assert world.store.coverage([WEEKS])[WEEKS].spans == ()
    world.provider.truth = {AAPL: walk(AAPL, days("2023-02-06", "2024-03-16"))}
    world.provider.first_trade = date(2023, 2, 6)
    (outcome,) = world.updater.update_many([WEEKS])
    assert outcome.error is None
    stored = world.store.read(WEEKS)
    pd.testing.assert_frame_equal(stored.iloc[:5], weeks.iloc[:5], check_freq=False)
    assert stored.index[-1] == day("2024-03-11")
    assert (stored["close"].iloc[5:10].to_numpy() != weeks["close"].iloc[5:].to_numpy()).any()


def test_the_splits_of_imported_bars_are_asked_for_with_the_next_reply(
    world: World, importing: Make
) -> None:
    """Raw bars of a file come without them, and would be adjusted wrongly on read."""
    old = Action(date(2021, 6, 14), ActionKind.SPLIT, Fraction(4))
    whole = walk(AAPL, days("2021-01-04", "2024-03-16"), old)
    found = importing().take(_rows(_dates(whole[whole.index < day("2024-01-01")])))
    assert not found.splits_known
    world.provider.truth, world.provider.actions = {AAPL: whole}, (old,)
    wanted = days("2021-01-04", "2024-03-16")
    outcome = world.updater.update(AAPL, wanted)
    assert (outcome.error, outcome.requests) == (None, 2)
    assert [one.start.date() for _, one in world.provider.asked] == [
        date(2024, 1, 2),
        date(2021, 1, 4),
    ]
    known = world.catalog.known_actions([AAPL.instrument])[AAPL.instrument]
    assert known.actions == (old,)
    pd.testing.assert_frame_equal(world.store.read(AAPL), whole, check_freq=False)
    assert importing().take(_rows(_dates(whole))).splits_known


def test_dropped_rows_are_kept_with_the_fetch(world: World, importing: Make) -> None:
    bars = BARS.copy()
    bars.loc[bars.index[3], "volume"] = -1.0
    importing().take(_rows(_dates(bars)))
    with reading(world.home.engine) as connection:
        (dropped,) = connection.execute(select(fetches.c.dropped)).scalars()
    assert dropped == f'[[{int(bars.index[3].timestamp()) * 10**6}, "volume"]]'


def test_a_file_without_any_good_bar_stores_nothing(world: World, importing: Make) -> None:
    found = importing().take(_rows(_dates(BARS.iloc[[0]].assign(volume=-1.0))))
    assert (found.stored, found.span, _numbers(found)) == (False, None, (0, 0, 0, 0))
    assert _count(world) == 0
