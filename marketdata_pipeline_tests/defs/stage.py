"""The definitions on a small world: a real Dagster instance, a truth provider, a frozen clock.

Not here: settings; the stage stands where the resource does that reads them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Any

import dagster as dg
from sqlalchemy import select, update

from marketdata_pipeline.assembly import Pipeline, Upkeep
from marketdata_pipeline.database.metadata import instruments, tracked_instruments
from marketdata_pipeline.defs.assets.ohlcv import OHLCV, ohlcv
from marketdata_pipeline.defs.schedules import bars_update
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.gate import Turns
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Severity
from marketdata_pipeline.domain.tiers import Wishes
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import Unavailable, UnknownSymbol
from marketdata_pipeline.governor.logged import prune
from marketdata_pipeline.ingest.events import Events
from marketdata_pipeline.ingest.queue import Queue
from marketdata_pipeline.ingest.track import Keeping, track
from marketdata_pipeline.orchestrator import INSTRUMENTS
from marketdata_pipeline.store.compact import Compactor
from marketdata_pipeline.store.gc import Collector
from marketdata_pipeline.store.reports import Reports
from marketdata_pipeline.store.verify import Verifier
from marketdata_pipeline_tests.ingest.world import USUAL, TruthProvider, World, days, walk

YEAR = days("2023-03-15", "2024-03-16")
KNOWN = ("AAPL", "MSFT", "IBM")


@dataclass
class Stage:
    """A world behind Dagster; limits, shares and times as in the settings.

    ``raising``: a run raises what it failed with.
    """

    world: World
    instance: dg.DagsterInstance
    picture_limit: int = 20
    failure_share: float = 0.3
    run_time: timedelta | None = timedelta(minutes=5)
    dagster_retention: timedelta = timedelta(days=30)
    raising: bool = False
    wishes: Wishes = Wishes()  # noqa: RUF009 - frozen
    turns: Sequence[Turns] = ()
    severity: Severity = Severity()  # noqa: RUF009 - frozen

    @property
    def queue(self) -> Queue:
        """The queue of the world's catalog."""
        return Queue(self.world.home.engine, self.world.clock)

    @property
    def events(self) -> Events:
        """The transactions of the world's catalog; of each instrument days and weeks are kept."""
        frames = (Timeframe.D1, Timeframe.W1)
        return Events(self.world.home.engine, self.world.clock, Keeping(frames))

    @contextmanager
    def opened(
        self,
        *,
        queued: bool = False,  # noqa: ARG002 - this world's provider has no gate
    ) -> Iterator[Pipeline]:
        """What PipelineResource gives."""
        world = self.world
        where = (world.home.engine, world.home.bars, world.clock)
        yield Pipeline(
            updater=world.updater,
            store=world.store,
            catalog=world.catalog,
            verdicts=world.verdicts,
            tracking=world.tracking,
            clock=world.clock,
            picture_limit=self.picture_limit,
            failure_share=self.failure_share,
            run_time=self.run_time,
            refresh_delay=timedelta(minutes=30),
            upkeep=Upkeep(
                compactor=Compactor(*where),
                collector=Collector(*where),
                verifier=Verifier(*where),
                prune_requests=partial(prune, world.home.engine, world.clock),
                dagster_retention=self.dagster_retention,
                prune_reports=partial(
                    Reports(world.home.engine, world.clock).prune, timedelta(days=90)
                ),
            ),
            queue=self.queue,
            events=self.events,
            wishes=self.wishes,
            turns=lambda: self.turns,
            severity=self.severity,
        )

    def job(self) -> dg.JobDefinition:
        """The job of the real definitions, this stage its resource."""
        definitions = dg.Definitions(
            assets=[ohlcv],
            jobs=[bars_update],
            resources={"pipeline": self},
            executor=dg.in_process_executor,
        )
        return definitions.resolve_job_def("bars_update")

    def by_key(self, key: str) -> dg.ExecuteInProcessResult:
        """The door of Dagster's command line and UI: one partition."""
        return self.run(partition_key=key)

    def by_range(self, first: str, last: str) -> dg.ExecuteInProcessResult:
        """The door of sensors and of --partition-range: a box of partitions in one run."""
        tags = {
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
        }
        return self.run(tags=tags)

    def by_config(self, *series: str, **config: str) -> dg.ExecuteInProcessResult:
        """The door of schedules: series in the run's config, no partition tags."""
        return self.configured({"series": list(series), **config})

    def configured(self, config: dict[str, Any]) -> dg.ExecuteInProcessResult:
        """A run with the op's config."""
        return self.run(run_config={"ops": {"ohlcv": {"config": config}}})

    def run(self, **how: Any) -> dg.ExecuteInProcessResult:
        """A run of the job; the arguments are those of ``execute_in_process``."""
        return self.job().execute_in_process(
            instance=self.instance, raise_on_error=self.raising, **how
        )

    def track(self, *keys: str, timeframes: tuple[str, ...] = ("1d",)) -> None:
        """Track instruments as the command line does."""
        asked = [Instrument.parse(key) for key in keys]
        frames = [Timeframe.parse(one) for one in timeframes]
        track(self.world.tracking, self.world.clock, asked, timeframes=frames)
        self.register(*keys)

    def register(self, *keys: str) -> None:
        """Give instruments partition keys."""
        self.instance.add_dynamic_partitions(INSTRUMENTS, list(keys))

    def materialized(self) -> set[str]:
        """The partitions that Dagster shows as materialized."""
        return set(self.instance.get_materialized_partitions(OHLCV))


@dataclass
class Choosy(TruthProvider):
    """A provider of truth that does not know some instruments, and fails for others.

    ``after``: how many requests of a series it answers before it fails.
    """

    unknown: set[str] = field(default_factory=set)
    down: set[str] = field(default_factory=set)
    after: dict[Series, int] = field(default_factory=dict)

    def fetch(self, series: Series, window: TimeRange, errand: Errand = USUAL) -> Reply:
        key = series.instrument.key
        if key in self.unknown:
            raise UnknownSymbol(f"truth knows no {key}", provider="truth", series=str(series))
        answered = sum(one == series for one, _ in self.asked)
        if key in self.down or answered >= self.after.get(series, answered + 1):
            raise Unavailable(f"{series}: truth | is down", provider="truth", series=str(series))
        return super().fetch(series, window, errand)


def choosy(world: World) -> Choosy:
    """The world's provider from now on: a year of truth of three stocks."""
    truth = {one: walk(one, YEAR) for one in (Series.parse(f"{key}|1d") for key in KNOWN)}
    provider = Choosy(truth, world.clock, first_trade=date(2023, 3, 15))
    world.provider = provider
    return provider


def hold(stage: Stage, *keys: str) -> None:
    """Have a portfolio hold these tracked instruments."""
    row = tracked_instruments.c
    held = select(instruments.c.id).where(instruments.c.key.in_(keys))
    with stage.world.home.engine.begin() as connection:
        connection.execute(
            update(tracked_instruments).where(row.instrument_id.in_(held)).values(holders=1)
        )


def metadata(result: dg.ExecuteInProcessResult) -> dict[str | None, dict[str, Any]]:
    """The metadata's values of each materialization, by partition."""
    return {
        one.partition: {key: value.value for key, value in one.metadata.items()}
        for one in result.asset_materializations_for_node("ohlcv")
    }


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """Each check's evaluation, by name."""
    return {one.check_name: one for one in result.get_asset_check_evaluations()}


def worst(check: dg.AssetCheckEvaluation) -> str:
    """The check's table of the series that fail most."""
    return str(check.metadata["worst"].value)


def failure(result: dg.ExecuteInProcessResult) -> dg.Failure:
    """What the run failed with: description and metadata."""
    assert not result.success
    for event in result.all_node_events:
        if event.is_step_failure:
            data = event.step_failure_data.user_failure_data
            assert data is not None, event.step_failure_data.error_display_string
            return dg.Failure(data.description, data.metadata)
    raise AssertionError("no step failed")
