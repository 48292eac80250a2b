"""Yahoo's chart reply as typed values: what ``v8/finance/chart`` writes.

Not here: what a reply's status means (faults), and bars (rows).
Fields as in recorded replies of 2021 to 2025; what is not named here is ignored.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.instrument import AssetClass
from marketdata_pipeline.domain.ranges import from_micros
from marketdata_pipeline.domain.sessions import DAY, Micros

_YEAR_1, _YEAR_9999 = -62_135_596_800, 253_402_214_400
Second = Annotated[int, Field(ge=_YEAR_1, le=_YEAR_9999)]
"""Unix seconds that a date can be made of, in every zone."""
_HOUR = DAY // 24
_CLASSES = {
    "EQUITY": AssetClass.EQUITY,
    "ETF": AssetClass.ETF,
    "INDEX": AssetClass.INDEX,
    "MUTUALFUND": AssetClass.FUND,
    "CRYPTOCURRENCY": AssetClass.CRYPTO,
    "CURRENCY": AssetClass.FX,
    "FUTURE": AssetClass.FUTURE,
}
"""By ``instrumentType``; there are others (options, warrants), which are no class of ours."""


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Hours(_Part):
    """A stretch of regular trading, its end exclusive."""

    start: Second
    end: Second


class _Sections(_Part):
    """Regular hours beside those before and after; Yahoo writes that too where it has no rows."""

    regular: tuple[tuple[Hours, ...], ...] = ()


class Meta(_Part):
    """What a reply says about the instrument.

    Attributes:
        zone: IANA zone of the exchange's dates.
        before: the close before the rows.
        last_trade: the second of the newest trade that Yahoo knew.
        granularity: the interval of the rows.
        kind: what Yahoo says that the instrument is.
        periods: the days' hours of intraday rows; None where Yahoo does not tell them.
    """

    symbol: str
    zone: str = Field(alias="exchangeTimezoneName")
    currency: str | None = None
    first_trade: Second | None = Field(None, alias="firstTradeDate")
    before: float | None = Field(None, alias="chartPreviousClose")
    last_trade: Second | None = Field(None, alias="regularMarketTime")
    granularity: str | None = Field(None, alias="dataGranularity")
    kind: str | None = Field(None, alias="instrumentType")
    periods: tuple[tuple[Hours, ...], ...] | _Sections | None = Field(None, alias="tradingPeriods")

    @field_validator("zone")
    @classmethod
    def _is_known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, OSError) as error:
            raise ValueError(f"no such time zone: {zone[:40]}") from error
        return zone


class Quote(_Part):
    """The columns, as long as the timestamps; without any row Yahoo writes ``{}``."""

    open: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    low: tuple[float | None, ...] = ()
    close: tuple[float | None, ...] = ()
    volume: tuple[float | None, ...] = ()


class Indicators(_Part):
    """Yahoo wraps the columns twice; only the first block is ever filled."""

    quote: tuple[Quote, ...] = Field(min_length=1)


class Paid(_Part):
    """A dividend or a capital gain: cash a share, in ``currency`` where that is not the quote's."""

    date: Second
    amount: float = Field(ge=0, allow_inf_nan=False)
    currency: str | None = None


class Split(_Part):
    """``numerator`` new shares for ``denominator`` old ones."""

    date: Second
    numerator: float = Field(gt=0, allow_inf_nan=False)
    denominator: float = Field(gt=0, allow_inf_nan=False)


class Events(_Part):
    """Those inside the range that was asked, keyed by their second."""

    dividends: dict[str, Paid] = Field(default_factory=dict)
    splits: dict[str, Split] = Field(default_factory=dict)
    gains: dict[str, Paid] = Field(default_factory=dict, alias="capitalGains")


class Chart(_Part):
    """One instrument's rows and events; no timestamps: nothing in the range that was asked."""

    meta: Meta
    stamps: tuple[Second, ...] = Field((), alias="timestamp")
    indicators: Indicators
    events: Events = Field(default_factory=Events)

    @model_validator(mode="after")
    def _columns_are_as_long_as_stamps(self) -> "Chart":
        quote = self.quote
        for name in Quote.model_fields:
            if len(getattr(quote, name)) != len(self.stamps):
                raise ValueError(
                    f"{len(getattr(quote, name))} values of {name} for {len(self.stamps)} times"
                )
        return self

    @property
    def quote(self) -> Quote:
        """The columns."""
        return self.indicators.quote[0]

    def hours(self) -> list[Hours] | None:
        """The stretches of regular trading that intraday rows lie in; None: not told."""
        told = self.meta.periods
        if told is None:
            return None
        days = told.regular if isinstance(told, _Sections) else told
        return sorted((one for day in days for one in day), key=lambda one: one.start)

    def first_trade(self) -> date | None:
        """The listing's first day by the exchange's dates; None where Yahoo does not tell it."""
        first = self.meta.first_trade
        return None if first is None else _local_dates([first], self.meta.zone)[0]

    def asset_class(self) -> AssetClass | None:
        """What Yahoo says that the instrument is; None where it says nothing that we know."""
        return _CLASSES.get(self.meta.kind or "")

    def actions(self) -> tuple[Action, ...]:
        """The splits and payments in it, oldest first, one of a kind a day: more are added up.

        Payments are as Yahoo writes them: divided by the ratio of every later split. One in
        another currency than the prices' is left out (see ``foreign``).
        """
        splits = list(self.events.splits.values())
        found = {
            Action(day, ActionKind.SPLIT, _exact(one.numerator) / _exact(one.denominator))
            for day, one in zip(self._dates(splits), splits, strict=True)
        }
        currency, payments = self.meta.currency, self._payments()
        days = self._dates([paid for _, paid in payments])
        told = {
            (day, kind, _exact(paid.amount))
            for day, (kind, paid) in zip(days, payments, strict=True)
            if paid.amount and (paid.currency or currency) == currency
        }
        sums: dict[tuple[date, ActionKind], Fraction] = defaultdict(Fraction)
        for day, kind, amount in told:
            sums[day, kind] += amount
        found |= {Action(day, kind, amount) for (day, kind), amount in sums.items()}
        return tuple(sorted(found, key=lambda one: (one.ex_date, one.kind.value, one.value)))

    def foreign(self) -> int:
        """How many payments are in another currency than the prices'."""
        currency = self.meta.currency
        return sum((paid.currency or currency) != currency for _, paid in self._payments())

    def _dates(self, events: Sequence[Paid] | Sequence[Split]) -> list[date]:
        """The exchange's date of each event."""
        return _local_dates([one.date for one in events], self.meta.zone)

    def _payments(self) -> list[tuple[ActionKind, Paid]]:
        dividends = [(ActionKind.DIVIDEND, one) for one in self.events.dividends.values()]
        gains = [(ActionKind.CAPITAL_GAIN, one) for one in self.events.gains.values()]
        return dividends + gains


class Complaint(_Part):
    """Yahoo's own words on why there is no chart."""

    code: str = ""
    description: str = ""


class _Body(_Part):
    result: tuple[Chart, ...] | None = None
    error: Complaint | None = None


class Envelope(_Part):
    """The whole body."""

    chart: _Body


def _exact(number: float) -> Fraction:
    """The shortest decimal that is this float64, as Yahoo wrote it."""
    return Fraction(repr(number))


def day_labels(stamps: Sequence[int] | np.ndarray, zone: str) -> Micros:
    """The exchange's date of each stamp, as a label: microseconds of that date at 00:00 UTC.

    Yahoo sometimes misses a change of daylight saving time and stamps a day one or two hours
    before its midnight (yfinance 1.7, ``utils.fix_Yahoo_dst_issue``); that means the day to come.
    """
    local = local_time(np.asarray(stamps, dtype=np.int64), zone)
    late = local % _HOUR == 0
    late &= local % DAY >= 22 * _HOUR
    labels: Micros = (local // DAY + late) * DAY
    return labels


def local_time(seconds: np.ndarray, zone: str) -> Micros:
    """What the exchange's clocks show at unix seconds, in microseconds since 1970 by them."""
    utc = pd.DatetimeIndex(seconds.astype("datetime64[s]").astype("datetime64[us]"), tz="UTC")
    local: Micros = utc.tz_convert(zone).tz_localize(None).asi8
    return local


def _local_dates(seconds: Sequence[int], zone: str) -> list[date]:
    return [from_micros(one).date() for one in day_labels(seconds, zone).tolist()]
