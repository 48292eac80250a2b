"""One instrument at one timeframe: a Dagster partition, a log field, a path.

Not here: what is stored of it.
"""

from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput


@dataclass(frozen=True, slots=True)
class Series:
    """Instrument x timeframe, spelled ``AAPL|1d``."""

    instrument: Instrument
    timeframe: Timeframe

    @classmethod
    def parse(cls, text: str) -> Self:
        """The series of ``AAPL|1d``.

        Raises:
            BadInput: no single ``|``, or either part is malformed.
        """
        instrument, bar, timeframe = str(text).partition("|")
        if not bar or "|" in timeframe:
            raise BadInput(f"{str(text)[:60]!r} is no series; write it as AAPL|1d")
        return cls(Instrument.parse(instrument), Timeframe.parse(timeframe))

    @property
    def base(self) -> "Series | None":
        """The series that this one is derived from, or None where it is fetched."""
        base = self.timeframe.base
        return None if base is None else Series(self.instrument, base)

    @property
    def slug(self) -> str:
        """The percent-encoded spelling for paths and URLs."""
        return quote(str(self), safe="")

    def __str__(self) -> str:
        return f"{self.instrument}|{self.timeframe}"
