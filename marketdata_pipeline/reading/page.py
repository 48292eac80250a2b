"""One self-contained HTML page: interactive candles of several series and a table of them.

Not here: the small picture (candles), and where bars and facts come from. The page's own words,
look and behaviour are in page.html, page.css and page.js beside this module.
"""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.actions import Action, ActionKind, last_dates
from marketdata_pipeline.domain.bars import COLUMNS, labels_of
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import StoreError

_ABSENT: Final = "\N{EN DASH}"
_COMPLETE: Final = 0.95
_WORDS: Final = {ActionKind.DIVIDEND: "dividend", ActionKind.CAPITAL_GAIN: "capital gain"}
_SIMULATED: Final = {
    "simulator:recorded": "Recorded history, replayed by the simulator: real prices of that time, "
    "not live market data.",
    "simulator:synthetic": "Invented prices, made by the simulator. They look like a market and "
    "are none.",
}


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """A series to draw: raw bars shaped as `domain.bars` says, and the actions to adjust by."""

    series: Series
    bars: pd.DataFrame
    actions: tuple[Action, ...]
    currency: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; `coverage` is a share of 0 to 1, None where it was never judged.

    `origin` is where its bars came from, as stored fetches name it.
    """

    series: Series
    bars: int
    first: datetime | None
    last: datetime | None
    coverage: float | None
    provider: str
    requests: int
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the page says besides the charts.

    Attributes:
        title: its heading.
        origins: where the data came from, as stored fetches name it (`yahoo`,
            `simulator:recorded`).
        market_at: the market instant up to which the data goes, aware UTC.
        generated_at: the wall instant of writing, aware UTC.
        rows: the table.
    """

    title: str
    origins: tuple[str, ...]
    market_at: datetime
    generated_at: datetime
    rows: tuple[Row, ...]


def write_page(target: Path, charts: Sequence[Chart], facts: Facts) -> None:
    """Writes the page, whole or not at all; a page that is there is replaced.

    Raises:
        StoreError: the file cannot be written.
    """
    replace_file(target, render_page(charts, facts))


def replace_file(target: Path, text: str) -> None:
    """Write a file, whole or not at all; one that is there is replaced.

    Raises:
        StoreError: it cannot be written.
    """
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_text(text, "utf-8")
        unfinished.replace(target)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise StoreError(f"{target} cannot be written: {error.strerror}") from error


def render_page(charts: Sequence[Chart], facts: Facts) -> str:
    """The page as text; the first chart is the one that it opens with."""
    parts = {
        "title": escape(facts.title),
        "subtitle": _subtitle(facts.rows),
        "facts": _facts(facts),
        "banner": "\n".join(_banner(one, facts) for one in facts.origins if one in _SIMULATED),
        "rows": "\n".join(_row(one, {chart.series for chart in charts}) for one in facts.rows),
        "data": _json([columns_of(chart) for chart in charts]),
        "css": _text("page.css"),
        "js": _text("page.js"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _text("page.html"))


def columns_of(chart: Chart) -> dict[str, Any]:
    """A chart as JSON columns, bit-exact: `t` holds steps, each `unit` microseconds long."""
    labels = labels_of(chart.bars)
    unit = max(1, int(np.gcd.reduce(labels))) if len(labels) else 1
    steps = np.diff(labels // unit, prepend=0)
    prices = {name[0]: [_short(one) for one in chart.bars[name]] for name in COLUMNS}
    return {
        "key": str(chart.series),
        "instrument": str(chart.series.instrument),
        "timeframe": str(chart.series.timeframe),
        "intraday": chart.series.timeframe.intraday,
        "currency": chart.currency,
        "unit": unit,
        "t": steps.tolist(),
        **prices,
        "events": _events(chart),
    }


def _short(number: float) -> float | int:
    """The same number, without the `.0` that JSON would spell."""
    return int(number) if number.is_integer() else number


def _events(chart: Chart) -> list[dict[str, Any]]:
    """Actions from the first bar on: `at` is the first row whose prices know of it."""
    dates = last_dates(chart.bars, chart.series)
    found: list[dict[str, Any]] = []
    for action in sorted(chart.actions):
        day, value = np.datetime64(action.ex_date), action.value
        if not len(dates) or day < dates[0]:
            continue
        at = int(np.searchsorted(dates, day))
        if action.kind is ActionKind.SPLIT:
            text = f"{value.numerator}:{value.denominator}"
            found.append({"at": at, "kind": "split", "text": text, "ratio": float(value)})
        elif at < len(dates):
            found.append({"at": at, "kind": _WORDS[action.kind], "text": f"{float(value):g}"})
    return found


def _json(value: object) -> str:
    """JSON that cannot end the script element that it stands in."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _subtitle(rows: Sequence[Row]) -> str:
    instruments = len({one.series.instrument for one in rows})
    counts = (
        (instruments, "instrument"),
        (len(rows), "series"),
        (sum(one.bars for one in rows), "bar"),
    )
    return ", ".join(
        f"{count:,} {word}{'s' * (count != 1 and word != 'series')}" for count, word in counts
    )


def _facts(facts: Facts) -> str:
    told = {
        "source": ", ".join(facts.origins) or _ABSENT,
        "market time": _instant(facts.market_at),
        "generated": _instant(facts.generated_at),
    }
    return "\n    ".join(
        f"<div><dt>{name}</dt><dd>{escape(text)}</dd></div>" for name, text in told.items()
    )


def _banner(origin: str, facts: Facts) -> str:
    """What such data is, and of which instruments where there are others beside them."""
    of = [str(one.series.instrument) for one in facts.rows if one.origin == origin]
    names = f"{', '.join(dict.fromkeys(of))}: " if of and len(facts.origins) > 1 else ""
    said = f"{escape(names)}{_SIMULATED[origin]}"
    return f'<p class="banner" role="note"><code>{origin}</code>&ensp;{said}</p>'


def _row(row: Row, drawn: set[Series]) -> str:
    name = escape(str(row.series))
    cells = (
        f'<a href="#{row.series.slug}">{name}</a>' if row.series in drawn else name,
        f"{row.bars:,}",
        _label(row.first, row.series),
        _label(row.last, row.series),
        _coverage(row.coverage),
        escape(row.provider) or _ABSENT,
        f"{row.requests:,}",
    )
    numbers = {1, 4, 6}
    marked = (f"<td{' class=n' * (at in numbers)}>{cell}</td>" for at, cell in enumerate(cells))
    return f"<tr>{''.join(marked)}</tr>"


def _coverage(share: float | None) -> str:
    if share is None:
        return _ABSENT
    meter = f'<meter min="0" max="1" low="{_COMPLETE}" optimum="1" value="{share:.4f}"></meter>'
    return f"{meter}{_percent(share)}"


def _percent(share: float) -> str:
    """Rounded down: what is not complete must not read 100 %."""
    return f"{int(share * 1000) / 10:.1f} %"


def _label(at: datetime | None, series: Series) -> str:
    if at is None:
        return _ABSENT
    return f"{at:%Y-%m-%d %H:%M}" if series.timeframe.intraday else f"{at:%Y-%m-%d}"


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
