"""From a reply's prices to traded ones: un-split, without the rows that break a hard rule.

Not here: the arithmetic (domain.actions) and storing (settle).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import pandas as pd

from marketdata_pipeline.domain import bars as contract
from marketdata_pipeline.domain.actions import Action, raw_from_split_adjusted, splits_of
from marketdata_pipeline.domain.bars import BadRow
from marketdata_pipeline.domain.calendars import Calendar, calendar_of
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.domain.reply import Basis, Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.sessions import DAY
from marketdata_pipeline.errors import MalformedReply

_TOLERATED_SHARE = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """What is to be stored of a reply: raw validated bars, and the rows that were dropped."""

    bars: pd.DataFrame
    dropped: tuple[BadRow, ...]


def to_raw(reply: Reply, known: Sequence[Action]) -> Settled:
    """The reply's bars as traded, without the rows that break a hard rule.

    ``known`` are all actions of the instrument from the window's start to the reply's market
    instant; only splits whose ex-date had begun then are taken out.

    Raises:
        MalformedReply: more than one row and more than 1 % of the rows break a hard rule.
    """
    bars = reply.bars
    if reply.basis is Basis.SPLIT_ADJUSTED:
        bars = raw_from_split_adjusted(bars, reply.series, splits_in_effect(reply, known))
    bad = _bad_rows(bars, reply)
    counted = [one for one in bad if one.rule != contract.CLOSURE]  # that is no fault of the reply
    if len(counted) > max(1, _TOLERATED_SHARE * len(bars)):
        raise MalformedReply(
            f"{reply.series}: {len(counted)} of {len(bars)} rows from {reply.provider} break a "
            f"hard rule (first {counted[0].rule} at {counted[0].ts:%Y-%m-%d %H:%M}); nothing was "
            "stored",
            provider=reply.provider,
            series=str(reply.series),
        )
    kept = bars[~bars.index.isin([row.ts for row in bad])] if bad else bars
    contract.check_shape(kept, reply.series)
    return Settled(kept, tuple(bad))


def _bad_rows(bars: pd.DataFrame, reply: Reply) -> list[BadRow]:
    """Rows that break a hard rule or that the reply itself contradicts, oldest first, each once."""
    found = {row.ts: row for row in reply.doubted}
    found |= {row.ts: row for row in contract.bad_rows(bars, reply.series, reply.market_at)}
    return [found[ts] for ts in sorted(found)]


def splits_in_effect(reply: Reply, known: Sequence[Action]) -> list[Action]:
    """The splits that the provider has divided by at the reply's market instant."""
    return in_effect(known, reply.series, reply.market_at)


def in_effect(known: Sequence[Action], series: Series, market_at: datetime) -> list[Action]:
    """The splits of an instrument that are in effect at a market instant.

    A split is in effect from the open of its first session on.
    """
    calendar = calendar_of(series.instrument)
    now = to_micros(market_at)
    return [one for one in splits_of(known) if _opening(calendar, one.ex_date) <= now]


def _opening(calendar: Calendar, ex_date: date) -> int:
    label = int(np.array([ex_date], dtype="datetime64[us]").astype(np.int64)[0])
    session = calendar.days(label, label + DAY)
    return int(session.open[0]) if len(session.open) else label
