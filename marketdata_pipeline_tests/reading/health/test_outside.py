"""What a provider's answer, the simulator's port and other clocks mean."""

from datetime import UTC, datetime, timedelta

import pytest

from marketdata_pipeline.domain.contact import ClockReading, Contact, Outcome
from marketdata_pipeline.reading.health.finding import Finding, Mark
from marketdata_pipeline.reading.health.outside import (
    Listener,
    judge_clock,
    judge_contact,
    judge_listener,
    judge_simulated,
)

NOON = datetime(2024, 3, 15, 12, tzinfo=UTC)
URL = "http://127.0.0.1:8765"


def test_an_answer_is_well() -> None:
    contact = Contact(Outcome.ANSWERED, "HTTP 200", timedelta(seconds=0.34))
    assert judge_contact("yahoo", contact, quiet=True) == Finding(
        "yahoo", Mark.OK, "answers in 0.3 s (HTTP 200)"
    )


def test_no_turn_is_worth_a_note_and_says_until_when() -> None:
    found = judge_contact("yahoo", Contact(Outcome.HELD, until=NOON), quiet=False)
    assert found.mark is Mark.NOTE
    assert found.says.endswith("has no turn before 12:00:00 UTC")


@pytest.mark.parametrize(
    ("outcome", "advice"),
    [
        (Outcome.BLOCKED, "another network"),
        (Outcome.CONSENT, "consent"),
        (Outcome.FOREIGN, "hosts file"),
        (Outcome.OUTAGE, "wait"),
        (Outcome.TIMEOUT, "firewall"),
        (Outcome.UNRESOLVED, "connect this machine to the internet"),
        (Outcome.REFUSED, "firewall"),
        (Outcome.PROXY, "https_proxy"),
        (Outcome.CERTIFICATE, "CURL_CA_BUNDLE"),
        (Outcome.BROKEN, "firewall"),
    ],
)
def test_each_way_to_fail_is_wrong_and_has_its_own_advice(outcome: Outcome, advice: str) -> None:
    found = judge_contact("yahoo", Contact(outcome, "HTTP 403"), quiet=True)
    assert found.mark is Mark.WRONG
    assert found.says == f"{outcome} (HTTP 403): no bars come"
    assert advice in found.advice


def test_a_429_after_few_requests_is_a_block_of_the_address() -> None:
    contact = Contact(Outcome.LIMITED, "HTTP 429", until=NOON)
    blocked = judge_contact("yahoo", contact, quiet=True)
    asked_much = judge_contact("yahoo", contact, quiet=False)
    assert (blocked.mark, asked_much.mark) == (Mark.WRONG, Mark.WRONG)
    assert "this address is blocked" in blocked.says
    assert "another network" in blocked.advice
    assert asked_much.says == ("too many requests (HTTP 429), nobody may ask until 12:00:00 UTC")
    assert "lower the quota" in asked_much.advice


@pytest.mark.parametrize(
    ("listener", "mark", "says", "advice"),
    [
        (Listener.OURS, Mark.OK, f"serves this home's history on {URL}", ""),
        (Listener.NOBODY, Mark.NOTE, f"none runs on {URL}", "marketdata simulate"),
        (Listener.STRANGER, Mark.WRONG, f"what listens on {URL} is none", "MARKETDATA_SIMULATOR"),
        (Listener.OTHER_HOME, Mark.WRONG, "serves another home", "MARKETDATA_SIMULATOR_PORT"),
    ],
)
def test_who_listens_at_the_simulators_port_is_told_apart(
    listener: Listener, mark: Mark, says: str, advice: str
) -> None:
    found = judge_listener(URL, listener)
    assert found.mark is mark
    assert says in found.says
    assert advice in found.advice


def test_a_simulator_that_plays_a_fault_is_told_from_a_blocked_address() -> None:
    found = judge_simulated("yahoo", Contact(Outcome.BLOCKED, "HTTP 403"))
    assert found.mark is Mark.WRONG
    assert found.says.startswith("the simulator answers in its place: this address is blocked")
    assert "/simulator/faults" in found.advice
    for outcome, mark in ((Outcome.ANSWERED, Mark.OK), (Outcome.HELD, Mark.NOTE)):
        assert judge_simulated("yahoo", Contact(outcome)).mark is mark


def off(seconds: float) -> ClockReading:
    """A clock that ours is ahead of by so much."""
    here = NOON + timedelta(seconds=seconds)
    return ClockReading(here, here, NOON)


@pytest.mark.parametrize(
    ("seconds", "mark", "says"),
    [
        (0, Mark.OK, "agrees with that of yahoo to 2 s"),
        (2, Mark.OK, "agrees with that of yahoo to 2 s"),
        (2.1, Mark.NOTE, "2 s ahead of that of yahoo: bars count as closed too early"),
        (-30, Mark.NOTE, "30 s behind that of yahoo: closed bars are asked for too late"),
        (-30.5, Mark.WRONG, "behind that of yahoo"),
        (7200, Mark.WRONG, "7,200 s ahead of that of yahoo"),
    ],
)
def test_a_clock_that_is_off_is_noted_and_then_wrong(seconds: float, mark: Mark, says: str) -> None:
    found = judge_clock({"yahoo": off(seconds)}, needed=True)
    assert found is not None
    assert found.mark is mark
    assert says in found.says
    assert ("NTP" in found.advice) is (mark is not Mark.OK)


def test_the_clock_that_differs_most_counts() -> None:
    found = judge_clock({"yahoo": off(1), "the database": off(-40)}, needed=True)
    assert found is not None
    assert (found.mark, "that of the database" in found.says) == (Mark.WRONG, True)
    agreed = judge_clock({"yahoo": off(1), "the database": off(-1)}, needed=True)
    assert agreed is not None
    assert agreed.says == "agrees with that of yahoo and the database to 2 s"


def test_a_clock_that_was_not_compared_is_noted_where_market_time_is_its() -> None:
    found = judge_clock({}, needed=True)
    assert found is not None
    assert found.mark is Mark.NOTE
    assert judge_clock({}, needed=False) is None
