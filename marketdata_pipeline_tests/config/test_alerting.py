"""The settings of alerts: receivers are secrets, quiet hours are times."""

from datetime import time
from pathlib import Path

import pytest

from marketdata_pipeline import logs
from marketdata_pipeline.config import load_settings
from marketdata_pipeline.config.alerting import Hours, urls_of
from marketdata_pipeline.errors import SettingsError

TELEGRAM = "tgram://123456789:abcdefg_hijklmnop/12315544/"
MAIL = "mailtos://someone:hunter2@mail.example.com?to=a@example.org,b@example.org"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("between", [",", ", ", "\n", " "])
def test_urls_are_told_apart_where_a_scheme_begins(
    monkeypatch: pytest.MonkeyPatch, between: str
) -> None:
    monkeypatch.setenv("MARKETDATA_ALERT_URLS", between.join([TELEGRAM, MAIL]))
    assert urls_of(load_settings().alert_urls) == [TELEGRAM, MAIL]


def test_urls_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "urls").write_text(f"{TELEGRAM}\n{MAIL}\n")
    monkeypatch.setenv("MARKETDATA_ALERT_URLS_FILE", str(tmp_path / "urls"))
    assert urls_of(load_settings().alert_urls) == [TELEGRAM, MAIL]


def test_what_is_no_url_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETDATA_ALERT_URLS", "123456789:abcdefg_hijklmnop")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert str(refused.value).startswith("MARKETDATA_ALERT_URLS is '***', it must be URLs with")
    assert "abcdefg" not in str(refused.value)


def test_no_line_shows_a_receivers_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = "jsons://hooks.example.com/services/T0aaBBccDD?+X-Token=aBcDeFgHiJ"
    bot = "xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d"
    slack = f"slack://{bot}/#general"
    monkeypatch.setenv("MARKETDATA_ALERT_URLS", f"{TELEGRAM},{MAIL},{hook},{slack}")
    monkeypatch.setattr(logs, "_secrets", set())
    settings = load_settings()
    logs.redact(settings.secrets())
    for secret in ("abcdefg_hijklmnop", "hunter2", "T0aaBBccDD", "aBcDeFgHiJ", bot):
        assert secret not in logs.redacted(f"it said {secret}x: {TELEGRAM} {MAIL} {hook} {slack}")
        assert secret not in repr(settings)
    plain = "the mail host mail.example.com and hooks.example.com in #general"
    assert logs.redacted(plain) == plain


def test_quiet_hours_are_two_times(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().alert_quiet_hours is None
    monkeypatch.setenv("MARKETDATA_ALERT_QUIET_HOURS", " 22:00 - 7:00")
    assert load_settings().alert_quiet_hours == Hours(time(22), time(7))
    monkeypatch.setenv("MARKETDATA_ALERT_QUIET_HOURS", "none")
    assert load_settings().alert_quiet_hours is None


@pytest.mark.parametrize("text", ["22:00", "22:00-22:00", "22:00-25:00", "at night"])
def test_other_hours_are_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("MARKETDATA_ALERT_QUIET_HOURS", text)
    with pytest.raises(SettingsError, match="two times such as 22:00-07:00"):
        load_settings()
