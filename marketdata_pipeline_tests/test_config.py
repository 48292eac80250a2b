import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import SecretStr, ValidationError

from marketdata_pipeline import config
from marketdata_pipeline.config import Settings, load_settings
from marketdata_pipeline.config.__main__ import page
from marketdata_pipeline.domain.timeframe import DEFAULT_TIMEFRAMES, Timeframe
from marketdata_pipeline.errors import SettingsError
from marketdata_pipeline_tests.conftest import ROOT

URL = "postgresql://me:geheim@db/catalog"
ENVIRONMENTS = ("2", "a-b", "1a", "_a", "a_2", "a_9", "ü", "file", "a_file", "FILE", "a b")
"""None of these: with one of them a key's variable would be another environment's, or a file's."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and nothing of ours in the environment."""
    for name in list(os.environ):
        if name.upper().startswith("MARKETDATA_") or name == "DAGSTER_HOME":
            monkeypatch.delenv(name)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def refusal(**overrides: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(**overrides)
    return str(caught.value)


def test_the_page_of_the_documentation_is_current() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == page(), (
        "run: python -m marketdata_pipeline.config > docs/configuration.md"
    )


@pytest.mark.parametrize(
    ("text", "waits"),
    [
        ("1,3,8", (1.0, 3.0, 8.0)),
        (" 0.5 , 0 ", (0.5, 0.0)),
        ("none", ()),
        ([2, "3"], (2.0, 3.0)),
    ],
)
def test_waits_are_numbers_with_commas_or_none(text: object, waits: tuple[float, ...]) -> None:
    assert load_settings(retry_waits=text).retry_waits == waits


@pytest.mark.parametrize("text", ["-1", "1;2", "1,,2", "inf", "nan", "soon", ",".join("1" * 11)])
def test_other_waits_are_refused_in_one_sentence(text: str) -> None:
    assert refusal(retry_waits=text) == (
        f"MARKETDATA_RETRY_WAITS is {text!r}, it must be up to 10 numbers with commas between, "
        "each 0 or more, or none"
    )


def test_the_waits_of_a_file_are_a_list(here: Path) -> None:
    (here / "marketdata.toml").write_text("retry_waits = [1, 2.5]")
    assert load_settings().retry_waits == (1.0, 2.5)


def test_the_page_is_what_the_module_prints() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "marketdata_pipeline.config"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == page()


@pytest.mark.parametrize("key", Settings.model_fields)
def test_each_setting_is_described_and_says_what_is_allowed(key: str) -> None:
    described = Settings.model_fields[key].description
    assert described
    assert described.endswith(".")
    assert config.allowed(key)


def test_nothing_needs_to_be_set(here: Path) -> None:
    settings = load_settings()
    assert settings.home == here / ".marketdata"
    assert (settings.database_url, settings.database) == (None, None)
    assert settings.secrets() == []
    assert settings.simulator_url == "http://127.0.0.1:8765"
    assert settings.timeframes == DEFAULT_TIMEFRAMES
    assert settings.turn_wait == timedelta(minutes=10)
    assert settings.log_levels == {}


def test_the_environment_beats_dotenv_beats_toml_beats_the_default(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "marketdata.toml").write_text(
        'log_level = "debug"\nsimulator_port = 1\nread_timeout = 3'
    )
    (here / ".env").write_text("MARKETDATA_LOG_LEVEL=warning\nMARKETDATA_SIMULATOR_PORT=2\n")
    monkeypatch.setenv("MARKETDATA_LOG_LEVEL", "ERROR")
    settings = load_settings()
    assert settings.log_level == "error"
    assert settings.simulator_port == 2
    assert settings.read_timeout == 3
    assert settings.connect_timeout == 8
    assert load_settings(log_level="info").log_level == "info"
    assert load_settings(log_level=None).log_level == "error"


def test_values_in_toml_may_be_lists_and_tables(here: Path) -> None:
    (here / "marketdata.toml").write_text(
        'timeframes = ["1d", "5m"]\nturn_wait = 5\n[log_levels]\nproviders = "debug"\n'
    )
    settings = load_settings()
    assert settings.timeframes == (Timeframe.M5, Timeframe.D1)
    assert settings.turn_wait == timedelta(seconds=5)
    assert settings.log_levels == {"providers": "debug"}


def test_values_in_the_environment_are_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETDATA_TIMEFRAMES", "1d, 60m,1h,1wk")
    monkeypatch.setenv("MARKETDATA_LOG_LEVELS", "providers=debug, domain = WARNING")
    monkeypatch.setenv("marketdata_turn_wait", "1.5")
    settings = load_settings()
    assert settings.timeframes == (Timeframe.H1, Timeframe.D1, Timeframe.W1)
    assert settings.log_levels == {"providers": "debug", "domain": "warning"}
    assert settings.turn_wait == timedelta(seconds=1.5)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("LOG_LEVEL", "loud", "'loud', it must be one of debug, info, warning, error"),
        ("LOG_FORMAT", "xml", "'xml', it must be one of auto, console, json"),
        ("LOG_LEVELS", "providers", "component=level pairs"),
        ("LOG_LEVELS", "providers=loud", "'loud', it must be component=level pairs"),
        ("LOG_LEVELS", "providrs=info", "there is no component 'providrs', only "),
        ("SIMULATOR_PORT", "0", "'0', it must be a whole number from 1 to 65535"),
        ("SIMULATOR_PORT", "65536", "a whole number from 1 to 65535"),
        ("TIMEFRAMES", "1h,2h", "'2h' is no timeframe"),
        ("TIMEFRAMES", "1M", "a minute or a month"),
        ("TURN_WAIT", "ten", "'ten', it must be seconds, 0 or more"),
        ("TURN_WAIT", "-1", "seconds, 0 or more"),
        ("TURN_WAIT", "nan", "seconds, 0 or more"),
        ("FAILURE_SHARE", "1.1", "'1.1', it must be 0 to 1"),
        ("COMPLETENESS_MINIMUM", "nan", "'nan', it must be 0 to 1"),
        ("READ_TIMEOUT", "inf", "'inf', it must be above 0, up to 600"),
        *(("ENVIRONMENT", one, "letters, digits and _") for one in ENVIRONMENTS),
        ("HOME", "~nobody-of-that-name/x", "it must be a path"),
    ],
)
def test_a_refusal_names_the_key_the_value_and_what_is_allowed(
    key: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"MARKETDATA_{key}", value)
    sentence = refusal()
    assert sentence.startswith(f"MARKETDATA_{key} is ")
    assert said in sentence
    assert "\n" not in sentence


def test_a_refusal_spells_the_key_as_it_stands_in_its_place(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "marketdata.toml").write_text('log_level = "loud"\nlog_format = "xml"')
    (here / ".env").write_text("MARKETDATA_PICTURE_LIMIT=many")
    monkeypatch.setenv("MARKETDATA_LOG_FORMAT", "yaml")
    sentence = refusal(read_timeout=0)
    for part in (
        "log_level in marketdata.toml is 'loud'",
        "MARKETDATA_PICTURE_LIMIT in .env is 'many'",
        "MARKETDATA_LOG_FORMAT is 'yaml'",
        "MARKETDATA_READ_TIMEOUT is 0",
    ):
        assert part in sentence
    assert "xml" not in sentence


@pytest.mark.parametrize("value", ["", "staging", "EU_1", "a10", "a_10", "profile", "b2"])
def test_an_environment_has_a_name(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETDATA_ENVIRONMENT", f" {value} ")
    assert load_settings().environment == value.lower()


def test_a_very_long_value_is_cut() -> None:
    assert len(refusal(log_level="x" * 5000)) < 200


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (".env", "MARKETDATA_LOGLEVEL=info", "MARKETDATA_LOGLEVEL in .env is not a setting"),
        ("marketdata.toml", "loglevel = 1", "loglevel in marketdata.toml is not a setting"),
        ("marketdata.toml", "MARKETDATA_LOG_LEVEL = 1", "the nearest is log_level"),
        ("marketdata.toml", "log_level = ", "marketdata.toml cannot be read"),
        ("marketdata.toml", "database_url_fil = 1", "the nearest is database_url_file"),
    ],
)
def test_a_slip_in_a_file_is_refused(here: Path, file: str, text: str, said: str) -> None:
    (here / file).write_text(text)
    assert said in refusal()


def test_files_that_are_no_text_are_refused(here: Path) -> None:
    for name in (".env", "marketdata.toml"):
        (here / name).write_bytes(b"A=\xff\xfe")
        assert f"{name} cannot be read" in refusal()
        (here / name).unlink()


def test_an_unknown_variable_is_refused_and_the_nearest_key_suggested(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MARKETDATA_LOGLEVEL", "info")
    monkeypatch.setenv("MARKETDATA_DATABASE", URL)
    sentence = refusal()
    assert (
        "MARKETDATA_LOGLEVEL is not a setting, the nearest is MARKETDATA_LOG_LEVEL;"
        in sentence + ";"
    )
    assert (
        "MARKETDATA_DATABASE is not a setting, the nearest is MARKETDATA_DATABASE_URL" in sentence
    )
    assert "geheim" not in sentence


def test_an_override_that_does_not_exist_is_refused() -> None:
    assert "MARKETDATA_COLOUR is not a setting" in refusal(colour="red")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MARKETDATA_SHARED", "/somewhere"),
        ("MARKETDATA_TEST_POSTGRES", "x"),
        ("MARKETDATA_PORT", "tcp://10.0.0.1:80"),
        ("MARKETDATA_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("MARKETDATA_SERVICE_HOST", "10.0.0.1"),
        ("MARKETDATA_WEB_SERVICE_PORT_HTTP", "80"),
    ],
)
def test_what_tests_and_container_platforms_put_there_is_let_be(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    load_settings()


def test_other_peoples_keys_in_dotenv_are_let_be_and_a_folder_of_that_name_too(here: Path) -> None:
    (here / ".env").write_text("OTHER=1\nDAGSTER_HOME=/x\n")
    load_settings()
    (here / ".env").unlink()
    (here / ".env").mkdir()
    (here / "marketdata.toml").mkdir()
    load_settings()


def test_an_empty_value_counts_as_absent(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / ".env").write_text("MARKETDATA_LOG_LEVEL=\nMARKETDATA_DATABASE_URL\n")
    (here / "marketdata.toml").write_text('log_level = "debug"')
    monkeypatch.setenv("MARKETDATA_LOG_LEVEL", "")
    settings = load_settings()
    assert settings.log_level == "debug"
    assert settings.database_url is None


def test_a_secret_is_never_shown(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETDATA_DATABASE_URL", URL)
    settings = load_settings()
    assert settings.database_url == SecretStr(URL)
    assert settings.secrets() == [settings.database] == [URL]
    assert "geheim" not in f"{settings} {settings!r} {settings.model_dump_json()}"
    monkeypatch.setenv("MARKETDATA_DATABASE_URL", "mysql://me:geheim@db/catalog")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "MARKETDATA_DATABASE_URL is '***', it must be postgresql://" in str(caught.value)
    assert "geheim" not in f"{caught.value} {caught.value.__cause__}"
    (here / "marketdata.toml").write_text("database_url = ['geheim']")
    monkeypatch.delenv("MARKETDATA_DATABASE_URL")
    assert "geheim" not in refusal()


def test_a_secret_may_come_from_a_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "secret").write_text(URL + "\n")
    (here / "marketdata.toml").write_text('database_url = "sqlite:///x.db"')
    monkeypatch.setenv("MARKETDATA_DATABASE_URL_FILE", str(here / "secret"))
    assert load_settings().secrets() == [URL]
    (here / "secret").write_text("mysql://geheim")
    assert refusal().startswith("MARKETDATA_DATABASE_URL_FILE is '***', it must be")
    monkeypatch.setenv("MARKETDATA_DATABASE_URL_FILE", "absent")
    assert refusal() == (
        "MARKETDATA_DATABASE_URL_FILE must be the path of a readable file, which 'absent' is not"
    )
    monkeypatch.setenv("MARKETDATA_DATABASE_URL_FILE", "secret")
    monkeypatch.setenv("MARKETDATA_DATABASE_URL", URL)
    assert "say the same; keep one" in refusal()


def test_only_a_secret_has_a_file_variant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETDATA_LOG_LEVEL_FILE", "x")
    assert "MARKETDATA_LOG_LEVEL_FILE is not a setting" in refusal()


class Renamed(Settings):
    renamed: ClassVar = {"verbosity": "log_level"}


def test_a_renamed_key_works_with_a_warning_that_names_the_new_one(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETDATA_VERBOSITY", "debug")
    said = "^MARKETDATA_VERBOSITY is now called MARKETDATA_LOG_LEVEL$"
    with pytest.warns(FutureWarning, match=said):
        assert Renamed().log_level == "debug"
    monkeypatch.delenv("MARKETDATA_VERBOSITY")
    (here / "marketdata.toml").write_text('verbosity = "debug"')
    with pytest.warns(FutureWarning, match=r"verbosity in marketdata.toml is now called log_level"):
        assert Renamed().log_level == "debug"


def test_what_was_renamed_exists_by_its_new_name_only() -> None:
    keys = Settings.keys()
    assert set(keys.renamed.values()) <= set(keys.known)
    assert not set(keys.renamed) & set(keys.known)


def test_the_home_is_absolute_whatever_was_written(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(here))
    assert load_settings(home="a/../b").home == here / "b"
    assert load_settings(home=Path("~/c")).home == here / "c"


def test_the_demo_home_is_taken_where_only_that_exists(here: Path) -> None:
    (here / ".marketdata-demo").mkdir()
    assert load_settings().home == here / ".marketdata-demo"
    (here / ".marketdata").mkdir()
    assert load_settings().home == here / ".marketdata"


@pytest.mark.parametrize(
    ("instance", "mark", "found"),
    [
        ("dagster", "catalog.sqlite", True),
        ("dagster", "bars", True),
        ("dagster", "something", False),
        ("instance", "catalog.sqlite", False),
    ],
)
def test_dagsters_folder_leads_to_the_home_around_it(
    here: Path, monkeypatch: pytest.MonkeyPatch, instance: str, mark: str, *, found: bool
) -> None:
    (here / ".marketdata").mkdir()
    (here / "my" / instance).mkdir(parents=True)
    (here / "my" / mark).touch()
    monkeypatch.setenv("DAGSTER_HOME", str(here / "my" / instance))
    assert load_settings().home == (here / "my" if found else here / ".marketdata")
    assert load_settings(home="other").home == here / "other"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        load_settings().simulator_port = 1


def test_the_currencies_of_portfolios_are_pairs(here: Path) -> None:
    assert (load_settings().base_currency, load_settings().portfolio_currencies) == (None, {})
    found = load_settings(base_currency=" eur ", portfolio_currencies="main=eur, My own = USD")
    assert found.base_currency == "EUR"
    assert found.portfolio_currencies == {"main": "EUR", "My own": "USD"}
    assert load_settings(base_currency="none").base_currency is None
    (here / "marketdata.toml").write_text('portfolio_currencies = {main = "chf"}')
    assert load_settings().portfolio_currencies == {"main": "CHF"}


@pytest.mark.parametrize("text", ["main", "main=", "=EUR", "main=EURO", "main=none", "main=1EU"])
def test_other_pairs_are_refused_in_one_sentence(text: str) -> None:
    assert refusal(portfolio_currencies=text) == (
        f"MARKETDATA_PORTFOLIO_CURRENCIES is {text!r}, it must be portfolio=currency pairs such as "
        "main=EUR,us=USD"
    )


@pytest.mark.parametrize("text", ["EURO", "€€€", "E1R"])
def test_what_is_no_base_currency_is_refused(text: str) -> None:
    assert refusal(base_currency=text) == (
        f"MARKETDATA_BASE_CURRENCY is {text!r}, it must be three letters such as EUR, or none"
    )
