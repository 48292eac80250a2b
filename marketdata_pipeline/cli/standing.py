"""How providers stand, drawn: a line each, a sentence for each that is not healthy; requests.

Not here: reading it (reading.providers), and the command (providers).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from marketdata_pipeline.cli.words import amount, eased_share, lasting, share
from marketdata_pipeline.domain.gate import Circuit, Effect, Ending
from marketdata_pipeline.governor.health import Condition, Health, Latency
from marketdata_pipeline.governor.logged import Request
from marketdata_pipeline.reading.providers import Standing, Standings

_DAY, _MILLISECOND = timedelta(days=1), timedelta(milliseconds=1)
_WIDE = 110
"""Columns of a terminal from which on all columns of the table have room."""
_LONG = 10
"""Seconds from which on hundredths say nothing."""
_NONE = "-"
_COLOURS = {
    Condition.HEALTHY: "green",
    Condition.UNKNOWN: "dim",
    Condition.SLOW: "yellow",
    Condition.LIMITED: "yellow",
    Condition.DOWN: "bold red",
}
_Cell = Callable[[Standing, datetime], str | Text]


@dataclass(frozen=True, slots=True)
class _Column:
    """A column: its head, and what stands in the line of a provider at a wall instant.

    Attributes:
        narrow: False: left out where room is short; a sentence below the table says it too.
        seldom: left out there where it says nothing of any provider.
    """

    head: str
    cell: _Cell
    narrow: bool = True
    seldom: bool = False

    def shown(self, standings: Standings, *, wide: bool) -> bool:
        """Whether it has a place."""
        if wide or not self.narrow:
            return wide
        told = any(str(self.cell(one, standings.at)) != _NONE for one in standings.all)
        return told or not self.seldom


def standings_page(standings: Standings, width: int) -> RenderableType:
    """The table, and what to do about each provider that is not healthy; so wide at most."""
    wide = width >= _WIDE
    shown = [one for one in _COLUMNS if one.shown(standings, wide=wide)]
    table = Table(box=None, header_style="bold", padding=(0, 2 if wide else 1, 0, 0))
    table.add_column("provider", no_wrap=True)  # narrow ones take the others' room before its
    table.add_column("state", overflow="fold")
    for column in shown:
        table.add_column(column.head, justify="right", overflow="fold")
    for one in standings.all:
        state = Text(str(one.health.condition), _COLOURS[one.health.condition])
        table.add_row(one.key, state, *(column.cell(one, standings.at) for column in shown))
    ill = [one.health for one in standings.all if one.health.condition is not Condition.HEALTHY]
    if not ill:
        return table
    below = Table.grid()  # breaks lines between words
    for health in ill:
        below.add_row(_said(health))
    return Group(table, Text(), below)


def _said(health: Health) -> Text:
    told = Text(f"{health.key} is {health.condition}: {health.why}")
    return told.append(f" -> {health.condition.advice}", "cyan")


def requests_table(requests: Sequence[Request]) -> Table:
    """A line a request, the newest first."""
    table = Table(box=None, header_style="bold")
    for head in ("ended (UTC)", "provider", "series"):
        table.add_column(head)
    table.add_column("attempt", justify="right")
    table.add_column("ending")
    for head in ("status", "ms"):
        table.add_column(head, justify="right")
    for one in requests:
        table.add_row(
            f"{one.ended_at:%Y-%m-%d %H:%M:%S}",
            one.key,
            one.series or _NONE,
            str(one.attempt),
            Text(str(one.ending), "" if _blameless(one.ending) else "red"),
            str(one.status or _NONE),
            f"{one.took / _MILLISECOND:,.0f}",
        )
    return table


def _blameless(ending: Ending) -> bool:
    return ending is Ending.ABANDONED or ending.effect is Effect.SERVED


def _rate(one: Standing, _now: datetime) -> str:
    if one.turns is None or one.per_minute is None:
        return _NONE
    eased = f" ({eased_share(one.turns)})" if one.turns.eased < 1 else ""
    return f"{amount(one.per_minute)}{eased}"


def _cooldown(one: Standing, now: datetime) -> str:
    until = None if one.turns is None else one.turns.cooldown_until
    if until is None:
        return _NONE
    return f"{until:%H:%M:%S}" if until - now < _DAY else f"{until:%m-%d %H:%M}"


def _breaker(one: Standing, _now: datetime) -> Text:
    if one.turns is None:
        return Text(_NONE)
    closed = one.turns.circuit is Circuit.CLOSED
    return Text(str(one.turns.circuit), "" if closed else "red")


def _success(one: Standing, _now: datetime) -> str:
    return _NONE if one.health.success is None else share(one.health.success, 1)


def _taking(percentile: Callable[[Latency], timedelta]) -> _Cell:
    def cell(one: Standing, _now: datetime) -> str:
        latency = one.health.latency
        return _NONE if latency is None else _seconds(percentile(latency))

    return cell


def _seconds(time: timedelta) -> str:
    seconds = time.total_seconds()
    return f"{seconds:.2f} s" if seconds < _LONG else f"{seconds:.1f} s"


def _turns_free(one: Standing, _now: datetime) -> str:
    return _NONE if one.turns is None else f"{one.turns.free:,}"


def _credits(one: Standing, _now: datetime) -> str:
    left = None if one.turns is None else one.turns.budget_left
    return _NONE if left is None else f"{left:,}"


def _answered(one: Standing, now: datetime) -> str:
    at = one.health.served_at
    return _NONE if at is None else f"{lasting(now - at)} ago"


_COLUMNS = (
    _Column("a minute", _rate),
    _Column("cooldown", _cooldown, narrow=False),
    _Column("breaker", _breaker, narrow=False),
    _Column("success", _success),
    _Column("p50", _taking(lambda one: one.p50)),
    _Column("p95", _taking(lambda one: one.p95)),
    _Column("turns", _turns_free),
    _Column("credits", _credits, seldom=True),
    _Column("answered", _answered),
)
