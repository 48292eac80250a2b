"""The doors of the asset ``ohlcv``: what a run is asked for, and the updates that bring it.

Not here: reporting what they brought (the asset). Partition keys come from the UI and Dagster's
command line, a list of series in the config from schedules and the command line, claims on rows of
the queue, in the config too, from sensors: with a range of partition keys where one instrument's
timeframes are wanted, else without.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import dagster as dg

from marketdata_pipeline.assembly import Pipeline
from marketdata_pipeline.defs.partitions import series_of
from marketdata_pipeline.domain.backfill import Claim
from marketdata_pipeline.domain.errand import Errand, Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, parse_instant
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.after import passing
from marketdata_pipeline.ingest.at_work import AtWork, Part, at_work
from marketdata_pipeline.ingest.outcome import Outcome

HELD = {"marketdata/priority": str(Priority.HELD)}
"""Tags of a run over what somebody holds: its requests come before those of others."""


class OhlcvConfig(dg.Config):
    """What a run is given besides partition keys.

    ``series`` are spelled ``AAPL|1d``; ``start`` and ``end`` are ISO dates or instants (UTC where
    no zone is given), half-open; empty means as tracked. ``queue`` are claims on rows of the queue,
    ``12:3``, and say all by themselves.
    """

    series: list[str] = []
    start: str = ""
    end: str = ""
    queue: list[str] = []


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run is asked for.

    Attributes:
        series: all of it.
        outcomes: of their updates, as they are done.
        keyed: it has partition keys: nobody else asks for those.
        queued: it comes from the queue, which asks again for what is not up to date.
        done: the instruments whose rows of the queue were completed, once the outcomes are over.
    """

    series: list[Series]
    outcomes: Iterator[Outcome]
    keyed: bool = False
    queued: bool = False
    done: list[Instrument] = field(default_factory=list)

    def failed(self, behind: Sequence[Outcome]) -> list[Outcome]:
        """Those that make the run fail, if they are many enough."""
        if self.queued:
            return [one for one in behind if one.error and not passing(one.error)]
        return [one for one in behind if self.keyed or not one.not_done]


@contextmanager
def through_a_door(
    context: dg.AssetExecutionContext, config: OhlcvConfig, opened: Pipeline
) -> Iterator[Asked]:
    """What the run is asked for, by whichever door it came.

    Raises:
        BadInput: nothing, or something that cannot be.
    """
    keyed = context.has_partition_key or context.has_partition_key_range
    run_id = context.run.run_id
    if config.queue:
        with at_work(opened.queue, _claims(config.queue), run_id) as work:
            yield _from_queue(work, opened, run_id, keyed=keyed)
        return
    asked = _series(context.partition_keys if keyed else config.series, keyed=keyed)
    updates = opened.updater.update_many(
        asked,
        _wanted(config),
        errand=Errand(_priority(context), run_id=run_id),
        ends_within=None if keyed else opened.run_time,
        failure_share=opened.failure_share,
    )
    with closing(updates):
        yield Asked(asked, updates, keyed=keyed)


def _priority(context: dg.AssetExecutionContext) -> Priority:
    held = context.run.tags.items() >= HELD.items()
    return Priority.HELD if held else Priority.TRACKED


def config_of(claims: Sequence[Claim]) -> dict[str, object]:
    """The config of a run that is to do these rows of the queue."""
    return {"ops": {"ohlcv": {"config": {"queue": [str(one) for one in claims]}}}}


def claims_in(config: object) -> list[Claim]:
    """The claims in a run's config; none where it has none."""
    return _claims(given(config, "queue"))


def given(config: object, key: str) -> list[str]:
    """A list in the config that a run gives the asset; empty where it gives none."""
    for name in ("ops", "ohlcv", "config", key):
        config = config.get(name) if isinstance(config, dict) else None
    return config if isinstance(config, list) else []


def _claims(spelled: Sequence[str]) -> list[Claim]:
    try:
        return [Claim.parse(one) for one in spelled]
    except ValueError as error:
        raise BadInput(f"{list(spelled)} are no rows of the queue, e.g. 12:0") from error


def _from_queue(work: AtWork, opened: Pipeline, run_id: str, *, keyed: bool) -> Asked:
    def update(part: Part) -> Generator[Outcome]:
        return opened.updater.update_many(
            part.series,
            part.wanted,
            errand=Errand(part.priority, run_id=run_id),
            ends_within=_time_of(part, opened.run_time),
            failure_share=opened.failure_share,
        )

    outcomes = work.updates(update, opened.clock.market_now())
    return Asked(work.series, outcomes, keyed=keyed, queued=True, done=work.done)


def _time_of(part: Part, run_time: timedelta | None) -> timedelta | None:
    """What somebody waits for is not cut off; the rest makes room for it."""
    return None if part.priority is Priority.URGENT else run_time


def _series(keys: Sequence[str], *, keyed: bool) -> list[Series]:
    asked = list(dict.fromkeys(series_of(keys)))
    if asked:
        return asked
    if keyed:  # Dagster reads AAPL|1d...MSFT|1h as a box that nothing is in, and starts the run
        raise BadInput(
            "the range holds no partition; give the timeframe first that is first in "
            f"{', '.join(map(str, Timeframe))}, and the instrument that was tracked first"
        )
    raise BadInput('the run names no series; its config needs e.g. series: ["AAPL|1d"]')


def _wanted(config: OhlcvConfig) -> TimeRange | None:
    if not config.start and not config.end:
        return None
    if not (config.start and config.end):
        raise BadInput("give both start and end, or neither")
    return TimeRange(parse_instant(config.start), parse_instant(config.end))
