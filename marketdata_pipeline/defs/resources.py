"""The pipeline and the governor as Dagster resources: settings come in, plain objects go out.

Not here: what the objects do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from marketdata_pipeline.alerting import alerting_of
from marketdata_pipeline.assembly import Pipeline, assemble, limits_of, opened_home
from marketdata_pipeline.config import Settings
from marketdata_pipeline.config.credentials import credentials_for
from marketdata_pipeline.database.home import Home, Mode
from marketdata_pipeline.domain.gate import Gate, Limits, Turns
from marketdata_pipeline.errors import BadInput, MarketDataError
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.governor.health import Health
from marketdata_pipeline.governor.limits import LIMITS
from marketdata_pipeline.ingest.alerting import Alerting
from marketdata_pipeline.providers.registry import PROVIDERS
from marketdata_pipeline.reading.providers import Standings, read_providers, read_requests


@contextmanager
def failing_clearly() -> Iterator[None]:
    """An error of ours becomes a failure whose text is that one sentence."""
    try:
        yield
    except MarketDataError as error:
        raise dg.Failure(str(error), allow_retries=False) from error


class PipelineResource:
    """Opens the home that the settings name, for as long as a body runs."""

    @contextmanager
    def opened(self, *, queued: bool = False) -> Iterator[Pipeline]:
        """The pipeline of the configured home.

        ``queued``: the queue asks again for what has no turn, so that none is waited for long.

        Raises:
            BadInput: the settings or the home are not usable.
            StoreError: the database does not answer.
        """
        with opened_home() as (settings, home):
            yield assemble(settings, home, turn_wait=settings.queue_turn_wait if queued else None)


class AlertingResource:
    """Opens the alerts of the home that the settings name, for as long as a body runs."""

    @contextmanager
    def opened(self) -> Iterator[Alerting]:
        """The alerts of the configured home.

        Raises:
            BadInput: the settings or the home are not usable.
            StoreError: the database does not answer.
        """
        with opened_home() as (settings, home):
            yield alerting_of(settings, home)


@dataclass(frozen=True, slots=True, eq=False)
class Gates:
    """The providers' gates in an opened home, and how the providers stand."""

    settings: Settings
    home: Home

    def standings(self) -> Standings:
        """Turns and health of every provider that is registered here or was ever asked."""
        return read_providers(self._governor, PROVIDERS)

    def turns(self) -> dict[str, Turns]:
        """How the turns of each provider stand that was ever asked, by its key; takes none."""
        return {one.provider: one for one in self._governor.turns()}

    def health(self) -> dict[str, Health]:
        """The health of each provider, by its key."""
        return {one.key: one.health for one in self.standings().all}

    def asked_at(self) -> datetime | None:
        """The wall instant at which the newest request to any provider ended; None: none did."""
        newest = read_requests(self._governor, 1)
        return newest[0].ended_at if newest else None

    def gate(
        self, provider: str, limits: Limits | None = None, *, max_wait: timedelta | None = None
    ) -> Gate:
        """The gate that all processes share, for requests of your own.

        Each turn that is taken has to be reported, however its request ended. Where it has keys,
        ``turn.key`` names the variable of the one to use.

        Args:
            provider: its name.
            limits: of one that this project has none for.
            max_wait: the longest that a turn is waited for; None: as the settings say.

        Raises:
            BadInput: its limits are not known.
        """
        replay = self.home.mode is Mode.REPLAY
        if limits is None and provider not in LIMITS:
            raise BadInput(
                f"the limits of {provider} are not known, only those of {', '.join(LIMITS)}; "
                "give its own"
            )
        known = limits or limits_of(provider, self.settings, replay=replay)
        keys = PROVIDERS[provider].keys if provider in PROVIDERS else ()
        credentials = credentials_for(keys, self.settings.environment, simulated=replay)
        choices = self._governor.register_keys(provider, known, credentials)
        wait = self.settings.turn_wait if max_wait is None else max_wait
        return self._governor.gate(*choices, max_wait=wait)

    @property
    def _governor(self) -> Governor:
        return Governor(self.home.engine, self.home.clock, self.settings.tuning)


class GovernorResource:
    """Opens the gates of the home that the settings name, for as long as a body runs."""

    @contextmanager
    def opened(self) -> Iterator[Gates]:
        """The gates of the configured home.

        Raises:
            BadInput: the settings or the home are not usable.
            StoreError: the database does not answer.
        """
        with opened_home() as (settings, home):
            yield Gates(settings, home)
