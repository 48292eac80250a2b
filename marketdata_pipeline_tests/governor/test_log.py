from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, select

from marketdata_pipeline.database.engine import reading, writing
from marketdata_pipeline.database.governing import requests
from marketdata_pipeline.domain.errand import Errand, Priority
from marketdata_pipeline.domain.gate import Attempt, Ending, Turn
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.governor.log import record

NOW = datetime(2024, 3, 15, 21, tzinfo=UTC)
AAPL = Series.parse("AAPL|1d")


def test_a_request_is_written_down_with_all_that_is_known_of_it(engine: Engine) -> None:
    turn = Turn("yahoo", 3, Errand(Priority.HELD, 2, "run"), AAPL)
    attempt = Attempt(Ending.TIMEOUT, 0, timedelta(seconds=25, microseconds=1))
    with writing(engine) as connection:
        record(connection, turn, attempt, to_micros(NOW))
        record(connection, Turn("tiingo/own", 0, Errand()), Attempt(Ending.ANSWERED, 200), 1)
    with reading(engine) as connection:
        rows = [tuple(one) for one in connection.execute(select(requests).order_by("id"))]
    assert [row[1:] for row in rows] == [
        ("yahoo", "AAPL|1d", "held", 2, "run", "timeout", 0, to_micros(NOW), 25_000_001),
        ("tiingo/own", None, "tracked", 1, None, "answered", 200, 1, 0),
    ]
