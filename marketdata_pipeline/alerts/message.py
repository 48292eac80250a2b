"""One message of all that is told at once: its title, its body, how grave it is.

Not here: who gets it (sending), and what is told (deciding).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from marketdata_pipeline.domain.alert import Alert, Severity

_LONGEST = 3000
"""Characters; Telegram takes 4,096, and what is longer would be cut somewhere."""
_LONGEST_OF_MANY = 600
_MOST = 20


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent; ``severity`` None: something is over, all else is well."""

    title: str
    body: str
    severity: Severity | None = None


def message_of(told: Sequence[Alert]) -> Message:
    """The message of these alerts, in their order; one alone has its own title."""
    if len(told) == 1:
        (one,) = told
        return Message(f"marketdata: {_headline(one)}", _cut(_rest(one), _LONGEST), _severity(told))
    parts = [_cut(_whole(one), _LONGEST_OF_MANY) for one in told[:_MOST]]
    body = "\n\n".join(parts)
    while len(body) > _LONGEST and len(parts) > 1:
        parts.pop()
        body = "\n\n".join(parts)
    more = len(told) - len(parts)
    body += f"\n\nand {more} more: marketdata alerts" if more else ""
    return Message(f"marketdata: {_counted(told)}", body, _severity(told))


def _headline(one: Alert) -> str:
    if not one.open:
        return f"over: {one.title}"
    return f"{one.severity}: {one.title}"


def _rest(one: Alert) -> str:
    """An alert that was never told while it was open is told as a whole."""
    if one.open:
        return one.body
    since = f"since {one.raised_at:%Y-%m-%d %H:%M} UTC, for {lasting(one.lasted)}"
    return f"{one.body}\n{since}".strip()


def _whole(one: Alert) -> str:
    return f"{_headline(one)}\n{_rest(one)}".strip()


def _counted(told: Sequence[Alert]) -> str:
    begun = [one for one in told if one.open]
    critical = sum(one.severity is Severity.CRITICAL for one in begun)
    parts = []
    if begun:
        grave = f" ({critical} critical)" if critical else ""
        parts.append(f"{len(begun)} alert{'s' if len(begun) > 1 else ''}{grave}")
    if over := len(told) - len(begun):
        parts.append(f"{over} over")
    return ", ".join(parts)


def _severity(told: Sequence[Alert]) -> Severity | None:
    begun = [one.severity for one in told if one.open]
    return max(begun, key=lambda one: one.rank) if begun else None


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 4].rstrip() + " ..."


def lasting(time: timedelta) -> str:
    """A stretch of time in its largest unit."""
    minutes = max(0, round(time.total_seconds() / 60))
    if minutes < 60:  # noqa: PLR2004 - minutes in an hour
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h" if hours < 48 else f"{hours // 24} d"  # noqa: PLR2004 - two days
