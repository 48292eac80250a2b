"""Settings of what happens by itself, and the names that an older system had for them."""

import os
import warnings
from datetime import time
from pathlib import Path

import pytest

from marketdata_pipeline.config import Settings, load_settings
from marketdata_pipeline.config.values import Weekly
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.errors import SettingsError

OLD = {
    "DATABASE_URL": ("postgresql://u:p@host/x", "database", "postgresql://u:p@host/x"),
    "FETCH_INTERVAL_MINUTES": ("30", "fetch_interval_minutes", 30),
    "TRADING_HOURS_ONLY": ("false", "trading_hours_only", False),
    "MAX_REQUESTS_PER_MINUTE": ("60", "requests_per_minute", 60),
    "BACKFILL_BATCH_SIZE": ("20", "backfill_batch", 20),
    "MAX_BACKFILL_ATTEMPTS": ("3", "backfill_attempts", 3),
    "RETRY_EXPONENTIAL_BASE": ("1.5", "backfill_retry_base", 1.5),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and none of these names in the environment."""
    for name in list(os.environ):
        if name.startswith("MARKETDATA_") or name in {*OLD, "DAGSTER_HOME"}:
            monkeypatch.delenv(name)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def refusal() -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        with pytest.raises(SettingsError) as caught:
            load_settings()
    return str(caught.value)


def test_what_nobody_sets() -> None:
    settings = load_settings()
    assert (settings.fetch_interval_minutes, settings.trading_hours_only) == (15, True)
    assert (settings.priority_minutes, settings.rest_minutes) == (2, 5)
    assert settings.priority_instruments == ()
    assert (settings.daily_refresh_at, settings.cleanup_at) == (time(8), Weekly(6, time(2)))
    assert settings.schedule_zone == "UTC"
    assert settings.requests_per_minute is None
    assert settings.queue_kept.days == 30
    assert settings.backfill_batch == 100
    assert (settings.backfill_attempts, settings.backfill_retry_base) == (5, 2.0)


@pytest.mark.parametrize("name", OLD)
def test_an_old_name_is_taken_with_a_warning_that_names_todays(
    name: str, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    text, attribute, value = OLD[name]
    today = f"MARKETDATA_{Settings.aliases[name].upper()}"
    monkeypatch.setenv(name, text)
    with pytest.warns(FutureWarning, match=f"^{name} is now called {today}$"):
        assert getattr(load_settings(), attribute) == value
    monkeypatch.delenv(name)
    (here / ".env").write_text(f"{name}={text}\n")
    with pytest.warns(FutureWarning, match=f"^{name} in .env is now called {today}$"):
        assert getattr(load_settings(), attribute) == value


def test_the_warning_comes_once_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKFILL_BATCH_SIZE", "7")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        for _ in range(3):
            load_settings()
    assert len(told) == 1


@pytest.mark.parametrize("place", ["environment", ".env", "marketdata.toml"])
def test_the_name_of_today_wins_wherever_it_stands_and_nothing_is_said(
    place: str, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    monkeypatch.setenv("BACKFILL_BATCH_SIZE", "many")
    if place == "environment":
        monkeypatch.setenv("MARKETDATA_BACKFILL_BATCH", "8")
    elif place == ".env":
        (here / place).write_text("MARKETDATA_BACKFILL_BATCH=8\n")
    else:
        (here / place).write_text("backfill_batch = 8\n")
    assert load_settings().backfill_batch == 8


def test_an_old_name_in_the_environment_beats_the_one_in_dotenv(
    monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    monkeypatch.setenv("BACKFILL_BATCH_SIZE", "7")
    (here / ".env").write_text("BACKFILL_BATCH_SIZE=9\n")
    with pytest.warns(FutureWarning, match="^BACKFILL_BATCH_SIZE is now called"):
        assert load_settings().backfill_batch == 7


def test_an_empty_old_name_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    assert load_settings().database is None


def test_a_wrong_value_is_refused_by_the_name_that_was_written(
    monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    monkeypatch.setenv("FETCH_INTERVAL_MINUTES", "often")
    assert refusal() == (
        "FETCH_INTERVAL_MINUTES is 'often', it must be a whole number of minutes from 1 to 1440"
    )
    monkeypatch.delenv("FETCH_INTERVAL_MINUTES")
    (here / ".env").write_text("MAX_BACKFILL_ATTEMPTS=0\n")
    assert refusal() == "MAX_BACKFILL_ATTEMPTS in .env is '0', it must be 1 to 100"


def test_a_wrong_old_database_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://me:geheim@host/x")
    said = refusal()
    assert said.startswith("DATABASE_URL is '***', it must be postgresql://")
    assert "geheim" not in said


def test_the_old_interval_is_that_of_the_rest_unless_another_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MARKETDATA_FETCH_INTERVAL_MINUTES", "30")
    assert load_settings().rest_minutes == 30
    monkeypatch.setenv("MARKETDATA_OTHER_MINUTES", "10")
    assert load_settings().rest_minutes == 10


def test_instruments_of_the_first_tier_are_a_list_of_spellings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MARKETDATA_PRIORITY_INSTRUMENTS", "es=f, NQ=F,ES=F")
    assert load_settings().priority_instruments == (
        Instrument.parse("ES=F"),
        Instrument.parse("NQ=F"),
    )
    monkeypatch.setenv("MARKETDATA_PRIORITY_INSTRUMENTS", "ES=F,a b")
    assert "MARKETDATA_PRIORITY_INSTRUMENTS is 'ES=F,a b', it must be instruments" in refusal()


def test_exchanges_are_asked_while_open_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not load_settings().asked_always("XNYS")
    monkeypatch.setenv("MARKETDATA_EXCHANGE_HOURS", "xlon = always")
    settings = load_settings()
    assert (settings.asked_always("XNYS"), settings.asked_always("XLON")) == (False, True)
    monkeypatch.setenv("MARKETDATA_TRADING_HOURS_ONLY", "no")
    monkeypatch.setenv("MARKETDATA_EXCHANGE_HOURS", "XNYS=open,CRYPTO=always")
    settings = load_settings()
    assert (settings.asked_always("XNYS"), settings.asked_always("XLON")) == (False, True)


@pytest.mark.parametrize("value", ["XNYS=sometimes", "NYSE=open", "XNYS"])
def test_hours_of_an_exchange_are_open_or_always(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETDATA_EXCHANGE_HOURS", value)
    assert "MARKETDATA_EXCHANGE_HOURS is" in refusal()


def test_times_and_their_zone(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    monkeypatch.setenv("MARKETDATA_DAILY_REFRESH_AT", "7:30")
    monkeypatch.setenv("MARKETDATA_CLEANUP_AT", "sat 23:15")
    monkeypatch.setenv("MARKETDATA_SCHEDULE_ZONE", "America/New_York")
    settings = load_settings()
    assert settings.daily_refresh_at == time(7, 30)
    assert settings.cleanup_at == Weekly(5, time(23, 15))
    assert settings.schedule_zone == "America/New_York"
    monkeypatch.delenv("MARKETDATA_DAILY_REFRESH_AT")
    (here / "marketdata.toml").write_text("daily_refresh_at = 06:45:00\n")
    assert load_settings().daily_refresh_at == time(6, 45)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("DAILY_REFRESH_AT", "24:00"),
        ("DAILY_REFRESH_AT", "8"),
        ("CLEANUP_AT", "02:00"),
        ("CLEANUP_AT", "Someday 02:00"),
        ("CLEANUP_AT", "Sun 2 o'clock"),
        ("SCHEDULE_ZONE", "Mars/Olympus"),
        ("SCHEDULE_ZONE", "../etc"),
        ("PRIORITY_MINUTES", "0"),
        ("OTHER_MINUTES", "1.5"),
        ("REQUESTS_PER_MINUTE", "0"),
        ("BACKFILL_RETRY_BASE", "0.5"),
    ],
)
def test_what_is_not_allowed_is_refused_with_what_is(
    key: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"MARKETDATA_{key}", value)
    assert refusal().startswith(f"MARKETDATA_{key} is {value!r}, it must be ")
