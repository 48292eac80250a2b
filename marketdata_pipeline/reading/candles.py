"""A picture of the newest bars as one small SVG: candles, volume, axes.

Not here: the interactive page (page), and where bars come from.
"""

import math
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.bars import COLUMNS, labels_of
from marketdata_pipeline.domain.ranges import TimeRange, to_micros

# Blue and orange are told apart by nearly everybody (Okabe and Ito, "Color Universal Design",
# 2008); these shades, and the grey, are readable on white as well as on black.
UP: Final = "#2f8fdd"
DOWN: Final = "#e0702a"
GREY: Final = "#80868e"
_SCALE: Final = 2
"""Units a pixel: whole numbers are then exact to half a pixel, and shorter than decimals."""
_FONT: Final = 11 * _SCALE
_LETTER: Final = 6.2 * _SCALE
_TOP: Final = 30 * _SCALE
_BOTTOM: Final = 24 * _SCALE
_SIDE: Final = 8 * _SCALE
_VOLUME_SHARE: Final = 0.2
_MARK_ROOM: Final = 64
"""Pixels that a date's label needs."""
_LONGEST_TITLE: Final = 80
_EMPTY: Final = 72
"""Pixels that a picture without bars is high."""
_MINUTE: Final = 60_000_000
_TINY: Final = 1e-9


def data_uri(svg: str) -> str:
    """The picture as an address that needs no file: 4/3 of its length."""
    return "data:image/svg+xml;base64," + b64encode(svg.encode()).decode("ascii")


def candles_svg(
    bars: pd.DataFrame,
    *,
    title: str,
    width: int = 640,
    height: int = 240,
    most: int = 120,
    marks: Sequence[TimeRange] = (),
) -> str:
    """The last `most` bars as a self-contained SVG; the time between sessions takes no room.

    120 bars stay below 10 kB as a data URI. It has no background of its own, so that it suits a
    light page and a dark one. Times are UTC.

    Args:
        bars: a frame shaped as `domain.bars` says; an empty one gives a picture that says so.
        title: text at the top left.
        width: pixels.
        height: pixels.
        most: bars to show.
        marks: label ranges to be marked; where no bar is in one, the place between two bars.
    """
    shown = bars[list(COLUMNS)].tail(most)
    height = height if len(shown) else _EMPTY
    name = title if len(title) <= _LONGEST_TITLE else title[: _LONGEST_TITLE - 1] + "…"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width * _SCALE} {height * _SCALE}" role="img" '
        f'font-family="system-ui,sans-serif" font-size="{_FONT}" fill="{GREY}">'
        f"<title>{escape(name)}: {_summary(shown)}</title>"
        f'<text x="{_SIDE}" y="{_SIDE + _FONT}" font-weight="600">{escape(name)}</text>'
    )
    if shown.empty:
        middle = f'x="{width * _SCALE // 2}" y="{height * _SCALE // 2}"'
        return f'{head}<text {middle} text-anchor="middle">no bars</text></svg>'
    drawing = _Drawing.of(shown, width * _SCALE, height * _SCALE)
    return f"{head}{drawing.marked(marks)}{''.join(drawing.parts())}</svg>"


def _summary(bars: pd.DataFrame) -> str:
    if bars.empty:
        return "no bars"
    first, last = bars.index[0], bars.index[-1]
    if len(bars) == 1:
        return f"1 bar, {first:%Y-%m-%d}"
    return f"{len(bars)} bars, {first:%Y-%m-%d} to {last:%Y-%m-%d}"


@dataclass(frozen=True, slots=True, eq=False)
class _Drawing:
    """Bars and the rectangles that they are drawn in; all lengths in units."""

    values: np.ndarray
    labels: np.ndarray
    ticks: list[float]
    right: float
    bottom: float
    floor: float

    @classmethod
    def of(cls, bars: pd.DataFrame, width: int, height: int) -> "_Drawing":
        values = bars.to_numpy()
        low, high = float(values[:, 2].min()), float(values[:, 1].max())
        ticks = price_ticks(low, high, max(2, height // (45 * _SCALE)))
        room = max(len(one) for one in spell_prices(ticks)) * _LETTER
        bottom = float(height - _BOTTOM)
        has_volume = bool(values[:, 4].max() > 0)
        floor = bottom - has_volume * _VOLUME_SHARE * (bottom - _TOP)
        return cls(values, labels_of(bars), ticks, width - room - 2 * _SIDE, bottom, floor)

    @property
    def step(self) -> float:
        return (self.right - _SIDE) / len(self.values)

    def x(self, row: int) -> int:
        return round(_SIDE + (row + 0.5) * self.step)

    def y(self, price: float) -> int:
        low, high = float(self.values[:, 2].min()), float(self.values[:, 1].max())
        pad = (high - low) * 0.04 or abs(high) * 0.01 or 1.0
        part = (price - low + pad) / (high - low + 2 * pad)
        return round(self.floor - part * (self.floor - _TOP))

    def marked(self, ranges: Sequence[TimeRange]) -> str:
        """A band behind the bars of each range."""
        edges = [(to_micros(one.start), to_micros(one.end)) for one in ranges]
        rows = [np.searchsorted(self.labels, ends).tolist() for ends in edges]
        bands = []
        for first, after in rows:
            if after == 0 or first == len(self.labels):
                continue
            left, right = self.x(first) - self.step / 2, self.x(after - 1) + self.step / 2
            wide = max(right - left, 2.0 * _SCALE)
            bands.append(f"M{left:.0f} {_TOP}h{wide:.0f}V{self.bottom:.0f}h-{wide:.0f}z")
        return f'<path d="{"".join(bands)}" fill="{DOWN}" fill-opacity=".28"/>' if bands else ""

    def parts(self) -> list[str]:
        return [*self._prices(), *self._dates(), self._volume(), *self._candles(), self._last()]

    def _prices(self) -> list[str]:
        lines = "".join(f"M{_SIDE} {self.y(one)}H{self.right:.0f}" for one in self.ticks)
        x = round(self.right + _SIDE)
        return [
            f'<path d="{lines}" stroke="{GREY}" stroke-opacity=".25"/>',
            *(
                f'<text x="{x}" y="{self.y(one) + _FONT // 3}">{text}</text>'
                for one, text in zip(self.ticks, spell_prices(self.ticks), strict=True)
            ),
        ]

    def _dates(self) -> list[str]:
        y = round(self.bottom + _FONT + _SIDE / 2)
        most = max(2, round((self.right - _SIDE) / _SCALE / _MARK_ROOM))
        least, last = _SIDE + 3 * _LETTER, self.right - 3 * _LETTER
        return [
            f'<text x="{min(max(self.x(row), least), last):.0f}" y="{y}" '
            f'text-anchor="middle">{text}</text>'
            for row, text in date_marks(self.labels, most)
        ]

    def _volume(self) -> str:
        volume, most = self.values[:, 4], float(self.values[:, 4].max())
        tall = (self.bottom - self.floor) * 0.85
        rows = [(row, round(one / most * tall)) for row, one in enumerate(volume) if most > 0]
        lines = "".join(f"M{self.x(row)} {self.bottom:.0f}v-{tall}" for row, tall in rows if tall)
        return f'<path d="{lines}" stroke="{GREY}" stroke-opacity=".5" {self._body()}/>'

    def _candles(self) -> list[str]:
        up = self.values[:, 3] >= self.values[:, 0]
        return [
            f'<path d="{self._wicks(mask)}" stroke="{colour}" stroke-width="{_SCALE}"/>'
            f'<path d="{self._bodies(mask)}" stroke="{colour}" {self._body()}/>'
            for mask, colour in ((up, UP), (~up, DOWN))
            if mask.any()
        ]

    def _body(self) -> str:
        return f'stroke-width="{max(1, min(round(self.step * 0.68), 14 * _SCALE))}"'

    def _wicks(self, mask: np.ndarray) -> str:
        return "".join(
            f"M{self.x(row)} {self.y(self.values[row, 1])}V{self.y(self.values[row, 2])}"
            for row in np.flatnonzero(mask).tolist()
        )

    def _bodies(self, mask: np.ndarray) -> str:
        """Thick strokes; one that opened and closed at the same price is a dash."""
        parts = []
        for row in np.flatnonzero(mask).tolist():
            ends = self.y(self.values[row, 0]), self.y(self.values[row, 3])
            parts.append(f"M{self.x(row)} {min(ends)}v{max(_SCALE, abs(ends[1] - ends[0]))}")
        return "".join(parts)

    def _last(self) -> str:
        """At the top right the newest close, and what came of the first bar's open."""
        digits = _digits(self.ticks) + 2
        close, opened = float(self.values[-1, 3]), float(self.values[0, 0])
        change = (close / opened - 1) * 100
        count = f"{len(self.values)} bars" if len(self.values) > 1 else "1 bar"
        return (
            f'<text x="{self.right:.0f}" y="{_SIDE + _FONT}" text-anchor="end">close '
            f"{_trim(f'{close:,.{digits}f}')} ({change:+.1f} % over {count})</text>"
        )


def price_ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` + 1 round prices (1, 2 or 5 times a power of ten apart) in [low, high]."""
    reach = (high - low) or abs(high) * 0.02 or 1.0
    rough = reach / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(n * power for n in (1, 2, 5, 10) if n * power >= rough * (1 - _TINY))
    first = math.ceil(low / step - _TINY)
    last = math.floor(high / step + _TINY)
    return [n * step for n in range(first, last + 1)] or [low]


def spell_prices(ticks: Sequence[float]) -> list[str]:
    """All with the same number of digits, as many as tell them apart."""
    return [f"{one:,.{_digits(ticks)}f}" for one in ticks]


def _digits(ticks: Sequence[float]) -> int:
    step = min((b - a for a, b in pairwise(ticks)), default=abs(ticks[0]) / 100)
    return max(0, min(10, -math.floor(math.log10(step or 1.0) + _TINY)))


def _trim(number: str) -> str:
    whole, dot, digits = number.partition(".")
    kept = digits.rstrip("0")
    return f"{whole}{dot}{kept.ljust(2, '0')}" if dot else whole


def date_marks(labels: np.ndarray, most: int) -> list[tuple[int, str]]:
    """Rows at which a new period starts, with its label: the shortest period of few enough rows.

    Args:
        labels: microseconds since 1970-01-01T00:00Z, sorted.
        most: marks that there is room for.
    """
    index = pd.DatetimeIndex(labels.astype("datetime64[us]"))
    months = index.year.to_numpy() * 12 + index.month.to_numpy() - 1
    days = labels // (1440 * _MINUTE)
    intraday = bool((labels % (1440 * _MINUTE)).any())
    periods = [
        *([(labels // (n * _MINUTE), "%H:%M") for n in (15, 60)] if intraday else []),
        (days, "%-d %b"),
        ((days + 3) // 7, "%-d %b"),
        *((months // n, "%b") for n in (1, 3)),
        *((months // (12 * n), "%Y") for n in (1, 2, 5, 10, 50)),
    ]
    for period, form in periods:
        rows = (np.flatnonzero(np.diff(period)) + 1).tolist()
        if 2 <= len(rows) <= most:  # noqa: PLR2004 - one mark alone gives no scale
            return [(row, _spell(index[row], form, int(months[row]))) for row in rows]
    form = "%-d %b %H:%M" if intraday else "%-d %b %Y"
    rows = np.unique(np.linspace(0, len(labels) - 1, min(3, most)).round().astype(int)).tolist()
    return [(row, index[row].strftime(form)) for row in rows]


def _spell(at: pd.Timestamp, form: str, month: int) -> str:
    """As the form says, but January by its year."""
    return at.strftime("%Y" if form == "%b" and month % 12 == 0 else form)
