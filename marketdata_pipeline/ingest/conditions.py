"""What of a catalog's troubles is an alert: one condition a cause, weighed by money at risk.

Not here: reading the troubles (store.troubles, governor.failing), telling anybody (alerting). Pure
but for the closes that money is reckoned by.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from marketdata_pipeline.alerts.kinds import KINDS
from marketdata_pipeline.domain.alert import Condition, Severity
from marketdata_pipeline.domain.incident import Ending, Incident, IncidentKind
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.governor.failing import Failing, Failure
from marketdata_pipeline.ingest.at_risk import AtRisk
from marketdata_pipeline.store.overdue import Overdue
from marketdata_pipeline.store.troubles import FailingRule, Held

_NAMED = 5
_SESSIONS = 5


def condition(
    kind: str,
    title: str,
    *lines: str,
    of: object = "",
    severity: Severity | None = None,
    weight: float = 0.0,
) -> Condition:
    """A condition of a kind; ``of`` is what it is about, where the kind has several at once."""
    known = KINDS[kind]
    return Condition(
        key=f"{kind}:{of}" if of != "" else kind,
        kind=kind,
        severity=severity or known.severity,
        title=title,
        body="\n".join([*filter(None, lines), known.advice]),
        weight=weight,
    )


def of_rules(rules: Sequence[FailingRule], money: AtRisk) -> list[Condition]:
    """One for each rule that fails, with the worst series."""
    found = []
    for one in rules:
        held = _by_money({each.series.instrument for each in one.held}, money)
        # What portfolios hold most money in comes first, then what fails most.
        order = {instrument: place for place, instrument in enumerate(held)}
        first = sorted(one.held, key=lambda each: order[each.series.instrument])
        named = list(dict.fromkeys([*first, *one.worst]))[:_NAMED]
        found.append(
            condition(
                "check",
                f"{one.rule} fails for {_many(one.count, 'series', 'series')}",
                *(f"{each.series}: {each.detail}" for each in named),
                _money(sum(held.values()), money),
                of=one.rule,
                weight=sum(held.values()),
            )
        )
    return found


def of_late(
    count: int, most: int, named: Mapping[Series, int], held: Mapping[Series, int], money: AtRisk
) -> Condition:
    """So many series are late, the most by so many sessions; ``named`` are some of them."""
    late: dict[Instrument, int] = {}
    for series, sessions in held.items():
        late[series.instrument] = max(sessions, late.get(series.instrument, 0))
    amounts = {one: money.of(one) for one in late}
    weights = {one: amounts[one] * late[one] for one in late}
    first = sorted(held, key=lambda one: -weights[one.instrument])
    shown = {**{one: held[one] for one in first}, **named}
    lines = [f"{one}: {_many(shown[one], 'session')} late" for one in list(shown)[:_NAMED]]
    return condition(
        "late",
        f"{_many(count, 'series', 'series')} late, up to {_many(most, 'session')}",
        *lines,
        _money(sum(amounts.values()), money),
        weight=sum(weights.values()),
    )


def incident_key(one: Incident) -> str:
    """The key of an incident's alert: it may turn out to be of another kind than it began."""
    return f"incident:{one.id}"


def of_incident(one: Incident, money: float) -> Condition:
    """An incident that is open; a question is put to the person."""
    dates = ", ".join(map(str, one.sessions[:_SESSIONS]))
    more = len(one.sessions) - _SESSIONS
    dates += f" and {more} more" if more > 0 else ""
    if one.kind is IncidentKind.QUESTION:
        title = f"was {one.calendar} closed on {dates}?"
    else:
        title = f"{one.calendar}: {one.affected:,} of {one.expected:,} series lack {dates}"
    found = condition(one.kind.value, title, one.detail, weight=money * max(1, len(one.sessions)))
    return replace(found, key=incident_key(one))


def became(one: Incident) -> str:
    """What came of an incident that is closed."""
    match one.outcome:
        case Ending.HEALED:
            return "healed: the bars are there now"
        case Ending.CLOSED_MARKET:
            return f"{one.calendar} was closed"
        case Ending.GIVEN_UP:
            return f"given up: {_many(one.lacking, 'series', 'series')} still lack it"
    return ""


def of_quarantine(rows: Sequence[Held], money: AtRisk) -> list[Condition]:
    """One for each reason for which bars of held instruments are kept apart."""
    found = []
    for reason in dict.fromkeys(one.reason for one in rows):
        ours = [one for one in rows if one.reason == reason]
        held = _by_money({one.series.instrument for one in ours}, money)
        order = {instrument: place for place, instrument in enumerate(held)}
        named = sorted(ours, key=lambda one: order[one.series.instrument])[:_NAMED]
        whose = next(iter(held)) if len(held) == 1 else f"{len(held)} held instruments"
        found.append(
            condition(
                "quarantine",
                f"bars of {whose} are kept apart: {reason}",
                *(f"{one.series}: {one.detail}" for one in named),
                _money(sum(held.values()), money),
                of=reason,
                weight=sum(held.values()),
            )
        )
    return found


def of_provider(one: Failure, now: datetime, patience: timedelta) -> Condition | None:
    """A provider that does not serve; None: its breaker is not open for long."""
    served = "" if one.served_at is None else f"it last served at {_spelled(one.served_at)}"
    if one.failing is Failing.SHUT:
        if now - one.since < patience:
            return None
        title = f"{one.key} fails and is not asked, since {_spelled(one.since)}"
        return condition("breaker", title, served, of=one.key)
    said = {
        Failing.BLOCKED: ("blocked", f"{one.key} turns this address away"),
        Failing.CREDENTIALS: ("credentials", f"{one.key} refuses its key"),
    }
    kind, title = said[one.failing]
    return condition(kind, title, f"since {_spelled(one.since)}", served, of=one.key)


def of_failed(number: int, most: int) -> Condition | None:
    """More failed rows than are allowed; None: that is not so."""
    if number <= most:
        return None
    return condition("failed_jobs", f"{number:,} backfills have failed")


def of_waiting(since: datetime | None, now: datetime, patience: timedelta) -> Condition | None:
    """The oldest due row waits too long; None: it does not."""
    if since is None or now - since < patience:
        return None
    return condition("old_queue", f"a due backfill waits since {_spelled(since)}")


def of_transactions(late: Overdue | None) -> Condition | None:
    """Transactions that nobody processes; None: there are none."""
    if late is None:
        return None
    title = f"{_many(late.transactions, 'transaction')} not processed"
    return condition("transactions", title, f"the oldest since {_spelled(late.since)}")


def of_silence(since: datetime, sessions: int) -> Condition:
    """Nothing was asked, updated or tried since a wall instant."""
    title = f"nothing was updated since {_spelled(since)}"
    return condition("silent", title, f"{_many(sessions, 'session')} closed meanwhile")


def of_daemon(parts: Iterable[str], since: datetime) -> Condition:
    """These parts of Dagster's daemon are silent, the first of them since a wall instant."""
    title = f"Dagster's daemon is silent since {_spelled(since)}"
    return condition("daemon", title, f"parts: {', '.join(sorted(parts))}")


def of_disk(says: str, *, grave: bool) -> Condition:
    """The home's disk is nearly full."""
    severity = Severity.CRITICAL if grave else Severity.WARNING
    return condition("disk", "the home's disk is nearly full", says, severity=severity)


def of_maintenance(run_id: str, ended_at: datetime) -> Condition:
    """The last run that looked after the store failed."""
    title = "the store's maintenance failed"
    return condition("maintenance", title, f"run {run_id}, at {_spelled(ended_at)}")


def _by_money(held: Iterable[Instrument], money: AtRisk) -> dict[Instrument, float]:
    """Money in each, the most first."""
    amounts = {one: money.of(one) for one in sorted(held)}
    return dict(sorted(amounts.items(), key=lambda one: -one[1]))


def _money(amount: float, money: AtRisk) -> str:
    return f"money at risk: {amount:,.0f} {money.unit}".rstrip() if amount else ""


def _many(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _spelled(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"
