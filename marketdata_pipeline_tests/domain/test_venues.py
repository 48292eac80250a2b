"""Venues point to calendars and zones that exist."""

from zoneinfo import ZoneInfo

import exchange_calendars
import pytest

from marketdata_pipeline.domain import venues
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.venues import Venue

LISTED = {"US": venues.US, **venues.BY_SUFFIX}


@pytest.mark.parametrize(("suffix", "venue"), LISTED.items())
def test_each_suffix_has_a_calendar_and_a_zone(suffix: str, venue: Venue) -> None:
    assert venue.calendar in exchange_calendars.get_calendar_names(include_aliases=False), suffix
    assert ZoneInfo(venue.zone).key == venue.zone


@pytest.mark.parametrize("suffix", venues.BY_SUFFIX)
def test_each_suffix_is_in_the_grammar(suffix: str) -> None:
    assert Instrument.parse(f"ABC.{suffix}").venue == venues.BY_SUFFIX[suffix]


@pytest.mark.parametrize("index", [*venues.BY_INDEX, *sorted(venues.YIELDS)])
def test_each_index_and_yield_is_in_the_grammar(index: str) -> None:
    assert Instrument.parse(index).venue == venues.BY_INDEX.get(index, venues.US)


@pytest.mark.parametrize("suffix", sorted(venues.FUTURES_SUFFIXES))
def test_each_futures_market_is_in_the_grammar(suffix: str) -> None:
    assert Instrument.parse(f"ESZ26.{suffix}").venue == venues.CME


@pytest.mark.parametrize("currency", sorted(venues.QUOTE_CURRENCIES))
def test_each_quote_currency_is_in_the_grammar(currency: str) -> None:
    assert Instrument.parse(f"SOL-{currency}").venue == venues.CRYPTO


def test_no_stock_suffix_is_a_futures_market() -> None:
    assert not venues.FUTURES_SUFFIXES & set(venues.BY_SUFFIX)


def test_venues_that_share_a_calendar_share_its_zone() -> None:
    every = (*venues.BY_SUFFIX.values(), *venues.BY_INDEX.values(), venues.US, venues.CRYPTO,
             venues.FX, venues.CME)  # fmt: skip
    assert all(venues.BY_CALENDAR[one.calendar].zone == one.zone for one in every)
