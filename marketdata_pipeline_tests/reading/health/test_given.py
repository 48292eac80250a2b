"""Settings and keys are told by name and place, never by value."""

import pytest

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


def test_without_a_provider_that_needs_one_no_key_is_missed() -> None:
    assert judge_keys([]) == [Finding("keys", Mark.OK, "no provider here needs one")]


def test_keys_that_are_there_share_a_line() -> None:
    (found,) = judge_keys(
        [
            Key("fmp", "FMP_API_KEY", given=True),
            Key("tiingo", "TIINGO_API_KEY", file="/run/secrets/tiingo"),
        ]
    )
    assert found.mark is Mark.OK
    assert found.says == (
        "FMP_API_KEY of fmp from the environment; TIINGO_API_KEY of tiingo from /run/secrets/tiingo"
    )


@pytest.mark.parametrize(
    ("key", "mark", "says"),
    [
        (Key("fmp", "FMP_API_KEY"), Mark.NOTE, "FMP_API_KEY is not set: fmp is not asked"),
        (
            Key("fmp", "FMP_API_KEY", file="/f", trouble="Permission denied"),
            Mark.WRONG,
            "FMP_API_KEY_FILE is /f: Permission denied",
        ),
        (
            Key("fmp", "FMP_API_KEY", given=True, file="/f", trouble="it is empty"),
            Mark.NOTE,
            "FMP_API_KEY and FMP_API_KEY_FILE are both set",
        ),
    ],
)
def test_a_key_that_is_not_well_has_a_line_of_its_own(key: Key, mark: Mark, says: str) -> None:
    found = judge_keys([Key("tiingo", "TIINGO_API_KEY", given=True), key])
    assert found[0].mark is Mark.OK
    assert (found[-1].mark, found[-1].says) == (mark, says)
    assert found[-1].advice
    assert len(found) == 2
