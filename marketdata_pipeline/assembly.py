"""Settings and an opened home go in, the use cases on it come out, wired together.

Not here: what they do, and Dagster's resources (defs). For edges only.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, partial

from marketdata_pipeline.config import Settings, load_settings
from marketdata_pipeline.config.credentials import credentials_for, variables
from marketdata_pipeline.database.home import Home, Mode, open_home
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.gate import Limits, RateLimit, Turns
from marketdata_pipeline.domain.thresholds import Severity
from marketdata_pipeline.domain.tiers import Wishes
from marketdata_pipeline.governor.flights import Flights
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.governor.limits import LIMITS
from marketdata_pipeline.governor.logged import prune
from marketdata_pipeline.governor.waits import Waits
from marketdata_pipeline.ingest.after import Patience
from marketdata_pipeline.ingest.events import Events
from marketdata_pipeline.ingest.gaps import Gaps
from marketdata_pipeline.ingest.judge import Judge
from marketdata_pipeline.ingest.neglected import Neglected
from marketdata_pipeline.ingest.queue import Queue
from marketdata_pipeline.ingest.recheck import Recheck
from marketdata_pipeline.ingest.refreshes import Refreshes
from marketdata_pipeline.ingest.track import Keeping
from marketdata_pipeline.ingest.update import Updater
from marketdata_pipeline.logs import get_logger, redact, setup_logging
from marketdata_pipeline.providers.base import Provider, Reach
from marketdata_pipeline.providers.registry import PROVIDERS
from marketdata_pipeline.quality.rules import refuse_unknown
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.closures import heed
from marketdata_pipeline.store.compact import Compactor
from marketdata_pipeline.store.gc import Collector
from marketdata_pipeline.store.reports import Reports
from marketdata_pipeline.store.tracking import Tracking
from marketdata_pipeline.store.verdicts import Verdicts
from marketdata_pipeline.store.verify import Verifier

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Upkeep:
    """What looks after the store, and for how long Dagster's records stay (0: for ever).

    ``prune_requests`` removes what is old from the log of requests, ``prune_reports`` old reports;
    each says how many those were.
    """

    compactor: Compactor
    collector: Collector
    verifier: Verifier
    prune_requests: Callable[[], int]
    dagster_retention: timedelta
    prune_reports: Callable[[], int] = int


@dataclass(frozen=True, slots=True, eq=False)
class Pipeline:
    """An opened home with everything an asset's body needs.

    Attributes:
        severity: when a failing check is an error, and whether its run then fails.
        run_time: after it a run over a list begins no further series; None: it goes on.
        turns: tells how the turns of all providers stand that were ever asked.
        queue_kept: for how long what is done stays in the queue.
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
    queue: Queue
    events: Events
    waits: Waits = field(default_factory=Waits)
    wishes: Wishes = Wishes()  # noqa: RUF009 - frozen
    turns: Callable[[], Sequence[Turns]] = tuple
    queue_kept: timedelta = timedelta(days=30)
    severity: Severity = Severity()  # noqa: RUF009 - frozen

    @property
    def recheck(self) -> Recheck:
        """What judges all that is stored anew."""
        return Recheck(self.updater.judge, self.catalog, self.tracking)

    @property
    def refreshes(self) -> Refreshes:
        """Which series go now."""
        where = (self.tracking, self.catalog, self.store, self.clock)
        return Refreshes(*where, self.refresh_delay, self.wishes, self.turns)

    @property
    def gaps(self) -> Gaps:
        """Which gaps are due."""
        return Gaps(self.tracking, self.catalog, self.store, self.queue)

    @property
    def neglected(self) -> Neglected:
        """Which series nobody sees to."""
        return Neglected(self.refreshes, self.queue)


@contextmanager
def opened_home() -> Iterator[tuple[Settings, Home]]:
    """The settings of this process and the home that they name; logs are set up, too.

    Raises:
        BadInput: the settings or the home are not usable.
        StoreError: the database does not answer.
    """
    settings = load_settings()
    setup_logging(settings.log_level, settings.log_levels, settings.log_format)
    redact(settings.secrets())
    home = open_home(settings.home, database_url=settings.database)
    try:
        heed(home.engine)
        yield settings, home
    finally:
        home.engine.dispose()


def assemble(settings: Settings, home: Home, *, turn_wait: timedelta | None = None) -> Pipeline:
    """Wire the use cases of a home together.

    ``turn_wait`` is the longest that a request waits for its turn; None: as the settings say.
    """
    wait = settings.turn_wait if turn_wait is None else turn_wait
    store = BarStore(home.engine, home.bars, home.clock, grace=settings.file_grace)
    verdicts = Verdicts(home.engine, home.clock)
    tracking = Tracking(home.engine, home.clock)
    waits = Waits()
    thresholds = refuse_unknown(settings.thresholds)
    connected = [_connected(one, settings, home, waits, wait) for one in PROVIDERS.values()]
    updater = Updater(
        store=store,
        catalog=Catalog(home.engine, home.clock),
        tracking=tracking,
        judge=Judge(store, verdicts, home.clock, thresholds),
        providers=[one for one in connected if one is not None],
        clock=home.clock,
        flights=Flights(home.engine, home.clock, wait),
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
        queue=_queue(settings, home),
        events=events_of(settings, home),
        waits=waits,
        wishes=settings.wishes,
        turns=Governor(home.engine, home.clock, settings.tuning).turns,
        queue_kept=settings.queue_kept,
        severity=settings.severity,
    )


def _queue(settings: Settings, home: Home) -> Queue:
    patience = Patience(
        attempts=settings.backfill_attempts,
        base=settings.backfill_retry_base,
        setback=settings.setback_wait,
    )
    return Queue(
        home.engine,
        home.clock,
        patience,
        lease=settings.queue_lease,
        launching=settings.queue_lease,
        size=settings.backfill_batch,
    )


def events_of(settings: Settings, home: Home) -> Events:
    """The transactions of a home, with what the settings say of them."""
    keeping = Keeping(
        settings.timeframes,
        settings.months_before_purchase,
        settings.grace_after_sale,
        settings.base_currency,
        settings.portfolio_currencies,
    )
    return Events(home.engine, home.clock, keeping)


def _upkeep(settings: Settings, home: Home) -> Upkeep:
    where, grace = (home.engine, home.bars, home.clock), settings.file_grace
    return Upkeep(
        compactor=Compactor(*where, grace=grace),
        collector=Collector(*where, kept=settings.superseded_kept, grace=grace),
        verifier=Verifier(*where),
        prune_requests=partial(prune, home.engine, home.clock, kept=settings.request_log_kept),
        prune_reports=partial(Reports(home.engine, home.clock).prune, settings.reports_kept),
        dagster_retention=settings.dagster_retention,
    )


def _connected(
    kind: type[Provider], settings: Settings, home: Home, waits: Waits, turn_wait: timedelta
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
    limits = limits_of(kind.name, settings, replay=replay)
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
        max_wait=turn_wait,
        waiting=waits.add,
        waits_out=len(PROVIDERS) == 1,
    )
    return kind.connected(gate, home.clock, reach)


@cache
def _tell_that_none_is_set(provider: str, variable: str) -> None:
    """Once in a process: every run would say the same."""
    _log.warning("not asked, since it has no key", provider=provider, set=variable)


def limits_of(name: str, settings: Settings, *, replay: bool) -> Limits:
    """The provider's own limits, unless a setting says others.

    Spacing is a courtesy to a server on the internet: a simulator on this machine needs none.
    """
    limits = LIMITS[name].limits
    if name == "yahoo":
        hour = timedelta(hours=1)
        rates = [RateLimit(settings.yahoo_requests_per_hour, hour, settings.yahoo_burst)]
        if settings.requests_per_minute is not None:
            most = settings.requests_per_minute
            rates.append(RateLimit(most, timedelta(minutes=1), max(1, most // 10)))
        limits = replace(limits, rates=tuple(rates), spacing=settings.yahoo_spacing)
    return replace(limits, spacing=timedelta(0)) if replay else limits
