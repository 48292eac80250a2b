"""Rounds in which everybody does the same work by turns, and comes to the same bars.

Not here: who takes part (_subjects), and what the figures have to be (store).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import pandas as pd
from _arctic import digest
from _crowd import BARS, series
from _subjects import Given, Subject, Work
from _walk import days

from marketdata_pipeline.domain.series import Series

NEWEST = 500
"""Bars that a chart begins with."""
KEPT = "as kept"


class Step(Enum):
    """The work of a round, in its order: how it is shown, what it is, how often it is repeated."""

    WRITE = ("write a year", Work.WRITE, 1)
    READ = ("read a year", Work.READ, 5)
    TAIL = ("last 500 bars", Work.TAIL, 15)
    APPEND = ("append a day", Work.APPEND, 1)
    LATER = ("last 500 bars, a day later", Work.TAIL, 15)
    MANY = ("60 days of each of many series", Work.EACH, 1)

    def __init__(self, title: str, work: Work, repeat: int) -> None:
        self.title = title
        self.work = work
        self.repeat = repeat


_READS = (Step.READ, Step.TAIL)
Seconds = Mapping[tuple[Step, str], Sequence[float]]
"""What each step took whom, in each round the best of its repetitions."""


@dataclass
class Contest:
    """A year of bars, who keeps it, and what that took so far.

    Attributes:
        year: what everybody writes anew in each round.
        day: the session after it, appended in each round.
        many: how many small series everybody has besides.
        keepers: those who do all of it.
        readers: those who only read what a keeper wrote.
        kept: stores with the year as series ``K|1m``, written before by a fetch a day.
    """

    year: pd.DataFrame
    day: pd.DataFrame
    many: int
    keepers: Sequence[Subject]
    readers: Sequence[Subject]
    kept: Sequence[Subject]
    seconds: dict[tuple[Step, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def prepare(self) -> None:
        """Give every keeper the many small series."""
        for number in range(self.many):
            for one in self.keepers:
                one.ask(Work.WRITE, [series(number)], days(BARS, number), 1)

    def round(self, number: int) -> None:
        """All steps; who begins, and which way round it goes, changes with the number."""
        own = [Series.parse(f"Y{number}|1m")]
        expected = self._expected()
        for step in Step:
            for subject, asked in _turned([*self._lineup(step, own)], number):
                took = subject.ask(step.work, asked, self._given(step), step.repeat)
                told, right = np.array(took.digests), np.array(expected.get(step, ()))
                if len(told) and not np.allclose(told, right, rtol=0, atol=0.01):
                    raise RuntimeError(f"{step.title}: {subject.name} has other bars")
                self.seconds[step, subject.name].append(min(took.seconds))

    def _lineup(
        self, step: Step, own: Sequence[Series]
    ) -> Iterator[tuple[Subject, Sequence[Series]]]:
        many = [series(number) for number in range(self.many)]
        yield from ((one, many if step is Step.MANY else own) for one in self.keepers)
        if step is Step.READ:
            yield from ((one, own) for one in self.readers)
        if step in _READS:
            yield from ((one, [Series.parse("K|1m")]) for one in self.kept)

    def _given(self, step: Step) -> Given:
        frames = {Step.WRITE: self.year, Step.APPEND: self.day}
        return NEWEST if step.work is Work.TAIL else frames.get(step)

    def _expected(self) -> Mapping[Step, Sequence[Sequence[float]]]:
        later = pd.concat([self.year, self.day])
        return {
            Step.READ: [digest(self.year)],
            Step.TAIL: [digest(self.year.tail(NEWEST))],
            Step.LATER: [digest(later.tail(NEWEST))],
            Step.MANY: [digest(days(BARS, number)) for number in range(self.many)],
        }


def _turned(
    some: list[tuple[Subject, Sequence[Series]]], number: int
) -> list[tuple[Subject, Sequence[Series]]]:
    first = number % len(some)
    turned = some[first:] + some[:first]
    return turned[::-1] if number % 2 else turned
