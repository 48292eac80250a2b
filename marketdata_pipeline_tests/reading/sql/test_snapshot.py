"""A home's tables: what is stored now, written into the cache once a version."""

import os
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pandas as pd
import pytest
from sqlalchemy import update

from marketdata_pipeline.database.engine import writing
from marketdata_pipeline.database.metadata import fetches
from marketdata_pipeline.domain.actions import Action, ActionKind, Adjust
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.ingest.settle import Listing, actions_only
from marketdata_pipeline.reading.opened import data_of
from marketdata_pipeline.reading.sql.query import Query
from marketdata_pipeline.reading.sql.snapshot import snapshot
from marketdata_pipeline_tests.ingest.world import World, days
from marketdata_pipeline_tests.reading.sql.asking import ask

AAPL, EURO = Series.parse("AAPL|1d"), Series.parse("EURUSD=X|1d")
LATER = Action(date(2024, 3, 14), ActionKind.DIVIDEND, Fraction(1))


def cached(world: World) -> list[str]:
    folder = world.home.cache / "sql"
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*.parquet"))


def missing(world: World, text: str, adjust: Adjust = Adjust.SPLITS) -> list[str]:
    """The series that a query would have to write first."""
    wanted = snapshot(world.home, Query.parse(text), adjust).missing
    return [f"{one.instrument}|{one.timeframe}" for one in wanted]


def one_more_day(world: World, series: Series) -> None:
    world.clock.advance(timedelta(days=4))
    frame = world.provider.truth[series]
    more = (frame.tail(1) * 1.01).round(2).set_axis(frame.index[-1:] + pd.Timedelta(days=3))
    world.provider.truth = {**world.provider.truth, series: pd.concat([frame, more])}
    assert not [one.error for one in world.updater.update_many([series]) if one.error]


@pytest.mark.parametrize("adjust", list(Adjust))
def test_bars_are_those_that_python_reads(world: World, adjust: Adjust) -> None:
    for key in ("AAPL|1d", "AAPL|1wk", "EURUSD=X|1d"):
        series = Series.parse(key)
        expected = data_of(world.home).bars(series, adjust=adjust).reset_index()
        asked = (
            f"SELECT ts, open, high, low, close, volume FROM bars_{series.timeframe} "  # noqa: S608
            f"WHERE instrument = '{series.instrument}' ORDER BY ts"
        )
        found = ask(world.home, asked, adjust)
        assert found == list(expected.itertuples(index=False, name=None))


def test_only_the_timeframes_that_are_mentioned_are_written(world: World) -> None:
    assert ask(world.home, "SELECT 1") == [(1,)]
    assert cached(world) == []
    ask(world.home, "FROM bars_1wk")
    assert [one.rpartition("/")[0] for one in cached(world)] == [
        "splits/timeframe=1wk/instrument=AAPL"
    ]
    ask(world.home, "FROM bars")
    assert [one.rpartition("/")[0] for one in cached(world)] == [
        "splits/timeframe=1d/instrument=AAPL",
        "splits/timeframe=1d/instrument=EURUSD%3DX",
        "splits/timeframe=1wk/instrument=AAPL",
    ]


def test_a_second_query_writes_nothing(world: World) -> None:
    first = ask(world.home, "SELECT count(*), max(ts) FROM bars")
    assert missing(world, "FROM bars") == []
    assert ask(world.home, "SELECT count(*), max(ts) FROM bars") == first


def test_a_series_that_has_changed_is_written_again_and_no_other(world: World) -> None:
    ((before,),) = ask(world.home, "SELECT count(*) FROM bars_1d")
    one_more_day(world, EURO)
    assert missing(world, "FROM bars_1d") == ["EURUSD=X|1d"]
    ((after,),) = ask(world.home, "SELECT count(*) FROM bars_1d")
    assert after == before + 2, "Friday's, which was open, and Monday's"
    assert ask(world.home, "SELECT count(*) FROM bars_1d") == [(after,)], "older files do not count"


def test_of_each_series_two_files_are_kept(world: World) -> None:
    """The older one may be in use; which is the newest the instants of writing say."""
    for _ in range(4):
        ask(world.home, "FROM bars_1d")
        for number, file in enumerate(sorted((world.home.cache / "sql").rglob("*.parquet"))):
            os.utime(file, ns=(number, number))
        one_more_day(world, EURO)
    names = [one.split("/")[2] for one in cached(world)]
    assert names == ["instrument=AAPL", "instrument=EURUSD%3DX", "instrument=EURUSD%3DX"]


def test_a_query_under_way_keeps_the_files_that_it_began_with(world: World) -> None:
    query = Query.parse("SELECT count(*) FROM bars_1d")
    tables = snapshot(world.home, query, Adjust.SPLITS).make()
    one_more_day(world, EURO)
    ask(world.home, "FROM bars_1d")
    assert all(one.path.is_file() for one in tables.files)


def _tell(world: World, *actions: Action) -> None:
    world.clock.advance(timedelta(hours=1))
    reply = world.provider.fetch(AAPL, days("2023-11-01", "2024-03-16"))
    actions_only(world.store, replace(reply, actions=actions), Listing())


@pytest.mark.parametrize(("adjust", "again"), [("none", []), ("splits", ["AAPL|1d", "AAPL|1wk"])])
def test_new_actions_are_news_for_what_is_adjusted_by_them(
    world: World, adjust: str, again: list[str]
) -> None:
    ask(world.home, "FROM bars", Adjust(adjust))
    _tell(world, LATER)
    assert missing(world, "FROM bars", Adjust(adjust)) == again


def test_a_dividend_that_is_told_later_changes_what_is_answered(world: World) -> None:
    asked = "SELECT first(close ORDER BY ts) FROM bars_1d WHERE instrument = 'AAPL'"
    ((before,),) = ask(world.home, asked, Adjust.ALL)
    _tell(world, LATER)
    ((after,),) = ask(world.home, asked, Adjust.ALL)
    expected = data_of(world.home).bars(AAPL, adjust=Adjust.ALL)["close"].iloc[0]
    assert after == expected != before


def test_a_new_day_is_news_for_weeks_whose_dividends_are_taken_out(world: World) -> None:
    """A payment is measured against the close before it, which the week's own bars do not know."""
    ask(world.home, "FROM bars_1wk", Adjust.ALL)
    ask(world.home, "FROM bars_1wk", Adjust.SPLITS)
    one_more_day(world, AAPL)
    assert missing(world, "FROM bars_1wk", Adjust.ALL) == ["AAPL|1wk"]
    assert missing(world, "FROM bars_1wk", Adjust.SPLITS) == []


def test_a_catalog_that_was_restored_is_asked_anew(world: World) -> None:
    """Its versions count from where they were, so that the same number comes twice."""
    for adjust in (Adjust.NONE, Adjust.SPLITS):
        ask(world.home, "FROM bars_1d", adjust)
    with writing(world.home.engine) as connection:
        connection.execute(update(fetches).values(committed_at=fetches.c.committed_at + 1))
    for adjust in (Adjust.NONE, Adjust.SPLITS):
        assert missing(world, "FROM bars_1d", adjust) == ["AAPL|1d", "EURUSD=X|1d"]


def test_a_cache_that_was_deleted_is_made_again(world: World) -> None:
    first = ask(world.home, "SELECT count(*), max(close) FROM bars")
    for file in (world.home.cache / "sql").rglob("*.parquet"):
        file.unlink()
    assert ask(world.home, "SELECT count(*), max(close) FROM bars") == first


def test_each_series_made_ready_is_told(world: World) -> None:
    calls: list[int] = []
    wanted = snapshot(world.home, Query.parse("FROM bars"), Adjust.SPLITS)
    wanted.make(lambda: calls.append(1))
    assert len(calls) == len(wanted.missing) == 3


def test_a_cache_that_cannot_be_written_is_an_error_that_leaves_no_half_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="cannot be written: No space left on device"):
        ask(world.home, "FROM bars_1wk")
    assert not [one for one in (world.home.cache / "sql").rglob("*") if one.is_file()]


def test_what_is_known_beside_bars_are_tables(world: World) -> None:
    home = world.home
    assert ask(home, "SELECT series, rows, version, basis, currency FROM series") == [
        (str(one), len(world.store.read(one)), world.store.versions([one])[one], "splits", "USD")
        for one in (AAPL, Series.parse("AAPL|1wk"), EURO)
    ]
    assert ask(home, "SELECT instrument, asset_class, calendar, first_trade FROM instruments") == [
        ("AAPL", "equity", "XNYS", date(2023, 11, 1)),
        ("EURUSD=X", "fx", "FX", date(2023, 11, 1)),
    ]
    scores = ask(home, "SELECT rule, score, passed, detail FROM quality WHERE series = 'AAPL|1d'")
    told = world.verdicts.of(AAPL)
    assert scores == [
        (rule, one.score, one.passed, one.detail) for rule, one in sorted(told.items())
    ]
    actions = ask(home, "SELECT ex_date, kind, value, ratio FROM actions WHERE instrument = 'AAPL'")
    assert actions == [
        (date(2024, 1, 10), "split", 4.0, "4:1"),
        (date(2024, 2, 9), "dividend", 0.24, None),
    ]


def test_tables_join(world: World) -> None:
    asked = """
        SELECT s.series, count(*) = any_value(s.rows)
        FROM bars JOIN series s USING (instrument, timeframe) GROUP BY 1 ORDER BY 1
    """
    assert ask(world.home, asked) == [
        ("AAPL|1d", True), ("AAPL|1wk", True), ("EURUSD=X|1d", True),
    ]  # fmt: skip
