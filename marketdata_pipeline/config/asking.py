"""The settings of how providers are asked: their quotas, waits, limits of time.

Not here: all other settings, and where values come from (the package itself).
"""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator
from pydantic_settings import BaseSettings

from marketdata_pipeline.config.values import (
    MOST_CONNECTIONS,
    MOST_WAITS,
    Seconds,
    as_lower,
    as_waits,
    setting,
)
from marketdata_pipeline.domain.tuning import Tuning


class Asking(BaseSettings):
    """A part of the settings; see ``Settings``."""

    turn_wait: Seconds = setting(
        timedelta(minutes=10),
        "Seconds that a request waits for its turn before the rest of its run fails.",
        "seconds, 0 or more",
        ge=timedelta(0),
    )
    queue_turn_wait: Seconds = setting(
        timedelta(seconds=20),
        "The same for a run that the queue asked for; the rest goes back into the queue.",
        "seconds, 0 or more",
        ge=timedelta(0),
    )
    setback_wait: Seconds = setting(
        timedelta(minutes=5),
        "Seconds after which a backfill is begun again whose provider did not answer properly; "
        "twice, four, eight times as long after more of that in a row.",
        "seconds, 0 to 86400",
        ge=timedelta(0),
        le=timedelta(days=1),
    )
    queue_lease: Seconds = setting(
        timedelta(minutes=1),
        "Seconds for which a run has its backfills without saying so again; as long again after "
        "that is noticed they are begun by another. One that has not begun is asked for again.",
        "seconds, 1 to 3600",
        ge=timedelta(seconds=1),
        le=timedelta(hours=1),
    )
    yahoo_requests_per_hour: int = setting(
        2000, "Requests to Yahoo in any hour, by all processes.", "1 to 100000", ge=1, le=100_000
    )
    yahoo_burst: int = setting(
        200, "Of these, how many may come at once.", "1 to 100000", ge=1, le=100_000
    )
    requests_per_minute: int | None = setting(
        None,
        "Requests to Yahoo in any minute, by all processes, a tenth of them at once; beside those "
        "in an hour.",
        "1 to 100000",
        said="no such limit",
        ge=1,
        le=100_000,
    )
    yahoo_spacing: Seconds = setting(
        timedelta(seconds=0.8),
        "Least seconds between two requests to Yahoo, inside a burst too; a home that replays asks "
        "its simulator without them.",
        "seconds, 0 to 30",
        ge=timedelta(0),
        le=timedelta(seconds=30),
    )
    cooldown: Seconds = setting(
        timedelta(seconds=30),
        "Seconds without requests after a 429 that does not say how long to wait.",
        "seconds, 0 to 86400",
        ge=timedelta(0),
        le=timedelta(days=1),
    )
    cooldown_curve: Annotated[Literal["exponential", "linear"], BeforeValidator(as_lower)] = (
        setting(
            "exponential",
            "How these seconds grow with each such 429 in a row.",
            "one of exponential, linear",
        )
    )
    cooldown_longest: Seconds = setting(
        timedelta(minutes=5),
        "The most of them; also the seconds without requests after a page that turns this address "
        "away.",
        "seconds, 0 to 86400",
        ge=timedelta(0),
        le=timedelta(days=1),
    )
    breaker_failures: int = setting(
        5, "Failures in a row after which nobody asks a provider.", "1 to 1000", ge=1, le=1000
    )
    breaker_open: Seconds = setting(
        timedelta(minutes=5),
        "Seconds until one request tries whether the provider is back.",
        "seconds, 0 to 86400",
        ge=timedelta(0),
        le=timedelta(days=1),
    )
    slowest_spacing: Seconds = setting(
        timedelta(seconds=30),
        "The most seconds between two requests that a provider's refusals lead to.",
        "seconds, 1 to 86400",
        ge=timedelta(seconds=1),
        le=timedelta(days=1),
    )
    connect_timeout: float = setting(
        8.0,
        "Seconds to wait for a connection; half as long again on each further attempt, up to 20.",
        "above 0, up to 120",
        gt=0,
        le=120,
    )
    read_timeout: float = setting(
        25.0,
        "Seconds to wait for a whole reply; half as long again on each further attempt, up to 60.",
        "above 0, up to 600",
        gt=0,
        le=600,
    )
    connections: int = setting(
        15,
        "Requests that one process may have under way at a provider, each over a kept connection.",
        f"1 to {MOST_CONNECTIONS}",
        ge=1,
        le=MOST_CONNECTIONS,
    )
    retry_waits: Annotated[tuple[float, ...], BeforeValidator(as_waits)] = setting(
        (1.0, 3.0, 8.0, 15.0, 30.0),
        "Seconds before each further attempt of a request that failed for a passing reason.",
        f"up to {MOST_WAITS} numbers with commas between, each 0 or more, or none",
    )

    @property
    def tuning(self) -> Tuning:
        """How the governor backs off and comes back."""
        return Tuning(
            cooldown=self.cooldown,
            curve=self.cooldown_curve,
            longest_cooldown=self.cooldown_longest,
            block=self.cooldown_longest,
            failures=self.breaker_failures,
            opened=self.breaker_open,
            slowest=self.slowest_spacing,
            probe=max(Tuning().probe, timedelta(seconds=self.connect_timeout + self.read_timeout)),
        )
