"""`alerts`: what is wrong now and what was, a test message, looking once, keeping one silent.

Not here: looking (ingest.alerting), when somebody is told (alerts.deciding).
"""

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime, timedelta
from time import monotonic
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from marketdata_pipeline.alerting import alerting_of, sender_of
from marketdata_pipeline.alerts.kinds import KINDS
from marketdata_pipeline.alerts.message import Message
from marketdata_pipeline.alerts.sending import Delivery
from marketdata_pipeline.cli.around import Instance
from marketdata_pipeline.cli.state import about, console, print_json, state_of
from marketdata_pipeline.cli.words import amount, lasting
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.alert import Alert, Mute, Severity
from marketdata_pipeline.domain.ranges import parse_instant
from marketdata_pipeline.errors import BadInput, MarketDataError
from marketdata_pipeline.ingest import conditions
from marketdata_pipeline.ingest.alerting import Outside
from marketdata_pipeline.quality.rules import RULES
from marketdata_pipeline.reading.health.instance import InstanceState
from marketdata_pipeline.store.alerts import Alerts

alerts = typer.Typer(invoke_without_command=True, add_completion=False)
"""`marketdata alerts` and what comes below it."""
_Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
_Key = Annotated[str, typer.Argument(metavar="KEY", help="As `alerts` shows it, or a kind.")]
_MOST = 30
_MANY = 10_000
_SILENT = timedelta(minutes=10)
_PATIENCE = 10.0
"""Seconds that Dagster's storage may take to answer."""


@alerts.callback(invoke_without_command=True)
def overview(context: typer.Context, *, as_json: _Json = False) -> None:
    """What is wrong now, then what was lately."""
    if context.invoked_subcommand is None:
        _show(context, as_json=as_json)


@alerts.command(name="list")
def list_all(context: typer.Context, *, as_json: _Json = False) -> None:
    """The same as `alerts` alone."""
    _show(context, as_json=as_json)


@alerts.command()
def look(context: typer.Context, *, as_json: _Json = False) -> None:
    """Look once and tell what is due: for cron, since a daemon that is dead tells nothing."""
    state = state_of(context)
    with state.opened() as home:
        seen = _outside(home)
        found = alerting_of(state.settings, home).look(seen)
    if as_json:
        print_json({"begun": found.begun, "over": found.ended, "told": found.told})
    else:
        for what, keys in (("begun", found.begun), ("over", found.ended), ("told", found.told)):
            if keys:
                console().print(f"{what}: {', '.join(keys)}")
    if found.delivery is not None:
        _fail_for(found.delivery)


@alerts.command(name="test")
def send_test(context: typer.Context, *, as_json: _Json = False) -> None:
    """Send a test message to each receiver; exit 1 where one did not take it."""
    sender = sender_of(state_of(context).settings)
    if not sender.reaches:
        raise BadInput("nobody would be told: set MARKETDATA_ALERT_URLS; see docs/alerts.md")
    message = Message("marketdata: test", "Alerts of this home arrive here.", Severity.INFO)
    found = sender.send(message)
    if as_json:
        print_json({"taken": found.taken, "failed": dict(found.failed)})
    else:
        for name in found.taken:
            console().print(f"receiver {name}: taken")
    _fail_for(found)


@alerts.command()
def mute(
    context: typer.Context,
    key: _Key,
    *,
    until: Annotated[str, typer.Option(help="A date or an instant, UTC unless it says a zone.")],
    why: Annotated[str, typer.Option(help="Shown beside it.")] = "",
) -> None:
    """Tell nobody of a key, or of a whole kind, until then; it is recorded all the same."""
    with state_of(context).opened() as home:
        at = _future(until, home.clock.wall_now())
        catalog = Alerts(home.engine, home.clock)
        catalog.mute(_known(key, {one.key for one in catalog.latest(_MANY) if one.open}), at, why)
    console().print(f"{key} is muted until {at:%Y-%m-%d %H:%M} UTC")


@alerts.command()
def unmute(context: typer.Context, key: _Key) -> None:
    """Tell of it again."""
    with state_of(context).opened() as home:
        catalog = Alerts(home.engine, home.clock)
        if key not in {one.name for one in catalog.mutes()}:
            raise BadInput(f"{key} is not muted; see marketdata alerts")
        catalog.mute(key, None)
    console().print(f"{key} is told again")


def _future(text: str, now: datetime) -> datetime:
    at = parse_instant(text)
    if at <= now:
        raise BadInput(f"{text} is over; give --until an instant in the future")
    return at


def _known(key: str, open_keys: Collection[str]) -> str:
    kind, colon, rest = key.partition(":")
    if kind not in {*KINDS, "incident"}:
        raise BadInput(f"{key!r} is no alert; its kind is one of {', '.join(KINDS)}")
    if kind == "check" and colon and rest not in RULES and key not in open_keys:
        raise BadInput(f"{rest!r} is no rule; write check: and one of {', '.join(RULES)}")
    return key


def _fail_for(found: Delivery) -> None:
    if found.failed:
        told = "; ".join(f"receiver {name} did not take it: {why}" for name, why in found.failed)
        raise MarketDataError(told)


def _outside(home: Home) -> Outside:
    """Whether Dagster's daemon, where it ever ran here, tells that it lives."""
    state = Instance(home.dagster).opened.told(until=monotonic() + _PATIENCE)
    if not isinstance(state, InstanceState):
        return Outside()
    kinds = frozenset({"daemon"})
    now = home.clock.wall_now()
    if state.beat is None or now - state.beat <= _SILENT:
        return Outside(kinds=kinds)
    return Outside((conditions.of_daemon(["SCHEDULER"], state.beat),), kinds)


def _show(context: typer.Context, *, as_json: bool) -> None:
    with state_of(context).opened() as home:
        catalog, now = Alerts(home.engine, home.clock), home.clock.wall_now()
        found, muted = catalog.latest(_MOST), catalog.mutes()
        if as_json:
            print_json({
                **about(home),
                "alerts": [_json(one) for one in found],
                "mutes": [asdict(one) for one in muted],
            })  # fmt: skip
            return
    console().print(_page(found, muted, now))


def _json(one: Alert) -> dict[str, Any]:
    return {**asdict(one), "open": one.open}


def _page(found: list[Alert], muted: list[Mute], now: datetime) -> RenderableType:
    open_ones = [one for one in found if one.open]
    parts: list[RenderableType] = []
    if open_ones:
        parts.append(_table(open_ones, now))
    else:
        parts.append(Text("nothing is wrong, as far as was looked"))
    parts += [
        Text(f"over  {one.key}  {one.title}; for {lasting(one.lasted)}")
        for one in found
        if not one.open
    ]
    for mute in muted:
        why = f": {mute.why}" if mute.why else ""
        parts.append(Text(f"muted  {mute.name} until {mute.until:%Y-%m-%d %H:%M} UTC{why}"))
    return Group(*parts)


def _table(rows: list[Alert], now: datetime) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("severity", "key", "since", "weight", "told", "what"):
        table.add_column(name, no_wrap=name != "what")
    for one in rows:
        table.add_row(
            str(one.severity),
            one.key,
            f"{lasting(now - one.raised_at)} ago",
            amount(one.weight) if one.weight else "-",
            _told(one),
            one.title,
        )
    return table


def _told(one: Alert) -> str:
    if one.told_at is not None:
        return "yes"
    return f"failed {one.attempts} times" if one.attempts else "not yet"
