"""Settings and an opened home go in, its alerts come out, wired together.

Not here: what they do (ingest.alerting), all other use cases (assembly), what only Dagster knows
(defs, cli). For edges only.
"""

from functools import partial
from pathlib import Path

from marketdata_pipeline.alerts.deciding import Policy, Quiet
from marketdata_pipeline.alerts.sending import Sender
from marketdata_pipeline.config import Settings
from marketdata_pipeline.config.alerting import urls_of
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.database.machine import Disk, disk_of
from marketdata_pipeline.domain.alert import Condition, Severity
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.ingest import conditions
from marketdata_pipeline.ingest.alerting import Alerting
from marketdata_pipeline.ingest.seeing import Bounds, Watch
from marketdata_pipeline.reading.health.finding import Mark
from marketdata_pipeline.reading.health.machine import judge_home_disk
from marketdata_pipeline.store.bars import BarStore


def alerting_of(settings: Settings, home: Home) -> Alerting:
    """The alerts of a home, told as the settings say."""
    watch = Watch(
        engine=home.engine,
        clock=home.clock,
        store=BarStore(home.engine, home.bars, home.clock, grace=settings.file_grace),
        governor=Governor(home.engine, home.clock, settings.tuning),
        bounds=Bounds(
            sessions=settings.alert_sessions,
            failed=settings.alert_failed,
            queue_age=settings.alert_queue_age,
            breaker_age=settings.alert_breaker_age,
            delay=settings.refresh_delay,
            off=frozenset(settings.quality_off),
        ),
        base=settings.base_currency,
    )
    return Alerting(
        engine=home.engine,
        clock=home.clock,
        watch=watch,
        sender=sender_of(settings),
        policy=_policy(settings),
        disk=partial(_disk, home.folder),
    )


def sender_of(settings: Settings) -> Sender:
    """Who is told."""
    return Sender(urls_of(settings.alert_urls), plain=settings.alert_plain_http)


def _policy(settings: Settings) -> Policy:
    hours = settings.alert_quiet_hours
    return Policy(
        quiet=None if hours is None else Quiet(hours.start, hours.end, settings.alert_zone),
        wakes=settings.alert_wakes,
        least=Severity(settings.alert_least),
        weight=settings.alert_weight,
    )


def _disk(folder: Path) -> Condition | None:
    try:
        return disk_trouble(folder, disk_of(folder))
    except OSError as error:
        return conditions.of_disk(f"{folder} cannot be looked at: {error.strerror}", grave=True)


def disk_trouble(folder: Path, disk: Disk) -> Condition | None:
    """What is to be said of a home's disk, as the doctor judges it; None: nothing."""
    found = judge_home_disk(folder, disk)
    if found.mark is Mark.OK:
        return None
    return conditions.of_disk(found.says, grave=found.mark is Mark.WRONG)
