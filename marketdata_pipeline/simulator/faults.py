"""What can be made to go wrong while the simulator runs: a table of faults, and those switched on.

Not here: how a broken answer is sent (server). To add a fault, add a function to one of the two
tables: ``ON_LISTING`` spoils the data that is served, ``ON_ANSWER`` the reply that is made of it.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.actions import ActionKind
from marketdata_pipeline.domain.bars import PRICES
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.history import LazyBars, Listing
from marketdata_pipeline.simulator.wire import Answer


class Target(Enum):
    """The route that a fault is for."""

    CHART = "chart"
    CRUMB = "crumb"
    COOKIE = "cookie"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        kind: a name of ``ON_LISTING`` or ``ON_ANSWER``.
        symbol: for this symbol only; empty: for all.
        times: for that many requests; None: until it is cleared.
        status: of ``status``.
        retry_after: seconds, of ``status``; None: without the header.
        seconds: of ``slow``.
        dates: the sessions that ``drop``, ``null``, ``bad_ohlc`` and ``x100`` spoil, and the
            ex-dates of ``split_not_applied`` (empty: every split).
        other: the symbol that ``wrong_symbol`` names instead.
    """

    kind: str
    symbol: str = ""
    times: int | None = None
    target: Target = Target.CHART
    status: int = 500
    retry_after: int | None = None
    seconds: float = 1.0
    dates: tuple[date, ...] = ()
    other: str = "WRONG"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadInput(f"'{self.kind}' is no fault; use one of {', '.join(KINDS)}")

    def written(self) -> dict[str, Any]:
        """As JSON takes it."""
        fields = asdict(self)
        days = [day.isoformat() for day in self.dates]
        return fields | {"target": self.target.value, "dates": days}


def _rows(listing: Listing, fault: Fault, frame: pd.DataFrame) -> np.ndarray:
    """The rows of a frame in the fault's sessions, by the exchange's date."""
    index = pd.DatetimeIndex(frame.index)
    midnights = bool((index == index.normalize()).all())
    local = index if midnights else index.tz_convert(calendar_of(listing.instrument).zone)
    dates = set(fault.dates)
    return np.array([day in dates for day in local.date], dtype=bool)


def _each_frame(
    listing: Listing, change: Callable[[Timeframe, pd.DataFrame], pd.DataFrame]
) -> Listing:
    whole = listing.bars
    return replace(listing, bars=LazyBars(whole, lambda one: change(one, whole[one])))


def _spoiled(columns: Callable[[pd.DataFrame], pd.DataFrame]) -> "OnListing":
    """A fault that rewrites the rows of its sessions."""

    def spoil(listing: Listing, fault: Fault) -> Listing:
        def change(_: Timeframe, frame: pd.DataFrame) -> pd.DataFrame:
            spoiled = _rows(listing, fault, frame)
            changed = frame.copy()
            changed.loc[spoiled] = columns(frame[spoiled])
            return changed

        return _each_frame(listing, change)

    return spoil


def _drop(listing: Listing, fault: Fault) -> Listing:
    return _each_frame(listing, lambda _, frame: frame[~_rows(listing, fault, frame)])


def _split_not_applied(listing: Listing, fault: Fault) -> Listing:
    """Rows before the split keep their undivided prices, though the event is listed."""
    splits = [
        one
        for one in listing.actions
        if one.kind is ActionKind.SPLIT and (not fault.dates or one.ex_date in fault.dates)
    ]

    def change(_: Timeframe, frame: pd.DataFrame) -> pd.DataFrame:
        dates = pd.DatetimeIndex(frame.index).tz_localize(None)
        changed = frame.copy()
        for split in splits:
            ratio = np.where(dates < pd.Timestamp(split.ex_date), float(split.value), 1.0)
            changed[list(PRICES)] = changed[list(PRICES)].mul(ratio, axis=0)
            changed["volume"] = changed["volume"] / ratio
        return changed

    return _each_frame(listing, change)


def _status(_: Answer, fault: Fault) -> Answer:
    body = b"Too Many Requests\r\n" if fault.status == 429 else b"<html>error</html>"  # noqa: PLR2004 - as Yahoo words its 429
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return Answer(fault.status, body, "text/html", headers)


def _wrong_symbol(answer: Answer, fault: Fault) -> Answer:
    content = json.loads(answer.body)
    for result in content.get("chart", {}).get("result") or ():
        result["meta"]["symbol"] = fault.other
    return replace(answer, body=json.dumps(content, separators=(",", ":")).encode())


OnListing = Callable[[Listing, Fault], Listing]
OnAnswer = Callable[[Answer, Fault], Answer]
ON_LISTING: Mapping[str, OnListing] = {
    "drop": _drop,
    "null": _spoiled(lambda rows: rows * np.nan),
    "bad_ohlc": _spoiled(lambda rows: rows.assign(high=rows["low"] * 0.9)),
    "x100": _spoiled(lambda rows: rows.assign(**{name: rows[name] * 100 for name in PRICES})),
    "split_not_applied": _split_not_applied,
}
ON_ANSWER: Mapping[str, OnAnswer] = {
    "status": _status,
    "truncated": lambda answer, _: replace(answer, sent=len(answer.body) // 2),
    "invalid_json": lambda answer, _: replace(answer, body=answer.body[:-2] + b",]"),
    "html": lambda _, __: Answer(200, b"<html><body>Sorry</body></html>", "text/html"),
    "empty": lambda answer, _: replace(answer, body=b""),
    "wrong_symbol": _wrong_symbol,
    "slow": lambda answer, fault: replace(answer, delay=fault.seconds),
    "reset": lambda answer, _: replace(answer, reset=True),
}
KINDS = (*ON_LISTING, *ON_ANSWER)


@dataclass(frozen=True, slots=True)
class Taken:
    """The faults that befall one request."""

    faults: tuple[Fault, ...] = ()

    def on_listing(self, listing: Listing) -> Listing:
        """What is served instead of the listing."""
        for fault in self.faults:
            if fault.kind in ON_LISTING:
                listing = ON_LISTING[fault.kind](listing, fault)
        return listing

    def on_answer(self, answer: Answer) -> Answer:
        """What is sent instead of the answer."""
        for fault in self.faults:
            if fault.kind in ON_ANSWER:
                answer = ON_ANSWER[fault.kind](answer, fault)
        return answer


@dataclass
class Faults:
    """The faults that are switched on; may be used from several threads."""

    _active: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *faults: Fault) -> None:
        """Switch them on, behind those that are."""
        with self._lock:
            self._active.extend(faults)

    def clear(self) -> None:
        """Switch all off."""
        with self._lock:
            self._active.clear()

    def active(self) -> tuple[Fault, ...]:
        """Those that still befall requests, ``times`` counting down."""
        with self._lock:
            return tuple(self._active)

    def take(self, target: Target, symbol: str = "") -> Taken:
        """The faults of one request; it counts as one of their times."""
        with self._lock:
            taken = [
                one
                for one in self._active
                if one.target is target and one.symbol.upper() in {"", symbol}
            ]
            self._active = [_used(one) if one in taken else one for one in self._active]
            self._active = [one for one in self._active if one.times != 0]
        return Taken(tuple(taken))


def _used(fault: Fault) -> Fault:
    return fault if fault.times is None else replace(fault, times=fault.times - 1)


def parse_faults(body: bytes) -> list[Fault]:
    """The faults of a JSON object, or of a list of them.

    Raises:
        BadInput: no JSON, an unknown field or kind, a malformed value.
    """
    try:
        content = json.loads(body)
        ones = content if isinstance(content, list) else [content]
        return [_parsed(**one) for one in ones]
    except (ValueError, TypeError) as error:
        raise BadInput(f"that is no fault: {error}") from error


def _parsed(
    *, kind: str, target: str = "chart", dates: tuple[str, ...] = (), **others: Any
) -> Fault:
    days = tuple(date.fromisoformat(day) for day in dates)
    return Fault(kind, target=Target(target), dates=days, **others)
