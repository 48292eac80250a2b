"""The pipeline as a Dagster resource: the settings come in here, plain objects go out.

Not here: what the objects do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import dagster as dg

from marketdata_pipeline.config import Settings, load_settings
from marketdata_pipeline.database.home import Home, Mode, open_home
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.gate import Limits, RateLimit
from marketdata_pipeline.errors import MarketDataError
from marketdata_pipeline.governor.flights import Flights
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.governor.limits import LIMITS
from marketdata_pipeline.governor.waits import Waits
from marketdata_pipeline.ingest.judge import Judge
from marketdata_pipeline.ingest.update import Updater
from marketdata_pipeline.logs import redact, setup_logging
from marketdata_pipeline.providers.base import Provider, Reach
from marketdata_pipeline.providers.registry import PROVIDERS
from marketdata_pipeline.quality.rules import Thresholds
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.compact import Compactor
from marketdata_pipeline.store.gc import Collector
from marketdata_pipeline.store.tracking import Tracking
from marketdata_pipeline.store.verdicts import Verdicts
from marketdata_pipeline.store.verify import Verifier


@dataclass(frozen=True, slots=True, eq=False)
class Upkeep:
    """What looks after the store, and for how long Dagster's records stay (0: for ever)."""

    compactor: Compactor
    collector: Collector
    verifier: Verifier
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
        settings = load_settings()
        setup_logging(settings.log_level, settings.log_levels, settings.log_format)
        redact(settings.secrets())
        home = open_home(settings.home, database_url=settings.database)
        try:
            yield assemble(settings, home)
        finally:
            home.engine.dispose()


def assemble(settings: Settings, home: Home) -> Pipeline:
    """Wire the use cases of a home together."""
    store = BarStore(home.engine, home.bars, home.clock, grace=settings.file_grace)
    verdicts = Verdicts(home.engine, home.clock)
    tracking = Tracking(home.engine, home.clock)
    waits = Waits()
    thresholds = Thresholds(settings.completeness_minimum, settings.sessions_late)
    updater = Updater(
        store=store,
        catalog=Catalog(home.engine, home.clock),
        tracking=tracking,
        judge=Judge(store, verdicts, home.clock, thresholds),
        providers=[_connected(one, settings, home, waits) for one in PROVIDERS.values()],
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
        dagster_retention=settings.dagster_retention,
    )


def _connected(kind: type[Provider], settings: Settings, home: Home, waits: Waits) -> Provider:
    """A provider of the registry behind its gate; a replay home reaches the simulator instead."""
    governor = Governor(home.engine, home.clock, settings.tuning)
    replay = home.mode is Mode.REPLAY
    governor.register(kind.name, _limits(kind.name, settings, replay=replay))
    reach = Reach(
        simulator=settings.simulator_url if replay else None,
        connect=settings.connect_timeout,
        read=settings.read_timeout,
        connections=settings.connections,
    )
    gate = governor.gate(kind.name, max_wait=settings.turn_wait, waiting=waits.add)
    return kind.connected(gate, home.clock, reach)


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
