"""The pipeline and the governor as Dagster resources: settings come in, plain objects go out.

Not here: what the objects do.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache, partial

import dagster as dg

from marketdata_pipeline.config import Settings, load_settings
from marketdata_pipeline.config.credentials import credentials_for, variables
from marketdata_pipeline.database.home import Home, Mode, open_home
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.gate import Gate, Limits, RateLimit, Turns
from marketdata_pipeline.errors import BadInput, MarketDataError
from marketdata_pipeline.governor.flights import Flights
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.governor.health import Health
from marketdata_pipeline.governor.limits import LIMITS
from marketdata_pipeline.governor.logged import prune
from marketdata_pipeline.governor.waits import Waits
from marketdata_pipeline.ingest.judge import Judge
from marketdata_pipeline.ingest.update import Updater
from marketdata_pipeline.logs import get_logger, redact, setup_logging
from marketdata_pipeline.providers.base import Provider, Reach
from marketdata_pipeline.providers.registry import PROVIDERS
from marketdata_pipeline.quality.rules import Thresholds
from marketdata_pipeline.reading.providers import Standings, read_providers, read_requests
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.compact import Compactor
from marketdata_pipeline.store.gc import Collector
from marketdata_pipeline.store.tracking import Tracking
from marketdata_pipeline.store.verdicts import Verdicts
from marketdata_pipeline.store.verify import Verifier

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Upkeep:
    """What looks after the store, and for how long Dagster's records stay (0: for ever).

    ``prune_requests`` removes what is old from the log of requests, and says how many those were.
    """

    compactor: Compactor
    collector: Collector
    verifier: Verifier
    prune_requests: Callable[[], int]
    dagster_retention: timedelta


@dataclass(frozen=True, slots=True, eq=False)
class Pipeline:
    """An opened home with everything an asset's body needs.

    ``run_time``: after it a run over a list begins no further series; None: it goes on.
    """

    updater: Updater
    store: BarStore
    catalog: Catalog
    verdicts: Verdicts
    tracking: Tracking
    clock: Clock
    picture_limit: int
    failure_share: float
    run_time: timedelta | None
    refresh_delay: timedelta
    upkeep: Upkeep
    waits: Waits = field(default_factory=Waits)


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
    def opened(self) -> Iterator[Pipeline]:
        """The pipeline of the configured home.

        Raises:
            BadInput: the settings or the home are not usable.
            StoreError: the database does not answer.
        """
        with _opened_home() as (settings, home):
            yield assemble(settings, home)


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
        known = limits or _limits(provider, self.settings, replay=replay)
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
        with _opened_home() as (settings, home):
            yield Gates(settings, home)


@contextmanager
def _opened_home() -> Iterator[tuple[Settings, Home]]:
    settings = load_settings()
    setup_logging(settings.log_level, settings.log_levels, settings.log_format)
    redact(settings.secrets())
    home = open_home(settings.home, database_url=settings.database)
    try:
        yield settings, home
    finally:
        home.engine.dispose()


def assemble(settings: Settings, home: Home) -> Pipeline:
    """Wire the use cases of a home together."""
    store = BarStore(home.engine, home.bars, home.clock, grace=settings.file_grace)
    verdicts = Verdicts(home.engine, home.clock)
    tracking = Tracking(home.engine, home.clock)
    waits = Waits()
    thresholds = Thresholds(settings.completeness_minimum, settings.sessions_late)
    connected = [_connected(one, settings, home, waits) for one in PROVIDERS.values()]
    updater = Updater(
        store=store,
        catalog=Catalog(home.engine, home.clock),
        tracking=tracking,
        judge=Judge(store, verdicts, home.clock, thresholds),
        providers=[one for one in connected if one is not None],
        clock=home.clock,
        flights=Flights(home.engine, home.clock, settings.turn_wait),
        at_once=settings.instruments_at_once,
        retry_waits=settings.retry_waits,
    )
    return Pipeline(
        updater=updater,
        store=store,
        catalog=updater.catalog,
        verdicts=verdicts,
        tracking=tracking,
        clock=home.clock,
        picture_limit=settings.picture_limit,
        failure_share=settings.failure_share,
        run_time=settings.batch_seconds or None,
        refresh_delay=settings.refresh_delay,
        upkeep=_upkeep(settings, home),
        waits=waits,
    )


def _upkeep(settings: Settings, home: Home) -> Upkeep:
    where, grace = (home.engine, home.bars, home.clock), settings.file_grace
    return Upkeep(
        compactor=Compactor(*where, grace=grace),
        collector=Collector(*where, kept=settings.superseded_kept, grace=grace),
        verifier=Verifier(*where),
        prune_requests=partial(prune, home.engine, home.clock, kept=settings.request_log_kept),
        dagster_retention=settings.dagster_retention,
    )


def _connected(
    kind: type[Provider], settings: Settings, home: Home, waits: Waits
) -> Provider | None:
    """A provider of the registry behind its gate; a replay home reaches the simulator instead.

    None: it needs a key and has none.

    Raises:
        SettingsError: one of its keys cannot be used.
    """
    governor = Governor(home.engine, home.clock, settings.tuning)
    replay = home.mode is Mode.REPLAY
    credentials = credentials_for(kind.keys, settings.environment, simulated=replay)
    if kind.keys and not credentials:
        _tell_that_none_is_set(kind.name, variables(kind.keys[0], settings.environment)[0])
        return None
    limits = _limits(kind.name, settings, replay=replay)
    choices = governor.register_keys(kind.name, limits, credentials)
    reach = Reach(
        simulator=settings.simulator_url if replay else None,
        connect=settings.connect_timeout,
        read=settings.read_timeout,
        connections=settings.connections,
        credentials=credentials,
    )
    gate = governor.gate(
        *choices,
        max_wait=settings.turn_wait,
        waiting=waits.add,
        waits_out=len(PROVIDERS) == 1,
    )
    return kind.connected(gate, home.clock, reach)


@cache
def _tell_that_none_is_set(provider: str, variable: str) -> None:
    """Once in a process: every run would say the same."""
    _log.warning("not asked, since it has no key", provider=provider, set=variable)


def _limits(name: str, settings: Settings, *, replay: bool) -> Limits:
    """The provider's own limits, unless a setting says others.

    Spacing is a courtesy to a server on the internet: a simulator on this machine needs none.
    """
    limits = LIMITS[name].limits
    if name == "yahoo":
        hour = timedelta(hours=1)
        rate = RateLimit(settings.yahoo_requests_per_hour, hour, settings.yahoo_burst)
        limits = replace(limits, rates=(rate,), spacing=settings.yahoo_spacing)
    return replace(limits, spacing=timedelta(0)) if replay else limits
