"""What is known beside bars, as plain rows: instruments, providers, scores, actions.

Not here: bars, and where the rows go (a JSON file of an export, a table of a query).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from statistics import fmean
from typing import Any

import numpy as np

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.domain.verdict import Verdict
from marketdata_pipeline.reading.export.extract import Extract, spelled
from marketdata_pipeline.store.catalog import Facts

Row = dict[str, Any]


def symbol_row(instrument: Instrument, facts: Facts, timeframes: Iterable[Timeframe]) -> Row:
    """What is known of an instrument."""
    first = facts.first_trade
    return {
        "instrument": str(instrument),
        "asset_class": str(facts.asset_class or instrument.asset_class),
        "calendar": instrument.venue.calendar,
        "zone": instrument.venue.zone,
        "currency": facts.currency,
        "first_trade": None if first is None else first.isoformat(),
        "timeframes": [str(one) for one in timeframes],
    }


def action_rows(instrument: Instrument, actions: Iterable[Action]) -> Iterator[Row]:
    """An instrument's actions, oldest first; ``ratio`` is a split's, exact (``4:1``)."""
    for one in actions:
        split = one.kind is ActionKind.SPLIT
        yield {
            "instrument": str(instrument),
            "ex_date": one.ex_date.isoformat(),
            "kind": one.kind.value,
            "value": float(one.value),
            "ratio": f"{one.value.numerator}:{one.value.denominator}" if split else None,
        }


def score_row(series: Series, verdicts: Mapping[str, Verdict]) -> Row:
    """A series' score on each rule, 0 to 1, and their mean; None where it was never judged."""
    rules = {
        rule: {"score": one.score, "passed": one.passed, "detail": one.detail}
        for rule, one in sorted(verdicts.items())
    }
    mean = fmean(one.score for one in verdicts.values()) if verdicts else None
    return {"series": str(series), "mean": mean, "rules": rules}


@dataclass(slots=True)
class _Share:
    """What came from one provider: how many series and bars, and when it was fetched."""

    first: datetime
    last: datetime
    series: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Providers:
    """Adds up which bars came from whom."""

    _shares: dict[tuple[str, str], _Share] = field(default_factory=dict)

    def add(self, extract: Extract) -> None:
        """Count a series' bars."""
        ids, counts = np.unique(extract.fetch_id, return_counts=True)
        met = set()
        for one, count in zip(ids.tolist(), counts.tolist(), strict=True):
            source = extract.sources[one]
            key, at = (source.provider, source.origin), source.fetched_at
            share = self._shares.setdefault(key, _Share(at, at))
            share.first, share.last = min(share.first, at), max(share.last, at)
            share.rows += count
            met.add(key)
        for key in met:
            self._shares[key].series += 1

    def rows(self) -> list[Row]:
        """One for each provider and origin, with its series, bars and span of fetches."""
        return [
            {
                "provider": provider,
                "origin": origin,
                "series": share.series,
                "rows": share.rows,
                "first_fetch": spelled(share.first),
                "last_fetch": spelled(share.last),
            }
            for (provider, origin), share in sorted(self._shares.items())
        ]
