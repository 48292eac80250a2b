"""Settings and keys are told by name and place, never by value."""

from marketdata_pipeline.reading.health.finding import Finding, Mark
from marketdata_pipeline.reading.health.given import (
    Key,
    judge_keys,
    judge_settings,
    refused_settings,
)


def test_settings_are_told_with_their_places() -> None:
    found = judge_settings(
        {"the environment": ["MARKETDATA_HOME"], ".env": [], "marketdata.toml": ["timeframes"]}
    )
    assert found == Finding(
        "settings",
        Mark.OK,
        "MARKETDATA_HOME from the environment; timeframes from marketdata.toml; "
        "the others as by default",
    )


def test_no_settings_are_well_too() -> None:
    assert judge_settings({".env": []}).says == "none is given, all are as by default"


def test_refused_settings_are_wrong_and_say_why() -> None:
    found = refused_settings("MARKETDATA_HOMER is not a setting")
    assert (found.mark, found.says) == (Mark.WRONG, "MARKETDATA_HOMER is not a setting")
    assert "docs/configuration.md" in found.advice


ASKED = {"fmp": ["FMP_API_KEY"], "tiingo": ["TIINGO_API_KEY"]}


def test_without_a_provider_that_needs_one_no_key_is_missed() -> None:
    assert judge_keys({}, []) == [Finding("keys", Mark.OK, "no provider here needs one")]


def test_keys_that_are_there_share_a_line() -> None:
    (found,) = judge_keys(
        ASKED,
        [
            Key("fmp", "FMP_API_KEY", "the environment"),
            Key("fmp", "FMP_API_KEY_3", ".env"),
            Key("tiingo", "TIINGO_API_KEY", "/run/secrets/tiingo"),
        ],
    )
    assert found.mark is Mark.OK
    assert found.says == (
        "FMP_API_KEY of fmp from the environment; FMP_API_KEY_3 of fmp from .env; "
        "TIINGO_API_KEY of tiingo from /run/secrets/tiingo"
    )


def test_a_key_that_cannot_be_used_has_a_line_of_its_own_and_is_not_missed() -> None:
    keys = [Key("fmp", "FMP_API_KEY", trouble="FMP_API_KEY is empty"), Key("tiingo", "T", ".env")]
    well, wrong = judge_keys(ASKED, keys)
    assert (well.mark, well.says) == (Mark.OK, "T of tiingo from .env")
    assert (wrong.mark, wrong.says) == (Mark.WRONG, "FMP_API_KEY is empty")
    assert "docs/configuration.md" in wrong.advice


def test_a_key_that_is_missed_is_a_note_with_the_variables_that_would_do() -> None:
    (found,) = judge_keys({"fmp": ["FMP_API_KEY", "FMP_TOKEN"]}, [])
    assert found.mark is Mark.NOTE
    assert found.says == "FMP_API_KEY or FMP_TOKEN is not set: fmp is not asked by a live home"
    assert found.advice == "set it, or FMP_API_KEY_FILE, to have bars from there too"


def test_the_environment_whose_keys_they_are_is_named() -> None:
    asked = {"fmp": ["FMP_API_KEY_STAGING"], "tiingo": ["TIINGO_API_KEY_STAGING"]}
    well, note = judge_keys(asked, [Key("fmp", "FMP_API_KEY_STAGING", ".env")], "staging")
    assert well.says == "of the environment staging: FMP_API_KEY_STAGING of fmp from .env"
    assert note.says.startswith("of the environment staging: TIINGO_API_KEY_STAGING is not set")
