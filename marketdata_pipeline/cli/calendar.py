"""`calendar`: days that were closed, or had other hours, whatever the calendar says.

Not here: what follows from it (ingest.closing, domain.closures).
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.table import Table
from rich.text import Text

from marketdata_pipeline.cli.state import about, console, print_json, state_of
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.closures import Closure
from marketdata_pipeline.domain.hours import opens_the_evening_before, usual_hours, venue_of
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.venues import BY_CALENDAR, Venue
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.closing import Closing
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.closures import read_closures

calendar = typer.Typer(no_args_is_help=True, add_completion=False)
"""`marketdata calendar` and what comes below it."""
_Name = Annotated[str, typer.Argument(metavar="CALENDAR", help="XNYS XHKG XLON ... CME FX CRYPTO")]
_Day = Annotated[str, typer.Argument(metavar="DATE", help="The exchange's date, 2023-09-08")]
_Why = Annotated[str, typer.Option("--reason", help="In words: typhoon, mourning, outage.")]
_Force = Annotated[
    bool, typer.Option("--force", help="Although series have bars with trades that it excludes.")
]
_Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


@calendar.callback()
def _days() -> None:
    """Days that were closed, or had other hours, whatever the calendar says."""


@calendar.command("list")
def listed(
    context: typer.Context,
    *,
    as_json: _Json = False,
) -> None:
    """What was said of single days, with its evidence."""
    with state_of(context).opened() as home:
        rows = read_closures(home.engine).rows
        if as_json:
            print_json({**about(home), "days": [_json(one) for one in rows]})
            return
    if not rows:
        console().print("nothing was said of any day; all are as the calendars have them")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("calendar", "date", "hours", "reason", "evidence", "said at"):
        table.add_column(name, no_wrap=name != "evidence")
    for one in rows:
        made = "" if one.made_at is None else f"{one.made_at:%Y-%m-%d %H:%M UTC}"
        cells = (one.calendar, one.session.isoformat(), _hours(one), one.reason, one.evidence, made)
        table.add_row(*(Text(cell) for cell in cells))
    console().print(table)


@calendar.command()
def close(
    context: typer.Context,
    name: _Name,
    day: _Day,
    *,
    reason: _Why,
    force: _Force = False,
    as_json: _Json = False,
) -> None:
    """Nothing was traded on that day: no bar of it is expected, no gap is one."""
    closure = Closure(venue_of(name).calendar, _date(day), None, _reason(reason))
    _say(context, closure, force=force, as_json=as_json)


@calendar.command("open")
def opened(
    context: typer.Context,
    name: _Name,
    day: _Day,
    *,
    reason: _Why,
    force: _Force = False,
    as_json: _Json = False,
) -> None:
    """That day was a session of the usual hours, though the calendar has none."""
    venue, session = venue_of(name), _date(day)
    hours = usual_hours(venue, session)
    closure = Closure(venue.calendar, session, hours, _reason(reason))
    _say(context, closure, force=force, as_json=as_json)


@calendar.command()
def hours(
    context: typer.Context,
    name: _Name,
    day: _Day,
    opens: Annotated[str, typer.Argument(help="By the exchange's clock: 13:30")],
    closes: Annotated[
        str, typer.Argument(help="16:00; before OPENS: CME opens the evening before")
    ],
    *,
    reason: _Why,
    force: _Force = False,
    as_json: _Json = False,
) -> None:
    """That day was a session of these hours; the usual break, where one is, stays."""
    venue, session = venue_of(name), _date(day)
    within = _within(venue, session, opens, closes)
    closure = Closure(venue.calendar, session, within, _reason(reason))
    _say(context, closure, force=force, as_json=as_json)


@calendar.command()
def forget(context: typer.Context, name: _Name, day: _Day) -> None:
    """Take back what was said of a day: what the calendar expects is missing again."""
    session = _date(day)
    with state_of(context).opened() as home:
        _closing(home).forget(name, session)
    console().print(f"{venue_of(name).calendar} {session} is as the calendar has it")


def _say(context: typer.Context, closure: Closure, *, force: bool, as_json: bool) -> None:
    with state_of(context).opened() as home:
        done = _closing(home).put(closure, force=force)
        told = about(home)
    if as_json:
        print_json({**told, **_json(done)})
        return
    console().print(f"{done.calendar} {done.session}: {_hours(done)}; {done.evidence}")


def _closing(home: Home) -> Closing:
    return Closing(home.engine, BarStore(home.engine, home.bars, home.clock), home.clock)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise BadInput(f"{text!r} is no date; write it as 2023-09-08") from None


def _reason(text: str) -> str:
    told = " ".join(text.split())
    if not told:
        raise BadInput("a reason is wanted; say it with --reason")
    return told[:200]


def _within(venue: Venue, session: date, opens: str, closes: str) -> TimeRange:
    zone = ZoneInfo(venue.zone)
    first, last = _clock(opens), _clock(closes)
    if first >= last and not opens_the_evening_before(venue, session):
        raise BadInput(
            f"{opens} is not before {closes}; sessions of {venue.calendar} begin and end on one "
            "day, give OPENS, then CLOSES"
        )
    start = session if first < last else session - timedelta(days=1)
    return TimeRange(
        datetime.combine(start, first, tzinfo=zone).astimezone(UTC),
        datetime.combine(session, last, tzinfo=zone).astimezone(UTC),
    )


def _clock(text: str) -> time:
    try:
        return time.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError:
        raise BadInput(f"{text!r} is no time of the day; write it as 13:30") from None


def _hours(one: Closure) -> str:
    """By the exchange's clock."""
    if one.hours is None:
        return "closed"
    zone = ZoneInfo(BY_CALENDAR[one.calendar].zone)
    first, last = (at.astimezone(zone) for at in (one.hours.start, one.hours.end))
    eve = "" if first.date() == one.session else "the evening before "
    return f"{eve}{first:%H:%M}-{last:%H:%M}"


def _json(one: Closure) -> dict[str, Any]:
    return {
        "calendar": one.calendar,
        "session": one.session.isoformat(),
        "opens": None if one.hours is None else one.hours.start,
        "closes": None if one.hours is None else one.hours.end,
        "reason": one.reason,
        "evidence": one.evidence,
        "made_at": one.made_at,
    }
