"""The lengths that bars can have, and the spellings that people use for them.

Not here: where a bar starts and when it is closed; calendars know that.
"""

from datetime import timedelta
from enum import Enum

from marketdata_pipeline.errors import BadInput

_INTRADAY = timedelta(minutes=5)
_SPELLINGS = {
    "1m": "1m 1min 1minute 1T",
    "5m": "5m 5min 5minute 5minutes 5T",
    "15m": "15m 15min 15minute 15minutes 15T",
    "1h": "1h 60m 60min 1H 1hour h",
    "4h": "4h 240m 240min 4H 4hour 4hours",
    "1d": "1d 1D 1day day d D",
    "1wk": "1wk 1w 1W 1week week w W W-MON",
}


class Timeframe(Enum):
    """A bar's length; members are in the order of the partition grid, finest first.

    ``length`` is the bar's nominal length; ``base`` is the timeframe that it is always derived
    from, or None where it is fetched; ``depth`` is how far back it is kept where no purchase says
    otherwise, None meaning all there is.
    """

    M1 = ("1m", timedelta(minutes=1), None, timedelta(days=29))
    M5 = ("5m", timedelta(minutes=5), None, timedelta(days=59))
    M15 = ("15m", timedelta(minutes=15), None, timedelta(days=59))
    H1 = ("1h", timedelta(hours=1), None, timedelta(days=729))
    H4 = ("4h", timedelta(hours=4), "1h", timedelta(days=729))
    D1 = ("1d", timedelta(days=1), None, None)
    W1 = ("1wk", timedelta(weeks=1), "1d", None)

    def __init__(
        self, key: str, length: timedelta, base: str | None, depth: timedelta | None
    ) -> None:
        self.key = key
        self.length = length
        self.depth = depth
        self._base = base

    @property
    def base(self) -> "Timeframe | None":
        """The timeframe that this one is derived from, or None where it is fetched."""
        return None if self._base is None else Timeframe.parse(self._base)

    @property
    def intraday(self) -> bool:
        """Whether bars are labelled by an instant, not by a date."""
        return self.length < timedelta(days=1)

    @property
    def derived(self) -> bool:
        """Whether it is never fetched."""
        return self._base is not None

    def asked_after(self, delay: timedelta) -> timedelta:
        """How long after its close a bar is asked for: ``delay``, intraday five minutes at most.

        A day or a week is corrected after the close.
        """
        return min(delay, _INTRADAY) if self.intraday else delay

    @classmethod
    def parse(cls, text: str) -> "Timeframe":
        """The timeframe of a spelling of Yahoo, ccxt, OpenBB or pandas.

        Raises:
            BadInput: unknown spellings, and ``1M``, which some read as a minute, others as a
                month.
        """
        spelling = str(text).strip(" ")
        found = _BY_SPELLING.get(spelling)
        if found is not None:
            return found
        known = ", ".join(member.key for member in cls)
        if spelling in {"M", "1M"}:
            raise BadInput(f"'{spelling}' can mean a minute or a month; write one of {known}")
        raise BadInput(f"{spelling[:40]!r} is no timeframe; use one of {known}")

    def __str__(self) -> str:
        return self.key


_BY_SPELLING = {text: one for one in Timeframe for text in _SPELLINGS[one.key].split()}
DEFAULT_TIMEFRAMES = (Timeframe.H1, Timeframe.H4, Timeframe.D1, Timeframe.W1)
"""Kept for every tracked instrument unless asked otherwise; contiguous in the grid."""
