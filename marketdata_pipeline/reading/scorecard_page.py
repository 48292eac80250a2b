"""The scorecard as one self-contained HTML page: scores, completeness, the worst with candles.

Not here: what is in it (quality), drawing candles and bars (candles, bars_picture), and the
interactive page of bars (page). The look is in scorecard.css beside this module.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib.resources import files
from pathlib import Path

import pandas as pd

from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.report import Report
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.reading.bars_picture import scores_svg
from marketdata_pipeline.reading.candles import candles_svg
from marketdata_pipeline.reading.page import replace_file
from marketdata_pipeline.reading.quality import Graded, Scorecard

SHOWN = 90
"""Candles of a picture."""
_LISTED = 12
_ALL_VALID = "<p>Every series is valid.</p>"
_LOW = 0.9
"""Of the least completeness; below that a cell is of the colour that warns."""


@dataclass(frozen=True, slots=True, eq=False)
class Pictured:
    """A bad series with some raw bars around what is odd, and its report where there is one."""

    graded: Graded
    bars: pd.DataFrame
    report: Report | None


@dataclass(frozen=True, slots=True)
class Told:
    """What the page says of itself: which home, and the wall instant of writing."""

    home: str
    generated_at: datetime


def write_scorecard(target: Path, card: Scorecard, worst: Sequence[Pictured], told: Told) -> None:
    """Write the page, whole or not at all; a page that is there is replaced.

    Raises:
        StoreError: the file cannot be written.
    """
    replace_file(target, render_scorecard(card, worst, told))


def render_scorecard(card: Scorecard, worst: Sequence[Pictured], told: Told) -> str:
    """The page as text; it names no address outside of itself."""
    css = files(__package__).joinpath("scorecard.css").read_text("utf-8")
    return "\n".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>Quality of {escape(told.home)}</title><style>{css}</style></head><body>",
            _head(card, told),
            _figures(card),
            _section("Scores", scores_svg(card.spread, title="series by score")),
            _section("Completeness by class and timeframe", _heat_map(card)),
            _section("Rules", _rules(card)),
            _section(
                "Worst series", "".join(map(_pictured, worst)) or "<p>Every series is valid.</p>"
            ),
            "</body></html>\n",
        )
    )


def _section(title: str, body: str) -> str:
    return f'<section class="card"><h2>{escape(title)}</h2>{body}</section>'


def _head(card: Scorecard, told: Told) -> str:
    return (
        f"<header><h1>Quality of what is stored</h1><p class=quiet>{escape(told.home)}<br>"
        f"market time {card.market_now:%Y-%m-%d %H:%M} UTC, "
        f"written {told.generated_at:%Y-%m-%d %H:%M} UTC</p></header>"
    )


def _figures(card: Scorecard) -> str:
    lowest = f"{card.scores[0]:.4f}" if card.scores else "-"
    told = {
        "series": f"{len(card.graded):,}",
        "judged": f"{len(card.scores):,}",
        "valid": f"{card.valid:,}",
        "mean score": f"{card.mean:.4f}",
        "lowest score": lowest,
    }
    cells = "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in told.items())
    return f"<dl class=figures>{cells}</dl>"


def _heat_map(card: Scorecard) -> str:
    found = card.completeness()
    if not found:
        return "<p>Nothing was judged yet.</p>"
    frames = [one for one in Timeframe if any(frame is one for _, frame in found)]
    kinds = [one for one in AssetClass if any(kind is one for kind, _ in found)]
    head = "".join(f"<th>{frame}</th>" for frame in frames)
    least = card.least_complete
    rows = "".join(
        f"<tr><th>{kind}</th>{''.join(_heat(found, kind, one, least) for one in frames)}</tr>"
        for kind in kinds
    )
    return f'<table class="heat"><tr><th></th>{head}</tr>{rows}</table>'


def _heat(
    found: Mapping[tuple[AssetClass, Timeframe], tuple[float, int]],
    kind: AssetClass,
    frame: Timeframe,
    least: float,
) -> str:
    if (kind, frame) not in found:
        return "<td></td>"
    share, series = found[kind, frame]
    hue = "full" if share >= least else "low" if share < _LOW * least else "part"
    strength = 20 + round(60 * min(1.0, (1 - share) * 5))
    return (
        f'<td class="{hue}" style="--strength:{strength}%">{int(share * 1000) / 10:.1f} %'
        f"<small>{series:,} series</small></td>"
    )


def _rules(card: Scorecard) -> str:
    rows = []
    for name, found in card.rules().items():
        if not found.series:
            continue
        spread = found.failing and found.series > 1  # of one series the numbers say all
        picture = scores_svg(found.spread, title="series by score") if spread else ""
        rows.append(
            f"<tr><td>{name}</td><td class=n>{found.series:,}</td>"
            f"<td class=n>{found.failing:,}</td><td class=n>{found.mean:.4f}</td>"
            f"<td class=n>{found.lowest:.4f}</td><td>{picture}</td></tr>"
        )
    head = "".join(
        f"<th>{one}</th>" for one in ("rule", "series", "fail", "mean", "lowest", "scores")
    )
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _pictured(one: Pictured) -> str:
    graded = one.graded
    marks = [] if one.report is None else marks_of(one.report)
    svg = candles_svg(
        one.bars, title=f"{graded.series}, as traded", width=860, height=280, most=SHOWN,
        marks=marks,
    )  # fmt: skip
    failing = "".join(
        f"<li><b>{name}</b> {graded.verdicts[name].score:.3f} "
        f"{escape(graded.verdicts[name].detail)}</li>"
        for name in graded.failing
    )
    found = () if one.report is None else one.report.findings
    listed = "".join(f"<li>{one.rule}: {escape(one.detail)}</li>" for one in found[:_LISTED])
    more = f"<li>and {len(found) - _LISTED} more</li>" if len(found) > _LISTED else ""
    count = "1 finding" if len(found) == 1 else f"{len(found):,} findings"
    findings = f"<details><summary>{count}</summary><ul>{listed}{more}</ul></details>"
    return (
        f"<article><h3>{escape(str(graded.series))} <small>score {graded.score or 0:.4f}, "
        f"{graded.rows:,} bars</small></h3><ul>{failing}</ul>{svg}{findings if found else ''}"
        "</article>"
    )


def marks_of(report: Report) -> list[TimeRange]:
    """What is marked on the candles: findings, and gaps."""
    return [*(one.within for one in report.findings), *report.gaps]
