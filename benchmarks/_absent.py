"""Defects of what is not there: bars left out, late, or most of a reply (see _defects).

Not here: bars that are there and wrong. Imports nothing of marketdata_pipeline.quality.
"""

from dataclasses import replace

import numpy as np
from _case import Case
from _defects import Injector, Scene


def missing_bars(scene: Scene) -> Case | None:
    """Twelve to thirty in a hundred bars that were not stored are left out here and there."""
    if not scene.subject.whole:
        return None
    scene = replace(scene, overlap=0)
    share = float(scene.dice.uniform(0.12, 0.3))
    kept = scene.dice.random(len(scene.asked)) >= share
    kept[[0, -1]] = True
    return scene.case("missing_bars", f"{share:.0%}", scene.asked[kept], None)


def long_gap(scene: Scene) -> Case | None:
    """Eight to thirty bars in a row are left out."""
    if not scene.subject.whole:
        return None
    scene = replace(scene, overlap=0)
    size = int(scene.dice.integers(8, 31))
    size = min(size, len(scene.asked) // 2)
    at = scene.place(size, 1)
    kept = np.ones(len(scene.asked), dtype=bool)
    kept[at : at + size] = False
    return scene.case("long_gap", f"{size} bars", scene.asked[kept], (at, at + size - 1))


def late(scene: Scene) -> Case | None:
    """The newest three to twenty bars are not there yet."""
    if not scene.subject.whole:
        return None
    size = min(int(scene.dice.integers(3, 21)), len(scene.asked) // 2)
    bars = scene.asked.iloc[:-size]
    last = len(scene.asked) - 1
    return scene.case("late", f"{size} bars", bars, (last - size + 1, last))


def shrunken(scene: Scene) -> Case:
    """The reply has two to forty in a hundred of the bars that are stored in its window."""
    whole = replace(scene, overlap=len(scene.asked))
    share = float(scene.dice.uniform(0.02, 0.4))
    count = max(1, int(share * len(scene.asked)))
    form = str(scene.dice.choice(["the newest", "the oldest", "some"]))
    rows = np.arange(len(scene.asked))
    if form == "the newest":
        rows = rows[-count:]
    elif form == "the oldest":
        rows = rows[:count]
    else:
        rows = np.sort(scene.dice.choice(rows, count, replace=False))
    return whole.case("shrunken", f"{form} {share:.0%}", scene.asked.iloc[rows], None)


EXTENT: tuple[Injector, ...] = (missing_bars, long_gap, late, shrunken)
