"""Providers and requests, as text, in wide and in narrow terminals."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console, RenderableType

from marketdata_pipeline.cli.standing import requests_table, standings_page
from marketdata_pipeline.domain.gate import Circuit, Effect, Ending, Turns
from marketdata_pipeline.governor.health import health_of, never_asked
from marketdata_pipeline.governor.logged import Count, Logged, Request
from marketdata_pipeline.reading.providers import Standing, Standings

NOW = datetime(2024, 3, 15, 21, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
YAHOO = Turns("yahoo", 2000, 200, 2 * SECOND, 150, NOW, None)
SHUT = replace(
    YAHOO,
    interval=3.3 * SECOND,
    free=0,
    cooldown_until=NOW + 5 * MINUTE,
    circuit=Circuit.OPEN,
    open_until=NOW + 5 * MINUTE,
    eased=0.6,
)
ANSWERED, TIMEOUT = Ending.ANSWERED, Ending.TIMEOUT


def standing(turns: Turns, *endings: Ending, took: timedelta = SECOND) -> Standing:
    """A provider that was asked seven minutes ago, by its requests from the newest on."""
    at = NOW - 7 * MINUTE
    rows = [Request("", "AAPL|1d", "held", 1, None, one, 200, at, took) for one in endings]
    counts = [Count(one, endings.count(one), 0, at) for one in dict.fromkeys(endings)]
    served = at if any(one.effect is Effect.SERVED for one in endings) else None
    return Standing(health_of(turns, Logged(tuple(rows), tuple(counts), served), NOW), turns)


def drawn(page: RenderableType, width: int) -> list[str]:
    console = Console(width=width, color_system=None, soft_wrap=True)
    with console.capture() as captured:
        console.print(page)
    return captured.get().splitlines()


def lines(*standings: Standing, width: int = 120) -> list[list[str]]:
    """The words of each line."""
    return [one.split() for one in drawn(standings_page(Standings(NOW, standings), width), width)]


HEALTHY = standing(YAHOO, *[ANSWERED] * 99, TIMEOUT, took=0.213 * SECOND)
DOWN = standing(SHUT, Ending.BLOCKED, *[ANSWERED] * 99)
CREDITS = standing(
    replace(YAHOO, provider="alphavantage", budget_left=1012), *[ANSWERED] * 30, took=12 * SECOND
)
NEVER = Standing(never_asked("binance"))


def test_a_healthy_provider_is_one_line_and_no_sentence() -> None:
    head, line = lines(HEALTHY)
    assert " ".join(head) == (
        "provider state a minute cooldown breaker success p50 p95 turns credits answered"
    )
    assert " ".join(line) == "yahoo healthy 30 - closed 99.0 % 0.21 s 0.21 s 150 - 7 min ago"


def test_what_holds_a_provider_back_stands_in_its_line_and_below() -> None:
    _, line, blank, *below = lines(DOWN)
    assert " ".join(line) == (
        "yahoo down 18 (60 %) 21:05:00 open 99.0 % 1.00 s 1.00 s 0 - 7 min ago"
    )
    assert not blank
    assert " ".join(word for one in below for word in one) == (
        "yahoo is down: it failed too often (blocked); no turn until 21:05:00 UTC -> nothing is "
        "lost, it is asked again; marketdata doctor looks for the cause"
    )


def test_a_cooldown_of_days_says_which_day() -> None:
    far = replace(YAHOO, cooldown_until=NOW + timedelta(days=2))
    assert "03-17 21:00" in " ".join(lines(standing(far, ANSWERED))[1])


def test_of_a_provider_that_was_never_asked_nothing_is_known() -> None:
    _, line, _, told = lines(NEVER)
    assert line == ["binance", "unknown", *"-" * 9]
    assert " ".join(told).startswith("binance is unknown: it was never asked -> ")


@pytest.mark.parametrize(("width", "room"), [(80, False), (109, False), (110, True)])
def test_a_narrow_terminal_leaves_out_what_the_sentences_say(width: int, *, room: bool) -> None:
    head = " ".join(lines(HEALTHY, DOWN, width=width)[0])
    assert ("cooldown breaker" in head, "credits" in head) == (room, room)
    assert "credits" in " ".join(lines(CREDITS, width=width)[0]), "they say something of it"


def test_columns_that_are_never_left_out_are_there_without_a_value_too() -> None:
    assert " ".join(lines(NEVER, width=80)[0]) == (
        "provider state a minute success p50 p95 turns answered"
    )


@pytest.mark.parametrize("width", [60, 80, 120])
def test_nothing_is_cut_off_and_nothing_is_wider_than_the_terminal(width: int) -> None:
    page = standings_page(Standings(NOW, (CREDITS, NEVER, DOWN, HEALTHY)), width)
    shown = drawn(page, width)
    assert max(map(len, shown)) <= width
    assert "…" not in "".join(shown)
    if width >= 80:
        assert shown[1].split()[:9] == (
            ["alphavantage", "slow", "30", "100.0", "%", "12.0", "s", "12.0", "s"]
            if width < 110
            else ["alphavantage", "slow", "30", "-", "closed", "100.0", "%", "12.0", "s"]
        )
        assert "1,012 7 min ago" in " ".join(shown[1].split())


def test_the_rate_is_said_a_minute() -> None:
    assert standing(YAHOO).per_minute == 30
    assert standing(replace(YAHOO, interval=timedelta(minutes=4))).per_minute == 0.25
    assert NEVER.per_minute is None


def test_requests_are_listed_with_all_that_a_person_asks_of_them() -> None:
    took = timedelta(seconds=25, microseconds=499)
    failed = Request("tiingo/own", None, "held", 3, "run", TIMEOUT, 0, NOW, took)
    served = Request("yahoo", "AAPL|1d", "held", 1, None, ANSWERED, 200, NOW - SECOND, SECOND)
    shown = [" ".join(one.split()) for one in drawn(requests_table([failed, served]), 80)]
    assert shown == [
        "ended (UTC) provider series attempt ending status ms",
        "2024-03-15 21:00:00 tiingo/own - 3 timeout - 25,000",
        "2024-03-15 20:59:59 yahoo AAPL|1d 1 answered 200 1,000",
    ]


@pytest.mark.parametrize(
    ("ending", "red"),
    [
        (ANSWERED, False),
        (Ending.UNKNOWN_SYMBOL, False),
        (Ending.ABANDONED, False),
        (Ending.MALFORMED_REPLY, True),
        (Ending.CREDENTIALS, True),
        (TIMEOUT, True),
    ],
)
def test_what_the_provider_did_wrong_is_red(ending: Ending, *, red: bool) -> None:
    request = Request("yahoo", None, "held", 1, None, ending, 200, NOW, SECOND)
    console = Console(width=100, color_system="standard", force_terminal=True)
    with console.capture() as captured:
        console.print(requests_table([request]))
    assert ("\x1b[31m" in captured.get()) == red
