"""What is said of a file of bars, wherever that stands.

Not here: finding it (sidecars, exports, naming).
"""

from dataclasses import dataclass

from marketdata_pipeline.domain.actions import Action
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.importing.terms import UNSAID, Terms


@dataclass(frozen=True, slots=True)
class Said:
    """What is known of a file before it is read; None: not known.

    Attributes:
        terms: what its times and prices mean.
        paid: payments of the instrument, as they were paid.
        simulated: its bars come from a simulator.
    """

    instrument: Instrument | None = None
    timeframe: Timeframe | None = None
    terms: Terms = UNSAID
    paid: tuple[Action, ...] = ()
    simulated: bool = False

    def or_else(self, other: "Said") -> "Said":
        """This, what is unknown of it as in ``other``."""
        return Said(
            self.instrument or other.instrument,
            self.timeframe or other.timeframe,
            self.terms.or_else(other.terms),
            self.paid or other.paid,
            self.simulated or other.simulated,
        )


UNHEARD = Said()
"""Nothing is said."""
