"""A provider of the tests that needs a key, and the service that it asks.

Not here: any wire format; truth is handed over as parsed replies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

import pandas as pd

from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.contact import Contact, Outcome
from marketdata_pipeline.domain.credential import Credential, credential_of
from marketdata_pipeline.domain.errand import Errand, Priority
from marketdata_pipeline.domain.gate import Gate
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import CredentialsRefused
from marketdata_pipeline.providers.base import Reach
from marketdata_pipeline.providers.http import turn_taken
from marketdata_pipeline_tests.fakes import OpenGate
from marketdata_pipeline_tests.ingest.world import USUAL, TruthProvider


@dataclass
class Service:
    """What stands at the other end: it keeps the keys that it was shown, and refuses some."""

    truth: Mapping[Series, pd.DataFrame] = field(default_factory=dict)
    refuses: set[str] = field(default_factory=set)
    shown: list[str] = field(default_factory=list)


@dataclass
class KeyedProvider(TruthProvider):
    """Shows the key whose turn it is with each request."""

    gate: Gate = field(default_factory=OpenGate)
    credentials: tuple[Credential, ...] = ()

    name = "fmp"
    keys = ("FMP_API_KEY",)
    service: ClassVar[Service] = Service()

    @classmethod
    def connected(cls, gate: Gate, clock: Clock, reach: Reach) -> Self:
        return cls(cls.service.truth, clock, gate=gate, credentials=reach.credentials)

    def fetch(self, series: Series, window: TimeRange, errand: Errand = USUAL) -> Reply:
        with turn_taken(self.gate, self.clock, errand, series) as sent:
            self._show(sent.key)
            return super().fetch(series, window, errand)

    def contact(self, *, within: float) -> Contact:
        del within
        with turn_taken(self.gate, self.clock, Errand(Priority.URGENT)) as sent:
            self._show(sent.key)
        return Contact(Outcome.ANSWERED, status=200)

    def _show(self, key: str) -> None:
        credential = credential_of(key, self.credentials)
        value = credential.secret.get_secret_value()
        self.service.shown.append(value)
        if value in self.service.refuses:
            error = CredentialsRefused(f"fmp refuses {credential.name} (HTTP 401)", provider="fmp")
            error.requests = 1
            raise error


class Fresh(KeyedProvider):
    """One with a service of its own, that of the test."""


def fresh(truth: Mapping[Series, pd.DataFrame] | None = None) -> type[KeyedProvider]:
    """The class of such a provider, whose service nobody has asked yet."""
    Fresh.service = Service(truth or {})
    return Fresh
