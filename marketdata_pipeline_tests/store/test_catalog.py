from dataclasses import replace
from datetime import date, datetime, timedelta
from fractions import Fraction

import pandas as pd
import pytest
from sqlalchemy import Engine, event

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.bars import empty
from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.domain.ranges import TimeRange, from_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog, Facts, KnownActions, SeriesSummary
from marketdata_pipeline.store.write import FetchKind
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.writes import COIN, START, STOCK, bars_at, minutes, write_of

APPLE = Instrument.parse("AAPL")
SPLIT = Action(date(2020, 8, 31), ActionKind.SPLIT, Fraction(4))
PAID = Action(date(2020, 8, 31), ActionKind.DIVIDEND, Fraction(0.1))
REVERSE = Action(date(2011, 5, 9), ActionKind.SPLIT, Fraction(1, 10))


@pytest.fixture
def catalog(engine: Engine, clock: FrozenClock) -> Catalog:
    return Catalog(engine, clock)


def days(first: int, count: int) -> TimeRange:
    return TimeRange(START + timedelta(days=first), START + timedelta(days=first + count))


def test_actions_come_back_exactly_and_sorted(store: BarStore, catalog: Catalog) -> None:
    write = replace(write_of(empty(), STOCK, window=days(0, 1)), actions=(SPLIT, PAID, REVERSE))
    store.commit(write, expected_version=None)
    known = catalog.known_actions([APPLE, COIN.instrument])
    assert known[APPLE].actions == tuple(sorted([REVERSE, SPLIT, PAID]))
    assert known[COIN.instrument] == KnownActions()


def test_the_value_that_was_told_last_counts_and_none_is_removed(
    store: BarStore, catalog: Catalog
) -> None:
    write = write_of(empty(), STOCK, window=days(0, 1))
    again = replace(SPLIT, value=Fraction(7, 2))
    for actions in ((SPLIT, REVERSE), (again,), ()):
        store.commit(
            replace(write, actions=actions, actions_within=days(0, 5)), expected_version=None
        )
    assert catalog.known_actions([APPLE])[APPLE].actions == (REVERSE, again)


def test_ranges_in_which_all_actions_are_known_grow_together(
    store: BarStore, catalog: Catalog
) -> None:
    write = write_of(empty(), STOCK, window=days(0, 1))
    for within in (days(0, 5), days(20, 5), days(5, 2), days(1, 1), None):
        store.commit(replace(write, actions_within=within), expected_version=None)
    assert catalog.known_actions([APPLE])[APPLE].covered == (days(0, 7), days(20, 5))


def test_facts_are_kept_until_told_anew(store: BarStore, catalog: Catalog) -> None:
    write = write_of(empty(), STOCK, window=days(0, 1))
    silent = replace(write.fetch, currency=None)
    assert catalog.facts([APPLE]) == {APPLE: Facts()}
    store.commit(replace(write, fetch=silent), expected_version=None)
    equity = Facts(asset_class=AssetClass.EQUITY)
    assert catalog.facts([APPLE]) == {APPLE: equity}
    store.commit(replace(write, first_trade=date(1980, 12, 12)), expected_version=None)
    store.commit(replace(write, fetch=silent, actions_within=days(0, 1)), expected_version=None)
    told = replace(equity, first_trade=date(1980, 12, 12), currency="USD")
    assert catalog.facts([APPLE]) == {APPLE: told}
    pence = replace(write.fetch, currency="GBp")
    store.commit(replace(write, fetch=pence), expected_version=None)
    assert catalog.facts([APPLE]) == {APPLE: replace(told, currency="GBp")}


@pytest.mark.parametrize("actions_within", [None, days(0, 1)])
def test_a_class_is_the_spellings_until_told_better(
    store: BarStore, catalog: Catalog, actions_within: TimeRange | None
) -> None:
    write = replace(write_of(empty(), STOCK, window=days(0, 1)), actions_within=actions_within)
    store.commit(write_of(empty(), COIN, window=days(0, 1)), expected_version=None)
    known = []
    for kind in (None, AssetClass.ETF, None):
        store.commit(replace(write, asset_class=kind), expected_version=None)
        known.append(catalog.facts([APPLE])[APPLE].asset_class)
    assert known == [AssetClass.EQUITY, AssetClass.ETF, AssetClass.ETF]
    assert catalog.classes() == {COIN.instrument: AssetClass.CRYPTO, APPLE: AssetClass.ETF}


def test_a_summary_says_all_of_a_series_in_one_line(
    store: BarStore, catalog: Catalog, engine: Engine
) -> None:
    first = write_of(bars_at(minutes(0, 5)))
    store.commit(replace(first, fetch=replace(first.fetch, requests=3)), expected_version=None)
    other = replace(first.fetch, provider="binance", origin="binance", requests=2)
    store.commit(replace(write_of(bars_at(minutes(5, 5))), fetch=other), expected_version=None)
    nothing = write_of(empty(), window=first.fetch.window)
    store.commit(nothing, expected_version=None)
    (found,) = catalog.summaries([COIN])
    assert found == SeriesSummary(
        COIN,
        rows=10,
        first=from_micros(int(minutes(0, 1)[0])),
        last=from_micros(int(minutes(9, 1)[0])),
        provider="binance",
        origin="binance",
        requests=6,
        version=2,
        updated_at=found.updated_at,
    )
    assert isinstance(found.updated_at, datetime)
    if engine.dialect.name == "sqlite":
        assert found.updated_at == FrozenClock().wall


def test_summaries_keep_the_order_asked_and_know_unknown_series(
    store: BarStore, catalog: Catalog
) -> None:
    store.commit(write_of(bars_at(minutes(0, 5))), expected_version=None)
    assert [one.series for one in catalog.summaries([STOCK, COIN])] == [STOCK, COIN]
    assert catalog.summaries([STOCK]) == [SeriesSummary(STOCK)]
    assert [one.series for one in catalog.summaries()] == [COIN]
    assert catalog.summaries([]) == []


@pytest.mark.parametrize("count", [1, 40])
def test_overviews_take_a_constant_number_of_queries(
    engine: Engine, store: BarStore, catalog: Catalog, count: int
) -> None:
    series = [Series.parse(f"A{number}|1d") for number in range(count)]
    for one in series:
        store.commit(write_of(bars_at([0]), one), expected_version=None)
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    catalog.summaries(series)
    catalog.summaries()
    catalog.known_actions([one.instrument for one in series])
    catalog.facts([one.instrument for one in series])
    catalog.classes()
    coverage = store.coverage(series)
    asked = [one for one in asked if not one.startswith("BEGIN")]
    assert len(asked) == 4 + 4 + 2 + 1 + 1 + 1
    assert all(len(one.spans) == 1 for one in coverage.values())


def test_an_error_is_noted_on_a_series_that_has_nothing_yet(catalog: Catalog) -> None:
    catalog.record_error(STOCK, "unavailable", "x" * 9000)
    (found,) = catalog.summaries([STOCK])
    assert (found.error_category, found.error_message) == ("unavailable", "x" * 500)
    assert found.error_at is not None
    assert (found.rows, found.updated_at, found.version) == (0, None, 0)


def test_the_base_version_of_the_last_derivation(store: BarStore, catalog: Catalog) -> None:
    weekly = Series.parse("AAPL|1wk")
    assert catalog.summaries([weekly])[0].base_version is None
    write = write_of(empty(), weekly, window=days(0, 7))
    for version in (3, 5):
        fetch = replace(write.fetch, kind=FetchKind.DERIVED, base_version=version)
        store.commit(replace(write, fetch=fetch), expected_version=None)
    store.commit(write_of(bars_at([0]), STOCK), expected_version=None)
    assert [one.base_version for one in catalog.summaries([weekly, STOCK])] == [5, None]


@pytest.mark.parametrize("bars", [bars_at([0, 1]), empty()])
def test_a_write_makes_of_a_summary_what_the_catalog_then_says(
    store: BarStore, catalog: Catalog, bars: pd.DataFrame
) -> None:
    store.commit(write_of(bars_at([5])), expected_version=None)
    catalog.record_error(COIN, "unavailable", "down")
    before = catalog.summaries([COIN])[0]
    write = write_of(bars, window=days(0, 2))
    write = replace(write, fetch=replace(write.fetch, provider="other", origin="elsewhere"))
    after = before.after(store.commit(write, expected_version=None))
    (found,) = catalog.summaries([COIN])
    assert after == replace(found, requests=before.requests, updated_at=before.updated_at)
    assert after.provider == ("other" if len(bars) else before.provider)


def test_when_each_series_was_last_asked_for_and_how_that_ended(
    store: BarStore, catalog: Catalog, clock: FrozenClock
) -> None:
    store.commit(write_of(bars_at([0]), STOCK), expected_version=None)
    catalog.record_error(COIN, "unavailable", "down")
    found = catalog.last_asked([STOCK, COIN, Series.parse("MSFT|1d")])
    assert {one: it.failed for one, it in found.items()} == {STOCK: None, COIN: "unavailable"}
    clock.wall += timedelta(hours=1)
    catalog.record_error(STOCK, "timeout", "slow")
    after = catalog.last_asked([STOCK])
    assert list(after) == [STOCK]
    assert after[STOCK].failed == "timeout"
    assert after[STOCK].at >= found[STOCK].at
