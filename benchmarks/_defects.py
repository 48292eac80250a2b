"""Defects of every kind, put into real bars: which bars, how, and where, from a seed.

Not here: what notices them. This imports nothing of marketdata_pipeline.quality, so that no defect
is made to fit a detector.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction

import numpy as np
import pandas as pd
from _case import Case
from _truth import Subject

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.bars import PRICES
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.sessions import DAY


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A stretch of a subject, cut into what is stored and what is asked; dice to spoil it.

    ``first`` is the position in ``bars`` from which on they are asked; ``overlap`` of them are
    stored too.
    """

    subject: Subject
    bars: pd.DataFrame
    first: int
    overlap: int
    dice: np.random.Generator
    subjects: Sequence[Subject]

    @property
    def asked(self) -> pd.DataFrame:
        """The true bars of the reply."""
        return self.bars.iloc[self.first :]

    @property
    def stored(self) -> pd.DataFrame:
        """The true bars that are stored."""
        return self.bars.iloc[: self.first + self.overlap]

    @property
    def noise(self) -> float:
        """How much a close usually moves from bar to bar: the mean absolute log change."""
        return float(np.abs(np.diff(np.log(self.bars["close"].to_numpy()))).mean())

    def chance(self, share: float) -> bool:
        """True in that share of cases."""
        return bool(self.dice.random() < share)

    def place(self, length: int = 1, margin: int = 2) -> int:
        """A position in ``asked`` with so many bars from it on, and some at either side."""
        return int(self.dice.integers(margin, len(self.asked) - length - margin + 1))

    def case(self, kind: str, how: str, bars: pd.DataFrame, where: tuple[int, int] | None) -> Case:
        """The case of a spoiled reply; ``where`` are positions in ``asked``, the last included."""
        step = self.subject.series.timeframe.length
        labels = self.asked.index
        end = labels[-1] + step
        return Case(
            kind=kind,
            how=how,
            series=self.subject.series,
            bars=bars,
            stored=self.stored,
            window=TimeRange(labels[0], end),
            where=None if where is None else TimeRange(labels[where[0]], labels[where[1]] + step),
            now=(end + timedelta(days=1)).to_pydatetime(),
            true=self.asked,
            right=self.subject.series,
            known=tuple(one for one in self.subject.actions if one.ex_date <= end.date()),
            currency=self.subject.currency,
            usual=self.subject.currency,
            origin=self.subject.name,
        )


_SOME = 6
_LEAST, _MOST = 120, 400
_STORED, _OVER = 0.75, 0.5
Injector = Callable[[Scene], Case | None]
"""Spoils a scene; None: that kind of defect does not exist there."""


def scene_of(subject: Subject, dice: np.random.Generator, subjects: Sequence[Subject]) -> Scene:
    """A stretch of 120 to 400 bars (sessions and a half intraday), a part of it asked."""
    least = min(_LEAST, max(len(subject.bars) * 3 // 4, 30))
    length = min(int(dice.integers(least, _MOST + 1)), len(subject.bars))
    start = int(dice.integers(0, len(subject.bars) - length + 1))
    bars = subject.bars.iloc[start : start + length]
    first = int(dice.integers(length // 4, length // 2)) if dice.random() < _STORED else 0
    overlap = int(dice.integers(5, 15)) if first and dice.random() < _OVER else 0
    return Scene(subject, bars, first, overlap, dice, subjects)


def times(bars: pd.DataFrame, rows: slice, factor: float, volume: float = 1.0) -> pd.DataFrame:
    """The bars with the prices of some rows multiplied, rounded to four decimals as quoted."""
    values = contract.values_of(bars).copy()
    values[:4, rows] = np.round(values[:4, rows] * factor, 6)
    values[4, rows] *= volume
    return contract.frame_on(bars.index, values)


def spoiled(bars: pd.DataFrame, row: int, **values: float) -> pd.DataFrame:
    """The bars with some values of one row replaced."""
    changed = contract.values_of(bars).copy()
    for name, value in values.items():
        changed[contract.COLUMNS.index(name), row] = value
    return contract.frame_on(bars.index, changed)


def _levels(scene: Scene, kind: str, factor: float) -> Case:
    bars = scene.asked
    form = str(scene.dice.choice(["one price", "one bar", "block", "from on", "up to", "all"]))
    length, last = len(bars), len(bars) - 1
    if form == "one price":
        at, name = scene.place(), str(scene.dice.choice(PRICES))
        value = float(bars[name].iloc[at]) * factor
        return scene.case(kind, f"one {name}", spoiled(bars, at, **{name: value}), (at, at))
    if form == "one bar":
        first = after = scene.place()
    elif form == "block":
        size = int(scene.dice.integers(2, min(30, length // 3)))
        first = scene.place(size)
        after = first + size - 1
    elif form == "from on":
        first, after = scene.place(3, 5), last
    elif form == "up to":
        first, after = 0, scene.place(3, 5)
    elif scene.first:
        first, after = 0, last
    else:  # nothing is stored: nobody can tell
        first, after = length // 2, last
    spoilt = times(bars, slice(first, after + 1), factor)
    return scene.case(kind, form, spoilt, (first, after))


def x100(scene: Scene) -> Case:
    """Prices a hundred times as high: pence for pounds."""
    return _levels(scene, "x100", 100.0)


def x001(scene: Scene) -> Case:
    """Prices a hundredth: pounds for pence."""
    return _levels(scene, "1/100", 0.01)


def split_like(scene: Scene) -> Case | None:
    """Bars divided by a split's ratio that no action tells, from a bar on or up to one."""
    if not scene.subject.series.instrument.asset_class.has_actions:
        return None
    ratio = float(scene.dice.choice([2, 3, 4, 5, 7, 10, 20, 1.5, 1 / 5, 1 / 10, 1 / 20]))
    volume = ratio if scene.chance(0.7) else 1.0
    bars, at = scene.asked, scene.place(1, 6)
    if scene.chance(0.5):
        spoilt = times(bars, slice(at, None), 1 / ratio, volume)
        return scene.case("split_like", f"from on {ratio:g}", spoilt, (at, len(bars) - 1))
    spoilt = times(bars, slice(0, at), ratio, 1 / volume)
    return scene.case("split_like", f"up to {ratio:g}", spoilt, (0, at))


def split_applied_wrongly(scene: Scene) -> Case | None:
    """A split that is known, while bars before it, or most of them, were not divided by it.

    Raw bars are un-split by known splits, so those are too high by the ratio.
    """
    if not scene.subject.series.instrument.asset_class.has_actions:
        return None
    ratio = Fraction(str(scene.dice.choice(["2", "3", "4", "5", "10", "20", "1/5", "1/10"])))
    at = scene.place(1, 8)
    action = Action(scene.asked.index[at].date(), ActionKind.SPLIT, ratio)
    if scene.subject.series.timeframe.intraday:  # a split takes effect with a session
        days = contract.labels_of(scene.asked) // DAY
        at = int(np.searchsorted(days, days[at]))
        if at < _SOME:
            return None
    true = times(scene.bars, slice(0, scene.first + at), float(ratio), 1 / float(ratio))
    scene = replace(scene, bars=true)
    short = int(scene.dice.integers(1, 4)) if scene.chance(0.3) else 0
    first = 0 if scene.chance(0.6) else int(scene.dice.integers(0, at - short))
    if short and first == at - short:
        short = 0
    spoilt = times(scene.asked, slice(first, at - short), float(ratio), 1 / float(ratio))
    made = scene.case("split_misapplied", f"{ratio}:1", spoilt, (first, at))
    return replace(made, known=tuple(sorted({*made.known, action})))


def spike(scene: Scene) -> Case:
    """One price, or a whole bar, far off, and back with the next bar.

    By half to three times, or, in what moves little, by 20 to 40 times its usual move.
    """
    bars, at = scene.asked, scene.place(1, 3)
    up = scene.chance(0.5)
    size = float(scene.dice.uniform(np.log(1.5), np.log(4)))
    small = scene.chance(0.4)
    if small:
        size = min(size, max(float(scene.dice.uniform(20, 40)) * scene.noise, 0.04))
    factor = float(np.exp(size if up else -size))
    row = bars.iloc[at]
    form = str(scene.dice.choice(["bar", "close", "wick"]))
    if form == "bar":
        spoilt = times(bars, slice(at, at + 1), factor)
    elif form == "close":
        close = float(row["close"]) * factor
        high, low = max(float(row["high"]), close), min(float(row["low"]), close)
        spoilt = spoiled(bars, at, close=close, high=high, low=low)
    elif up:
        spoilt = spoiled(bars, at, high=float(row["high"]) * factor)
    else:
        spoilt = spoiled(bars, at, low=float(row["low"]) * factor)
    return scene.case("spike", f"{form}{' small' if small else ''} x{factor:.2f}", spoilt, (at, at))


def flat_run(scene: Scene) -> Case:
    """Prices stand still for six to twenty bars."""
    bars, size = scene.asked, int(scene.dice.integers(6, 21))
    if scene.subject.series.timeframe.intraday:
        size += 8
    size = min(size, len(bars) // 2)
    at = scene.place(size, 1)
    values = contract.values_of(bars).copy()
    values[:4, at : at + size] = values[3, at]
    form = "volume kept" if scene.chance(0.5) else "no volume"
    if form == "no volume":
        values[4, at : at + size] = 0
    spoilt = contract.frame_on(bars.index, values)
    return scene.case("flat_run", form, spoilt, (at, at + size - 1))


def zero_volume(scene: Scene) -> Case | None:
    """Prices move, volume is nought for six to twenty bars."""
    if (scene.asked["volume"] == 0).mean() > 0.2:  # noqa: PLR2004 - FX has none
        return None
    bars, size = scene.asked, int(scene.dice.integers(6, 21))
    size = min(size, len(bars) // 2)
    at = scene.place(size, 1)
    values = contract.values_of(bars).copy()
    values[4, at : at + size] = 0
    spoilt = contract.frame_on(bars.index, values)
    return scene.case("zero_volume_run", f"{size} bars", spoilt, (at, at + size - 1))


def stale_repeat(scene: Scene) -> Case:
    """The newest bars are those before them again, volume and all."""
    bars, values = scene.asked, contract.values_of(scene.asked).copy()
    if scene.subject.series.timeframe.intraday:
        size = int(scene.dice.integers(5, 60))
    else:
        size = int(scene.dice.integers(1, 4))
    size = min(size, len(bars) // 2)
    values[:, -size:] = values[:, -2 * size : -size]
    spoilt = contract.frame_on(bars.index, values)
    return scene.case("stale_repeat", f"{size} bars", spoilt, (len(bars) - size, len(bars) - 1))


LEVELS: tuple[Injector, ...] = (x100, x001, split_like, split_applied_wrongly, spike)
RUNS: tuple[Injector, ...] = (flat_run, zero_volume, stale_repeat)
