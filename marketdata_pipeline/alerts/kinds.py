"""The kinds of alerts: for each failure that deserves one, what is watched and what to do.

Not here: looking whether one holds (ingest.alerting). docs/alerts.md has the same table; a test
compares the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from marketdata_pipeline.domain.alert import Severity

_CALM = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of alert.

    Attributes:
        severity: the usual one; a condition may say another.
        watches: when it begins, as a sentence without its full stop.
        advice: what to do.
        weighed: by money at risk, so that a least weight applies to it.
        calm: for how long its condition has to be gone before it is over.
        behind: kinds that explain it: it does not begin while one of them is open.
    """

    severity: Severity
    watches: str
    advice: str
    weighed: bool = False
    calm: timedelta = _CALM
    behind: tuple[str, ...] = ()


_NOW = timedelta(0)
_WARNING, _CRITICAL = Severity.WARNING, Severity.CRITICAL

KINDS: Mapping[str, Kind] = {
    "check": Kind(
        _WARNING,
        "a quality rule fails for tracked series; one alert a rule",
        "marketdata quality names the series, marketdata why tells of a single bar",
        weighed=True,
    ),
    "late": Kind(
        _WARNING,
        "the newest bar of tracked series is late by sessions that closed since",
        "marketdata doctor looks for the cause; marketdata refresh asks at once",
        weighed=True,
        behind=("silent", "daemon"),
    ),
    "outage": Kind(
        _WARNING,
        "many series lack the same session",
        "nothing: it is asked for again by itself and closes when it is healed",
        weighed=True,
        calm=_NOW,
    ),
    "question": Kind(
        _WARNING,
        "no series of an exchange has a session that its calendar expects",
        "say whether it was: marketdata calendar close; else nothing, the bars are asked for again",
        weighed=True,
        calm=_NOW,
    ),
    "quarantine": Kind(
        _WARNING,
        "bars of what portfolios hold are kept apart; one alert a reason",
        "marketdata quarantine list, then release or drop; the stored bars are as they were",
        weighed=True,
    ),
    "silent": Kind(
        _CRITICAL,
        "nothing was updated though sessions closed since",
        "start marketdata ui or marketdata daemon; marketdata doctor looks for the cause",
    ),
    "daemon": Kind(
        _CRITICAL,
        "Dagster's daemon, or a part of it, has not told for minutes that it lives",
        "start dagster-daemon run or marketdata ui; see Deployment, Daemons on Dagster's page",
    ),
    "disk": Kind(
        _WARNING,
        "the disk of the home is nearly full; critical: writes will fail soon",
        "remove what is not needed there, or move the home to a larger disk",
    ),
    "breaker": Kind(
        _WARNING,
        "a provider fails so often that it is not asked, for longer than a setting says",
        "marketdata doctor looks for the cause; it is tried again by itself",
    ),
    "blocked": Kind(
        _WARNING,
        "a provider turns this address away",
        "wait some hours or go through another network; lower the rate",
    ),
    "credentials": Kind(
        _WARNING,
        "a provider refuses a key",
        "put another key where that one stands; docs/configuration.md has the names",
    ),
    "failed_jobs": Kind(
        _WARNING,
        "more backfills of the queue have failed than a setting allows",
        "marketdata queue names them; marketdata queue retry --all, or marketdata queue drop ID",
    ),
    "old_queue": Kind(
        _WARNING,
        "the oldest due row of the queue has waited for longer than a setting says",
        "is a worker or Dagster's daemon running? marketdata queue shows what waits",
    ),
    "transactions": Kind(
        _WARNING,
        "transactions are not processed",
        "is a worker or Dagster's daemon running, and transaction_sensor switched on?",
    ),
    "maintenance": Kind(
        _CRITICAL,
        "the last run of store_maintenance, which verifies the store, failed",
        "marketdata verify lists the faults; docs/recover.md says what to do",
        calm=_NOW,
    ),
}
"""By name, in the order in which a message lists them."""
