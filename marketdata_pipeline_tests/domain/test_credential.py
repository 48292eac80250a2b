"""A key is told by its name; its value shows nowhere."""

import json
from dataclasses import asdict

import pytest
from pydantic import SecretStr

from marketdata_pipeline.domain.credential import Credential, choices_of, credential_of
from marketdata_pipeline.errors import CredentialsRefused

FIRST = Credential("FMP_API_KEY", SecretStr("hunter2"))
SECOND = Credential("FMP_API_KEY_2", SecretStr("hunter3"))


@pytest.mark.parametrize(
    "shown",
    [
        repr(FIRST),
        str(FIRST),
        f"{FIRST}",
        repr([FIRST]),
        str(asdict(FIRST)),
        json.dumps(asdict(FIRST), default=str),
    ],
)
def test_no_way_to_show_a_key_shows_its_value(shown: str) -> None:
    assert "FMP_API_KEY" in shown
    assert "hunter" not in shown


def test_a_gate_chooses_among_the_keys_or_has_the_provider_alone() -> None:
    assert choices_of("yahoo", ()) == [("yahoo",)]
    assert choices_of("fmp", (FIRST, SECOND)) == [
        ("fmp", "fmp/FMP_API_KEY"),
        ("fmp", "fmp/FMP_API_KEY_2"),
    ]


def test_the_key_of_a_turn_is_found_by_its_name() -> None:
    assert credential_of("fmp/FMP_API_KEY_2", (FIRST, SECOND)) is SECOND
    assert credential_of(FIRST.key("fmp"), (FIRST, SECOND)) is FIRST


@pytest.mark.parametrize("key", ["fmp", "fmp/FMP_API_KEY_3"])
def test_another_turn_is_none_of_its_keys(key: str) -> None:
    with pytest.raises(CredentialsRefused, match=f"has the turn of {key}") as refused:
        credential_of(key, (FIRST, SECOND))
    assert refused.value.provider == "fmp"
