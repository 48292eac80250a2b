"""Rows of holdings: replaced as a whole, and who needs an instrument by them; both databases."""

from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import Engine

from marketdata_pipeline.database.engine import reading, writing
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.store import holdings
from marketdata_pipeline.store.holdings import Holding, Need

AAPL, MSFT, PAIR = (Instrument.parse(one) for one in ("AAPL", "MSFT", "EURUSD=X"))
EARLY, LATE = datetime(2020, 1, 2, tzinfo=UTC), datetime(2021, 1, 2, tzinfo=UTC)
APPLE = Holding("a", AAPL, 1 / 3, LATE, PAIR)
SHORT = Holding("a", MSFT, -2.0, EARLY)
OTHER = Holding("b", AAPL, 5.0, EARLY, PAIR)
ITSELF = Holding("a", PAIR, 100.0, LATE)


def put(engine: Engine, before: list[Holding], after: list[Holding]) -> None:
    with writing(engine) as connection:
        holdings.replace_all(connection, before, after)


def test_rows_say_what_they_were_replaced_by(engine: Engine) -> None:
    put(engine, [], [APPLE, SHORT, OTHER])
    more = replace(APPLE, quantity=7.0, pair=None)
    with reading(engine) as connection:
        assert holdings.all_of(connection) == [APPLE, SHORT, OTHER]
        assert holdings.all_of(connection, [AAPL]) == [APPLE, OTHER]
        assert holdings.all_of(connection, []) == []
    put(engine, [APPLE, OTHER], [more])
    with reading(engine) as connection:
        assert holdings.all_of(connection) == [more, SHORT]


def test_a_pair_is_needed_by_each_portfolio_once(engine: Engine) -> None:
    put(engine, [], [APPLE, SHORT, OTHER, ITSELF])
    with reading(engine) as connection:
        assert holdings.needs(connection, [AAPL, PAIR, Instrument.parse("TSLA")]) == {
            AAPL: Need(2, EARLY),
            PAIR: Need(2, EARLY),
            Instrument.parse("TSLA"): Need(),
        }
        assert holdings.needs(connection) == {
            AAPL: Need(2, EARLY),
            MSFT: Need(1, EARLY),
            PAIR: Need(2, EARLY),
        }
