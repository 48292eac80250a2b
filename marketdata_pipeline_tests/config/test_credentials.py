"""Which variables and files hold a provider's keys, and what is said of those that cannot be."""

from pathlib import Path

import pytest

from marketdata_pipeline.config.credentials import (
    find_credentials,
    load_credentials,
    stand_ins,
    variables,
)
from marketdata_pipeline.errors import SettingsError

FMP = ("FMP_API_KEY",)
VALUE = "hunter2"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(names: tuple[str, ...] = FMP, environment: str = "") -> dict[str, str]:
    """The values by their names."""
    found = load_credentials(names, environment)
    return {one.name: one.secret.get_secret_value() for one in found}


def refusal(environment: str = "") -> str:
    with pytest.raises(SettingsError) as caught:
        load_credentials(FMP, environment)
    return str(caught.value)


def give(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_a_key_that_is_not_given_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, FMP_API_KEY="", FMP_API_KEY_2_FILE="")
    assert loaded() == {}
    assert find_credentials(FMP, "") == []


def test_nine_keys_of_a_name_may_be_given_with_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 3, 5, 9, 10, 22):
        give(monkeypatch, **{f"FMP_API_KEY_{number}": f"key-{number}"})
    give(monkeypatch, FMP_API_KEY="key", FMP_API_KEYS="keys")
    assert loaded() == {
        "FMP_API_KEY": "key",
        "FMP_API_KEY_3": "key-3",
        "FMP_API_KEY_5": "key-5",
        "FMP_API_KEY_9": "key-9",
    }


def test_all_names_that_a_provider_asks_for_are_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    give(monkeypatch, FMP_OTHER_2="b", FMP_API_KEY="a")
    assert loaded(("FMP_API_KEY", "FMP_OTHER")) == {"FMP_API_KEY": "a", "FMP_OTHER_2": "b"}


def test_a_key_may_come_from_a_file_without_the_blanks_around_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "key").write_text(f"  {VALUE}\n")
    give(monkeypatch, FMP_API_KEY_2_FILE="~/key", HOME=str(here))
    assert loaded() == {"FMP_API_KEY_2": VALUE}
    assert [one.place for one in find_credentials(FMP, "")] == ["~/key"]


def test_an_environment_has_its_own_keys_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, FMP_API_KEY="live", FMP_API_KEY_2="live-2")
    assert loaded(environment="staging") == {}
    give(monkeypatch, FMP_API_KEY_STAGING="trial", FMP_API_KEY_STAGING_2="trial-2")
    assert loaded(environment="staging") == {
        "FMP_API_KEY_STAGING": "trial",
        "FMP_API_KEY_STAGING_2": "trial-2",
    }
    assert loaded() == {"FMP_API_KEY": "live", "FMP_API_KEY_2": "live-2"}
    assert variables("FMP_API_KEY", "eu_1")[0] == "FMP_API_KEY_EU_1"


def test_dotenv_holds_keys_too_and_the_environment_counts_first(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "key").write_text("of-the-file")
    (here / ".env").write_text("FMP_API_KEY=theirs\nFMP_API_KEY_2_FILE=key\nFMP_API_KEY_3=third\n")
    give(monkeypatch, FMP_API_KEY="ours", FMP_API_KEY_2="second")
    assert loaded() == {
        "FMP_API_KEY": "ours",
        "FMP_API_KEY_2": "second",
        "FMP_API_KEY_3": "third",
    }
    assert [one.place for one in find_credentials(FMP, "")] == ["", "", ".env"]


def test_a_variable_and_its_file_in_one_place_are_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / ".env").write_text(f"FMP_API_KEY_2={VALUE}\nFMP_API_KEY_2_FILE=/x\n")
    assert refusal() == "FMP_API_KEY_2 and FMP_API_KEY_2_FILE in .env are both set; keep one"
    give(monkeypatch, FMP_API_KEY_2=VALUE, FMP_API_KEY_2_FILE="/x")
    assert refusal() == "FMP_API_KEY_2 and FMP_API_KEY_2_FILE are both set; keep one"


def test_one_key_given_twice_is_refused_since_its_quota_would_count_twice(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "key").write_text(VALUE)
    give(monkeypatch, FMP_API_KEY=VALUE, FMP_API_KEY_2="other", FMP_API_KEY_3_FILE="key")
    assert refusal() == "FMP_API_KEY and FMP_API_KEY_3 are the same key; keep one"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "FMP_API_KEY_FILE must name a readable file: No such file or directory"),
        (b"\xff\xfe\x00", "FMP_API_KEY_FILE must name a readable file: it is no text"),
        (b" \n", "the file that FMP_API_KEY_FILE names is empty"),
        (b"hunter2\nhunter3\n", "the file that FMP_API_KEY_FILE names holds signs"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_by_its_variable(
    here: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, why: str
) -> None:
    if content is not None:
        (here / "key").write_bytes(content)
    give(monkeypatch, FMP_API_KEY_FILE=str(here / "key"))
    assert refusal().startswith(why)
    assert "hunter" not in refusal()


@pytest.mark.parametrize("path", ["~nobody-of-that-name/x", "x" * 5000, ".", VALUE])
def test_a_path_that_is_none_is_not_shown_since_it_may_be_the_key(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    give(monkeypatch, FMP_API_KEY_STAGING_FILE=path)
    with pytest.raises(SettingsError, match=r"^FMP_API_KEY_STAGING_FILE must name a ") as caught:
        load_credentials(FMP, "staging")
    assert path == "." or path not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("value", ["   ", "hunter2 hunter3", "hunter\t2", "hünter2"])
def test_what_is_no_key_is_refused_before_a_library_quotes_it(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    give(monkeypatch, FMP_API_KEY=value)
    assert refusal().startswith("FMP_API_KEY ")
    assert "nter" not in refusal()


def test_all_troubles_are_told_at_once_and_those_that_can_be_used_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    give(monkeypatch, FMP_API_KEY=VALUE, FMP_API_KEY_2="a b", FMP_API_KEY_3_FILE="/none")
    assert "FMP_API_KEY_2 holds" in refusal()
    assert "; FMP_API_KEY_3_FILE must" in refusal()
    found = find_credentials(FMP, "")
    assert [bool(one.credential) for one in found] == [True, False, False]
    assert VALUE not in f"{found!r} {found}"


def test_a_dotenv_that_cannot_be_read_is_refused(here: Path) -> None:
    (here / ".env").write_bytes(b"A=\xff\xfe")
    assert refusal().startswith(".env cannot be read")


def test_a_simulator_is_shown_no_real_key(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, FMP_API_KEY=VALUE)
    (one,) = stand_ins(("FMP_API_KEY", "FMP_OTHER"))
    assert one.name == "FMP_API_KEY"
    assert one.secret.get_secret_value() != VALUE
    assert stand_ins(()) == ()
