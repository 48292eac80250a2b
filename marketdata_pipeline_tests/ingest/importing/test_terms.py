"""What is stated, and what is refused for not being."""

from datetime import date
from fractions import Fraction

import pytest

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.terms import (
    UNSAID,
    Prices,
    Side,
    Terms,
    parse_day,
    parse_provider,
    parse_splits,
    parse_zone,
)


def _refusal(what: object, *arguments: object) -> str:
    assert callable(what)
    with pytest.raises(BadInput) as refused:
        what(*arguments)
    return str(refused.value)


def test_what_is_unknown_is_named_with_its_option_and_values() -> None:
    assert UNSAID.unknown("x.csv") == (
        "x.csv does not say its label side, zone and basis; add --labels open|close, "
        "--zone (America/New_York, UTC, ...) and --basis raw|splits"
    )
    assert Terms(side=Side.OPEN, zone="UTC").unknown("x.csv") == (
        "x.csv does not say its basis; add --basis raw|splits"
    )


def test_what_is_known_already_stays_and_the_rest_is_added() -> None:
    ours, theirs = Terms(side=Side.CLOSE), Terms(side=Side.OPEN, basis=Prices.RAW, currency="USD")
    assert ours.or_else(theirs) == Terms(side=Side.CLOSE, basis=Prices.RAW, currency="USD")
    assert Terms(basis=Prices.RAW).agreeing(theirs, "x.json") == theirs


def test_a_contradiction_names_both_values_and_the_option() -> None:
    splits = (Action(date(2024, 6, 10), ActionKind.SPLIT, Fraction(10)),)
    said = _refusal(Terms(basis=Prices.RAW).agreeing, Terms(basis=Prices.SPLITS), "x.json")
    assert said == (
        "x.json says that its basis is splits, not raw; leave out --basis or correct the file"
    )
    said = _refusal(Terms(splits=()).agreeing, Terms(splits=splits), "x.json")
    assert "is 2024-06-10=10:1, not none" in said


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Kolkata"])
def test_a_zone_is_one_of_iana(zone: str) -> None:
    assert parse_zone(zone) == zone


@pytest.mark.parametrize("zone", ["New York", "", "../etc/passwd", "America", "/etc/localtime"])
def test_anything_else_is_no_zone(zone: str) -> None:
    assert "is no time zone; use one of IANA's" in _refusal(parse_zone, zone)


def test_splits_are_new_for_old() -> None:
    found = parse_splits("2024-06-10=10:1, 2003-05-19=1:8,2000-06-21=1.5")
    assert [(one.ex_date, one.value) for one in found] == [
        (date(2000, 6, 21), Fraction(3, 2)),
        (date(2003, 5, 19), Fraction(1, 8)),
        (date(2024, 6, 10), Fraction(10)),
    ]
    assert parse_splits(" None ") == ()


@pytest.mark.parametrize(
    "text", ["", "2024-06-10", "2024-06-10=0:1", "2024-06-10=1:0", "2024-06-10=1:1", "10:1", "x=y"]
)
def test_anything_else_is_no_split(text: str) -> None:
    said = _refusal(parse_splits, text)
    assert "is no split; write it as 2024-06-10=10:1" in said or "is no date" in said


def test_a_day_has_one_split() -> None:
    assert "two splits of one day" in _refusal(parse_splits, "2024-06-10=10:1,2024-06-10=2:1")


def test_a_day_is_a_date() -> None:
    assert parse_day("2024-06-10", "--adjusted-to") == date(2024, 6, 10)
    assert "--adjusted-to takes a date" in _refusal(parse_day, "2024-06-10T09:30", "--adjusted-to")


def test_a_provider_is_a_word() -> None:
    assert parse_provider(" Yahoo ") == "yahoo"
    for text in ("", "a b", "x" * 33, "provider/../x", "ü"):
        assert "is no provider's name" in _refusal(parse_provider, text)


@pytest.mark.parametrize(("kind", "option"), [(Side, "labels"), (Prices, "basis")])
def test_values_are_named_where_another_is_given(
    kind: type[Side] | type[Prices], option: str
) -> None:
    said = _refusal(kind.parse, "left")
    known = ", ".join(one.value for one in kind)
    assert said == f"--{option} is 'left', it must be one of {known}"
