"""`why`: why a bar is there, or is not; one reason and its evidence.

Not here: finding the reason (reading.why).
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, time
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.table import Table
from rich.text import Text

from marketdata_pipeline.cli.state import State, about, console, print_json, state_of
from marketdata_pipeline.config.credentials import credentials_for, variables
from marketdata_pipeline.database.home import Home, Mode
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import MICROSECOND, TimeRange, from_micros, to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import DAY
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.providers.registry import PROVIDERS
from marketdata_pipeline.reading.why.answer import Source
from marketdata_pipeline.reading.why.ask import Told, label_at
from marketdata_pipeline.reading.why.ask import why as ask_why
from marketdata_pipeline.store.witnesses import Witnesses


def why(
    context: typer.Context,
    instrument: Annotated[str, typer.Argument(help="Yahoo's spelling: AAPL AZN.L BTC-USD")],
    timeframe: Annotated[str, typer.Argument(help="1m 5m 15m 1h 4h 1d 1wk")],
    instant: Annotated[
        str,
        typer.Argument(
            metavar="WHEN", help="2026-07-24, 2026-07-24T14:30 (UTC; or with an offset)"
        ),
    ],
    until: Annotated[str, typer.Argument(help="With it a range, from WHEN to before this.")] = "",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Why a bar is there, or is not: one reason and its evidence; asks no provider."""
    state = state_of(context)
    series = Series(Instrument.parse(instrument), Timeframe.parse(timeframe))
    with state.opened() as home:
        within = _within(series, instant, until)
        witnesses = Witnesses(home.engine, home.bars, home.clock)
        told = ask_why(witnesses, series, within, sources_of(series, state, home))
        if as_json:
            answers = [_json(one) for one in told]
            print_json({**about(home), "series": str(series), "answers": answers})
            return
    for one in told:
        _print(one)


def sources_of(series: Series, state: State, home: Home) -> list[Source]:
    """The providers that serve a series, or the base that it is derived from."""
    timeframe = series.timeframe.base or series.timeframe
    return [
        Source(name, kind.timeframes[timeframe].depth, _lacking(kind.keys, state, home))
        for name, kind in PROVIDERS.items()
        if timeframe in kind.timeframes
    ]


def _lacking(keys: Sequence[str], state: State, home: Home) -> str:
    environment, replay = state.settings.environment, home.mode is Mode.REPLAY
    if not keys or credentials_for(keys, environment, simulated=replay):
        return ""
    return variables(keys[0], environment)[0]


def _within(series: Series, instant: str, until: str) -> TimeRange:
    start, end = instant, until
    if ".." in instant and not until:
        start, _, end = instant.partition("..")
    first = _instant(start)
    if end:
        last = _instant(end)
        return TimeRange(_midnight(first), _midnight(last))
    if isinstance(first, datetime):
        label = label_at(series, first)
        return TimeRange(label, label + MICROSECOND)
    return _day(series, first)


def _day(series: Series, day: date) -> TimeRange:
    """The labels of a date's session; intraday of a date without one its noon there."""
    midnight = _midnight(day)
    if not series.timeframe.intraday:
        label = label_at(series, midnight)
        return TimeRange(label, label + MICROSECOND)
    at = to_micros(midnight)
    days = calendar_of(series.instrument).days(at, at + DAY)
    if len(days.label):
        return TimeRange(from_micros(int(days.open[0])), from_micros(int(days.close[0])))
    zone = ZoneInfo(series.instrument.venue.zone)
    noon = datetime.combine(day, time(12), tzinfo=zone).astimezone(UTC)
    return TimeRange(noon, noon + MICROSECOND)


def _instant(text: str) -> datetime | date:
    try:
        if len(text.strip()) <= len("2026-07-24"):
            return date.fromisoformat(text.strip())
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadInput(
            f"{text!r} is no date or instant; write 2026-07-24 or 2026-07-24T14:30"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def _midnight(one: datetime | date) -> datetime:
    return one if isinstance(one, datetime) else datetime.combine(one, time.min, tzinfo=UTC)


def _print(one: Told) -> None:
    out, answer = console(), one.answer
    out.print(Text.assemble((_labels(one), "bold"), f"  {answer.reason}: {answer.text}"))
    table = Table.grid(padding=(0, 2))
    for name, value in answer.evidence.items():
        if value not in (None, "", []) and not isinstance(value, dict):
            table.add_row(f"  {name.replace('_', ' ')}", Text(_spelled(value)))
    if table.row_count:
        out.print(table)


def _labels(one: Told) -> str:
    spelling = "%Y-%m-%dT%H:%MZ" if one.series.timeframe.intraday else "%Y-%m-%d"
    first = f"{one.series} {one.first:{spelling}}"
    return first if one.bars == 1 else f"{first} to {one.last:{spelling}} ({one.bars:,} bars)"


def _spelled(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def _json(one: Told) -> dict[str, Any]:
    return {
        "first": one.first,
        "last": one.last,
        "bars": one.bars,
        "reason": one.answer.reason.value,
        "text": one.answer.text,
        "evidence": asdict(one.answer)["evidence"],
    }
