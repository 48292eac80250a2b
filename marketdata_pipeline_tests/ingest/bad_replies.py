"""Bad replies of every kind, as changes of a good one, and errors in the place of any.

Not here: what becomes of them (test_bad_replies), and those of the wire (simulator).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from functools import partial

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.bars import PRICES, BadRow, frame, labels_of, values_of
from marketdata_pipeline.domain.reply import Basis, Reply
from marketdata_pipeline.errors import (
    Blocked,
    CircuitOpen,
    CredentialsRefused,
    MalformedReply,
    ProviderError,
    ProviderTimeout,
    RateLimited,
    Unavailable,
    UnknownSymbol,
)
from marketdata_pipeline_tests.ingest.world import FRIDAY_CLOSE

Change = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]
COPIES = (1, 2, 5)
"""Rows that a fault of single rows befalls."""
FACTORS = (100, 1 / 100, 10, 1 / 10, 2, 1 / 2, 3, 4, 1 / 4, 1 / 20, 1.5, 2 / 3, 1.25, 0.85, 1000)
CURRENCIES = ("GBp", "GBP", "EUR", "usd", "JPY", "")


@dataclass(frozen=True, slots=True)
class Bad:
    """A fault: the stage that it is caught at, its name, and what it makes of a good reply."""

    stage: str
    name: str
    of: Callable[[Reply], Reply]

    def __str__(self) -> str:
        return f"{self.stage}:{self.name}"


def transport() -> dict[str, ProviderError]:
    """What a provider raises that has no reply."""
    later = FRIDAY_CLOSE + timedelta(hours=1)
    return {
        "down": Unavailable("no answer", provider="truth"),
        "late": ProviderTimeout("no whole reply", provider="truth"),
        "page": Blocked("a page for people", provider="truth"),
        "limit": RateLimited("429", retry_at=later, provider="truth"),
        "open": CircuitOpen("it failed too often", retry_at=later, provider="truth"),
        "key": CredentialsRefused("the key is refused", provider="truth"),
        "unheard": UnknownSymbol("nobody knows it", provider="truth"),
        "cut": MalformedReply("the reply was cut short", provider="truth"),
    }


def every() -> list[Bad]:
    """More than 120 bad replies: each fault in several sizes."""
    return [*_hard(), *_levels(), *_words(), *_other_series(), *_shrunken(), *_dividends()]


def _hard() -> Iterator[Bad]:
    rules: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
        "nan": lambda row: np.array([*row[:3], np.nan, row[4]]),
        "infinite": lambda row: np.array([row[0], np.inf, *row[2:]]),
        "zero": lambda row: np.array([*row[:2], 0.0, *row[3:]]),
        "negative": lambda row: np.array([*-row[:4], row[4]]),
        "high_below_low": lambda row: np.array([row[0], row[2] / 2, *row[2:]]),
        "close_outside": lambda row: np.array([*row[:3], row[1] * 1.2, row[4]]),
        "volume": lambda row: np.array([*row[:4], -1.0]),
    }
    for name, rule in rules.items():
        for count in COPIES:
            yield Bad("hard", f"{name}-{count}", partial(_rows, rule=rule, count=count))
    for count in COPIES:
        yield Bad("hard", f"off_grid-{count}", partial(_off_grid, count=count))
        yield Bad("hard", f"doubted-{count}", partial(_doubted, count=count))


def _levels() -> Iterator[Bad]:
    for factor in FACTORS:
        yield Bad("gate", f"times-{factor:.4g}", partial(_times, factor=factor))
        yield Bad("gate", f"no_news-times-{factor:.4g}", partial(_times, factor=factor, old=True))


def _words() -> Iterator[Bad]:
    for currency in CURRENCIES:
        yield Bad("gate", f"currency-{currency}", partial(_said, currency=currency))
        yield Bad("gate", f"{currency}-times-100", partial(_said, currency=currency, factor=100))


def _other_series() -> Iterator[Bad]:
    for seed in range(20):
        yield Bad("gate", f"other-{seed}", partial(_other, seed=seed))
    for seed in range(10):
        yield Bad("gate", f"shuffled-{seed}", partial(_shuffled, seed=seed))


def _shrunken() -> Iterator[Bad]:
    for kept in (1, 2, 3, 4, 5):
        yield Bad("gate", f"last-{kept}", partial(_last, kept=kept))


def _dividends() -> Iterator[Bad]:
    for cash in (-1, 0, 95, 150, 500, 10_000):
        for day in (date(2024, 3, 5), date(2024, 3, 13)):
            yield Bad("gate", f"dividend-{cash}-{day}", partial(_paid, cash=cash, day=day))


def _with(reply: Reply, bars: pd.DataFrame) -> Reply:
    return replace(reply, bars=bars, basis=Basis.RAW)


def _rows(reply: Reply, *, rule: Callable[[np.ndarray], np.ndarray], count: int) -> Reply:
    values = values_of(reply.bars).copy()
    for at in np.linspace(0, values.shape[1] - 1, count).astype(int):
        values[:, at] = rule(values[:, at])
    return _with(reply, _framed(labels_of(reply.bars), values))


def _framed(labels: np.ndarray, values: np.ndarray) -> pd.DataFrame:
    return frame(labels, dict(zip((*PRICES, "volume"), values, strict=True)))


def _off_grid(reply: Reply, *, count: int) -> Reply:
    labels = labels_of(reply.bars).copy()
    labels[np.linspace(0, len(labels) - 1, count).astype(int)] += 77_000_000
    return _with(reply, _framed(labels, values_of(reply.bars)))


def _doubted(reply: Reply, *, count: int) -> Reply:
    at = np.linspace(0, len(reply.bars) - 1, count).astype(int)
    rows = tuple(BadRow(reply.bars.index[one].to_pydatetime(), "unit") for one in at)
    return replace(reply, doubted=rows)


def _times(reply: Reply, *, factor: float, old: bool = False) -> Reply:
    bars = reply.bars.loc[:"2024-03-08"] if old else reply.bars
    changed = {name: (bars[name] * factor).round(4) for name in PRICES}
    return _with(reply, bars.assign(**changed))


def _said(reply: Reply, *, currency: str, factor: float = 1.0) -> Reply:
    return replace(_times(reply, factor=factor), currency=currency)


def _other(reply: Reply, *, seed: int) -> Reply:
    """Another walk from about where this one is: a share of the same price."""
    dice = np.random.default_rng(1000 + seed)
    steps = np.exp(np.cumsum(dice.normal(0, 0.03, len(reply.bars))) + dice.normal(0, 0.3))
    changed = {name: (reply.bars[name] * steps).round(2) for name in PRICES}
    return _with(reply, reply.bars.assign(**changed))


def _shuffled(reply: Reply, *, seed: int) -> Reply:
    """The right bars under the wrong labels."""
    order = np.random.default_rng(seed).permutation(len(reply.bars))
    spread = np.linspace(0.8, 1.3, len(reply.bars))
    changed = {name: (reply.bars[name].to_numpy() * spread)[order].round(2) for name in PRICES}
    return _with(reply, reply.bars.assign(**changed))


def _last(reply: Reply, *, kept: int) -> Reply:
    """The window as asked, and next to nothing in it, of which half was traded."""
    few = reply.bars.tail(kept)
    return _with(reply, few.assign(volume=(few["volume"] / 2).round()))


def _paid(reply: Reply, *, cash: int, day: date) -> Reply:
    return replace(reply, actions=(Action(day, ActionKind.DIVIDEND, Fraction(cash)),))
