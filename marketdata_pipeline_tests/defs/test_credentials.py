"""A provider that needs a key, from the variables that hold it to the table of requests."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from marketdata_pipeline import assembly
from marketdata_pipeline.assembly import Pipeline, assemble
from marketdata_pipeline.config import load_settings
from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.governing import governor as table
from marketdata_pipeline.database.governing import metadata, requests
from marketdata_pipeline.database.home import History, Home, Replay, make_home
from marketdata_pipeline.defs import resources
from marketdata_pipeline.defs.resources import Gates
from marketdata_pipeline.domain.errand import Errand, Priority
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import SettingsError
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.logs import setup_logging
from marketdata_pipeline_tests.fakes import Lines
from marketdata_pipeline_tests.ingest.keyed import KeyedProvider, fresh
from marketdata_pipeline_tests.ingest.world import days, walk

WEEK = days("2024-03-01", "2024-03-08")
COINS = [Series.parse(f"{one}-USD|1d") for one in ("BTC", "ETH", "SOL", "ADA")]
FIRST, SECOND = "hunter-first", "hunter-second"


@pytest.fixture
def home(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """An empty live home, once on SQLite and once on Postgres; nothing of ours is set."""
    monkeypatch.chdir(tmp_path)
    with make_home(tmp_path / "home", database_url=database_url) as made:
        yield made


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> type[KeyedProvider]:
    """The only provider there is; its service has a week of each coin."""
    found = fresh({one: walk(one, WEEK) for one in COINS})
    for module in (assembly, resources):
        monkeypatch.setattr(module, "PROVIDERS", {found.name: found})
    return found


@pytest.fixture
def two_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMP_API_KEY", FIRST)
    monkeypatch.setenv("FMP_API_KEY_2", SECOND)


def assembled(home: Home, **overrides: object) -> Pipeline:
    return assemble(load_settings(home=home.folder, **overrides), home)


def keys_of_requests(home: Home) -> list[tuple[str, str]]:
    """Which key each request was made with, and how it ended."""
    with reading(home.engine) as connection:
        rows = connection.execute(select(requests).order_by(requests.c.id)).mappings()
        return [(one["key"], one["ending"]) for one in rows]


def everything(home: Home) -> str:
    """All that the catalog holds, as text."""
    with reading(home.engine) as connection:
        return "\n".join(
            str(row) for one in metadata.sorted_tables for row in connection.execute(select(one))
        )


@pytest.mark.usefixtures("two_keys")
def test_keys_are_used_in_turn_and_the_log_of_requests_names_them(
    home: Home, kind: type[KeyedProvider]
) -> None:
    updater = assembled(home, instruments_at_once=1).updater
    done = list(updater.update_many(COINS, WEEK))
    assert [(one.error, one.rows) for one in done] == [(None, 7)] * 4
    assert kind.service.shown == [FIRST, SECOND] * 2
    assert (
        keys_of_requests(home)
        == [
            ("fmp/FMP_API_KEY", "answered"),
            ("fmp/FMP_API_KEY_2", "answered"),
        ]
        * 2
    )


@pytest.mark.usefixtures("two_keys", "kind")
def test_each_key_has_the_limits_of_the_provider_and_the_provider_those_of_all(
    home: Home,
) -> None:
    assembled(home)
    turns = {one.provider: one for one in Governor(home.engine, home.clock).turns()}
    assert {one: (turn.burst, turn.budget_left) for one, turn in turns.items()} == {
        "fmp": (20, None),
        "fmp/FMP_API_KEY": (10, 250),
        "fmp/FMP_API_KEY_2": (10, 250),
    }


@pytest.mark.usefixtures("two_keys", "kind")
def test_assets_of_ones_own_share_the_keys_and_their_turns(home: Home) -> None:
    gate = Gates(load_settings(home=home.folder), home).gate("fmp")
    assert [gate.turn(Errand()).key for _ in range(3)] == [
        "fmp/FMP_API_KEY",
        "fmp/FMP_API_KEY_2",
        "fmp/FMP_API_KEY",
    ]
    bursts = [one.burst for one in Governor(home.engine, home.clock).turns()]
    assert bursts == [20, 10, 10]


@pytest.mark.usefixtures("two_keys")
def test_a_key_that_is_refused_is_set_aside_and_the_other_one_goes_on(
    home: Home, kind: type[KeyedProvider], log_lines: Lines
) -> None:
    kind.service.refuses.add(FIRST)
    done = list(assembled(home, instruments_at_once=1).updater.update_many(COINS, WEEK))
    assert [one.error for one in done] == [None] * 4
    assert kind.service.shown == [FIRST] + [SECOND] * 4
    assert keys_of_requests(home)[0] == ("fmp/FMP_API_KEY", "credentials")
    (told,) = log_lines("attempt failed")
    assert told["error"] == "fmp refuses FMP_API_KEY (HTTP 401)"


@pytest.mark.usefixtures("two_keys")
def test_where_all_keys_are_refused_each_is_tried_once_and_both_are_named(
    home: Home, kind: type[KeyedProvider]
) -> None:
    kind.service.refuses |= {FIRST, SECOND}
    done = list(assembled(home, instruments_at_once=1).updater.update_many(COINS, WEEK))
    assert kind.service.shown == [FIRST, SECOND]
    for one in done:
        assert str(one.error).startswith("fmp refuses FMP_API_KEY and FMP_API_KEY_2; it is asked")


@pytest.mark.usefixtures("two_keys")
def test_no_key_is_in_the_catalog_the_log_an_error_or_a_repr(
    home: Home, kind: type[KeyedProvider], capsys: pytest.CaptureFixture[str]
) -> None:
    handlers = logging.root.handlers[:]
    setup_logging("debug")
    kind.service.refuses.add(SECOND)
    pipeline = assembled(home)
    try:
        done = list(pipeline.updater.update_many(COINS, WEEK))
        kind.service.refuses.add(FIRST)
        failed = pipeline.updater.update(Series.parse("DOT-USD|1d"), WEEK)
        logging.getLogger("some.library").warning("GET /bars?apikey=%s %s", FIRST, SECOND)
    finally:
        logging.root.handlers[:] = handlers
        logging.getLogger("marketdata_pipeline").setLevel(logging.NOTSET)
    said = capsys.readouterr().err
    assert said.count("***") >= 2
    assert "fmp/FMP_API_KEY_2" in said
    stored = everything(home)
    assert "fmp/FMP_API_KEY_2" in stored
    assert failed.error is not None
    assert "FMP_API_KEY" in str(failed.error)
    everywhere = (said, stored, repr(pipeline), repr(pipeline.updater.providers), repr(done))
    for text in (*everywhere, repr(failed), repr(load_settings())):
        assert "hunter" not in text


@pytest.mark.usefixtures("kind")
def test_a_provider_without_its_key_is_not_asked_and_one_line_says_which(
    home: Home, monkeypatch: pytest.MonkeyPatch, log_lines: Lines
) -> None:
    monkeypatch.setenv("FMP_API_KEY", FIRST)
    trial = f"on_{home.engine.dialect.name}"  # a process says it once of each variable
    for _ in range(2):
        assert assembled(home, environment=trial).updater.providers == []
    (told,) = log_lines("not asked, since it has no key")
    assert (told["level"], told["provider"], told["set"]) == (
        "warning",
        "fmp",
        f"FMP_API_KEY_{trial.upper()}",
    )
    assert Governor(home.engine, home.clock).turns() == []


@pytest.mark.usefixtures("kind", "two_keys")
def test_keys_that_cannot_be_used_fail_with_one_sentence(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FMP_API_KEY_5", FIRST)
    with pytest.raises(SettingsError, match=r"^FMP_API_KEY and FMP_API_KEY_5 are the same key"):
        assembled(home)


@pytest.mark.usefixtures("two_keys")
def test_an_environment_spends_only_its_own_keys(
    home: Home, kind: type[KeyedProvider], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FMP_API_KEY_STAGING", "hunter-trial")
    assembled(home, environment="staging").updater.update(COINS[0], WEEK)
    assert kind.service.shown == ["hunter-trial"]
    assert keys_of_requests(home) == [("fmp/FMP_API_KEY_STAGING", "answered")]


@pytest.mark.usefixtures("two_keys")
def test_the_rows_of_a_key_that_is_taken_away_stay_and_it_is_used_no_more(
    home: Home, kind: type[KeyedProvider], monkeypatch: pytest.MonkeyPatch
) -> None:
    assembled(home)
    monkeypatch.delenv("FMP_API_KEY")
    assembled(home).updater.update(COINS[0], WEEK)
    assert kind.service.shown == [SECOND]
    with reading(home.engine) as connection:
        known = list(connection.execute(select(table.c.key).order_by(table.c.key)).scalars())
    assert known == ["fmp", "fmp/FMP_API_KEY", "fmp/FMP_API_KEY_2"]


@pytest.mark.usefixtures("two_keys")
def test_a_replay_home_shows_its_simulator_no_real_key(
    tmp_path: Path, kind: type[KeyedProvider]
) -> None:
    start = datetime(2024, 3, 15, 21, tzinfo=UTC)
    replay = Replay(History.RECORDED, start)
    with make_home(tmp_path / "replay", replay=replay) as home:
        pipeline = assembled(home)
        pipeline.updater.update(COINS[0], WEEK)
    (shown,) = kind.service.shown
    assert "hunter" not in shown


@pytest.mark.usefixtures("two_keys")
def test_who_may_not_wait_uses_up_the_bursts_of_both_keys(
    home: Home, kind: type[KeyedProvider]
) -> None:
    pipeline = assembled(home, turn_wait=timedelta(0))
    provider = pipeline.updater.providers[0]
    for _ in range(20):
        provider.fetch(COINS[0], WEEK, Errand(Priority.URGENT))
    assert sorted(kind.service.shown) == [FIRST] * 10 + [SECOND] * 10
