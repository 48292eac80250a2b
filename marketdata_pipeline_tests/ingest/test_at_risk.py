"""Money at risk: quantity times the last close, in the base currency where the pair is known."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from marketdata_pipeline.database.engine import writing
from marketdata_pipeline.domain.bars import frame
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.ingest.at_risk import AtRisk
from marketdata_pipeline.store import holdings
from marketdata_pipeline.store.holdings import Holding
from marketdata_pipeline_tests.ingest.world import World
from marketdata_pipeline_tests.store.writes import write_of

AT = datetime(2024, 3, 14, tzinfo=UTC)
AAPL, AZN, BTC, PAIR = (Instrument(one) for one in ("AAPL", "AZN.L", "BTC-USD", "EURUSD=X"))


def close(
    world: World, instrument: Instrument, price: float, timeframe: str = "1d", said: str = "USD"
) -> None:
    columns = {**{key: [price] for key in ("open", "high", "low", "close")}, "volume": [1.0]}
    series = Series.parse(f"{instrument}|{timeframe}")
    write = write_of(frame([to_micros(AT)], columns), series)
    write = replace(write, fetch=replace(write.fetch, currency=said))
    world.store.commit(write, expected_version=None)


def held(world: World, *rows: Holding) -> None:
    with writing(world.home.engine) as connection:
        holdings.replace_all(connection, [], list(rows))


def money(world: World, base: str | None = None) -> AtRisk:
    return AtRisk(world.home.engine, world.store, base)


def test_all_portfolios_count_and_short_ones_as_much_as_long_ones(world: World) -> None:
    held(world, Holding("a", AAPL, 2.0, AT), Holding("b", AAPL, -3.0, AT))
    close(world, AAPL, 10.0)
    assert money(world).of(AAPL) == 50.0
    assert money(world).unit == ""


def test_what_nobody_holds_or_has_no_close_weighs_nothing(world: World) -> None:
    held(world, Holding("a", BTC, 2.0, AT))
    close(world, AAPL, 10.0)
    assert money(world).of(AAPL) == money(world).of(BTC) == 0.0


def test_an_hourly_close_serves_where_there_is_no_daily_one(world: World) -> None:
    held(world, Holding("a", AAPL, 2.0, AT))
    close(world, AAPL, 10.0, "1h")
    assert money(world).of(AAPL) == 20.0


@pytest.mark.parametrize(("base", "amount"), [("EUR", 80.0), ("USD", 100.0), ("CHF", 100.0)])
def test_it_is_told_in_the_base_currency_where_the_pair_has_a_close(
    world: World, base: str, amount: float
) -> None:
    held(world, Holding("a", AAPL, 10.0, AT, PAIR))
    close(world, AAPL, 10.0)
    close(world, PAIR, 1.25)
    found = money(world, base)
    assert found.of(AAPL) == pytest.approx(amount)
    assert found.unit == base


def test_a_pair_weighs_what_is_valued_by_it(world: World) -> None:
    held(world, Holding("a", AAPL, 10.0, AT, PAIR), Holding("a", BTC, 1.0, AT, PAIR))
    close(world, AAPL, 10.0)
    close(world, BTC, 1000.0)
    assert money(world).of(PAIR) == 1100.0


def test_pence_are_no_pounds(world: World) -> None:
    held(world, Holding("a", AZN, 10.0, AT))
    close(world, AZN, 12_000.0, said="GBp")
    assert money(world, "GBP").of(AZN) == 1200.0


def test_euros_become_dollars_by_the_same_pair(world: World) -> None:
    sap = Instrument("SAP.DE")
    held(world, Holding("a", sap, 10.0, AT, PAIR))
    close(world, sap, 100.0, said="EUR")
    close(world, PAIR, 1.25)
    assert money(world, "USD").of(sap) == 1250.0
