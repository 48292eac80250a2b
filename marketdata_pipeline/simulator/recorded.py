"""The recorded history: real daily bars from PyPI's bokeh-sampledata, actions derived from them.

Not here: intraday bars; no package on PyPI ships any of stocks.
The rows are public domain: AAPL, MSFT and IBM from 2000-03-01, GOOG from 2004 (today's GOOGL), FB
from 2012 (today's META), all to 2013-03-01, as traded, with adjusted closes but no list of events.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

import numpy as np

from marketdata_pipeline.domain import bars
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, from_micros
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.history import FrameHistory, Listing

NASDAQ, NYSE = ("NMS", "NasdaqGS"), ("NYQ", "NYSE")
SERVED = {
    "AAPL": ("AAPL", "Apple Inc.", NASDAQ),
    "MSFT": ("MSFT", "Microsoft Corporation", NASDAQ),
    "IBM": ("IBM", "International Business Machines Corporation", NYSE),
    "GOOG": ("GOOGL", "Alphabet Inc.", NASDAQ),
    "FB": ("META", "Meta Platforms, Inc.", NASDAQ),
}
"""The sample set's name of a stock: today's spelling, name, exchange."""
LEAD = timedelta(days=14)
"""How long before the end of the bars a replay starts, so that each day brings something new."""
_NOISE = 1e-6
_SPLIT_MATCH = 0.25
_SAME_PAYMENT = 0.05


def recorded_history() -> FrameHistory:
    """The five stocks.

    Raises:
        BadInput: bokeh-sampledata is not installed.
    """
    try:
        from bokeh_sampledata import stocks
    except ImportError as error:
        raise BadInput(
            "the recorded bars are not installed; install the demo extra: "
            "pip install 'marketdata-pipeline[demo]'"
        ) from error
    return FrameHistory.of("recorded", [_listing(one, getattr(stocks, one)) for one in SERVED])


def replay_start(history: FrameHistory) -> datetime:
    """The market instant at which a new replay begins: two weeks before the last session's close.

    Raises:
        BadInput: a history without daily bars.
    """
    lasts = [
        (frame.index[-1].to_pydatetime(), instrument)
        for instrument, listing in sorted(history.listings.items())
        if (frame := listing.bars.get(Timeframe.D1)) is not None and len(frame)
    ]
    if not lasts:
        raise BadInput(f"the history '{history.name}' has no daily bars to replay")
    last, instrument = max(lasts)
    session = TimeRange(last, last + timedelta(days=1))
    closes = calendar_of(instrument).grid(Timeframe.D1, session).closes
    close = from_micros(int(closes[-1])) if len(closes) else session.end
    return close - LEAD


def _listing(sample: str, columns: Mapping[str, Sequence[Any]]) -> Listing:
    symbol, name, exchange = SERVED[sample]
    labels = np.array(columns["date"], dtype="datetime64[us]").astype(np.int64)
    return Listing(
        instrument=Instrument.parse(symbol),
        currency="USD",
        bars={Timeframe.D1: bars.frame(labels, columns)},
        actions=tuple(actions_of(columns["date"], columns["close"], columns["adj_close"])),
        name=name,
        exchange=exchange,
    )


def actions_of(
    dates: Sequence[str], close: Sequence[float], adjusted: Sequence[float]
) -> list[Action]:
    """Splits and dividends that explain the jumps of ``adjusted / close``, by date.

    A jump by a whole ratio that the raw price makes too is a split; what else is left of a jump is
    a dividend ``D = C * (1 - f_before / f_after)``, C the close before it. The set's adjusted
    closes were rounded before they became factors, so one estimate is off by up to 5 %: payments
    in a row that differ by no more are taken for equal and averaged, then rounded to cents. Source
    of the formula: Yahoo, "What is the adjusted close?".
    """
    found = list(_jumps(dates, np.asarray(close), np.asarray(adjusted)))
    splits = [
        Action(day, ActionKind.SPLIT, Fraction(ratio)) for day, ratio, _ in found if ratio > 1
    ]
    paid = [(day, amount) for day, _, amount in found if amount > 0]
    cents = _in_cents([amount for _, amount in paid])
    dividends = [
        Action(day, ActionKind.DIVIDEND, Fraction(cent, 100))
        for (day, _), cent in zip(paid, cents, strict=True)
    ]
    return sorted([*splits, *dividends])


def _jumps(
    dates: Sequence[str], close: np.ndarray, adjusted: np.ndarray
) -> Iterator[tuple[date, int, float]]:
    """Each date with a jump of the factor: the split's ratio (1: none), cash a share (0: none)."""
    factor = adjusted / close
    jump = factor[1:] / factor[:-1]
    for row in np.flatnonzero(np.abs(jump - 1) > _NOISE).tolist():
        before = float(close[row])
        ratio = _split_ratio(float(jump[row]), before / float(close[row + 1]))
        rest = float(jump[row]) / ratio
        amount = before * (1 - 1 / rest) / ratio if rest - 1 > _NOISE else 0.0
        yield date.fromisoformat(dates[row + 1]), ratio, amount


def _split_ratio(jump: float, fall: float) -> int:
    """The whole ratio of a split, or 1: the factor jumped by it and the price fell like it."""
    ratio = round(jump)
    is_split = ratio > 1 and abs(fall / ratio - 1) < _SPLIT_MATCH
    return ratio if is_split else 1


def _in_cents(amounts: Sequence[float]) -> list[int]:
    """Payments in whole cents, those in a row that look equal averaged."""
    runs: list[list[float]] = []
    for amount in amounts:
        if runs and abs(amount / float(np.mean(runs[-1])) - 1) < _SAME_PAYMENT:
            runs[-1].append(amount)
        else:
            runs.append([amount])
    return [max(1, round(100 * float(np.mean(run)))) for run in runs for _ in run]
