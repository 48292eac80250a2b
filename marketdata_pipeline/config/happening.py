"""The settings of what happens by itself: refreshes and their tiers, cleanup, the queue.

Not here: all other settings, and where values come from (the package itself).
"""

from datetime import time, timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, InstanceOf
from pydantic_settings import BaseSettings

from marketdata_pipeline.config.values import (
    Days,
    Hours,
    Weekly,
    as_hours,
    as_instruments,
    as_time,
    as_weekly,
    as_zone,
    known_calendars,
    setting,
)
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.tiers import Wishes

_MOST_MINUTES = 1440
_MINUTES = f"a whole number of minutes from 1 to {_MOST_MINUTES}"


class Happening(BaseSettings):
    """A part of the settings; see ``Settings``."""

    fetch_interval_minutes: int = setting(
        15,
        "Minutes after which a series that failed is asked for again, and one of an exchange that "
        "is refreshed always.",
        _MINUTES,
        ge=1,
        le=_MOST_MINUTES,
    )
    trading_hours_only: bool = setting(
        True,  # noqa: FBT003 - the default of a setting
        "Whether a series is asked for only where a bar of it closed meanwhile; `false`: each one "
        "after every interval, open or not.",
        "true or false",
        said="`true`",
    )
    exchange_hours: Annotated[
        dict[str, Hours], BeforeValidator(as_hours), AfterValidator(known_calendars)
    ] = setting(
        dict,
        "When instruments of single exchanges are refreshed, where that differs: by calendar.",
        "calendar=open or calendar=always, with commas between, such as XNYS=open,FX=always",
        said="all as `MARKETDATA_TRADING_HOURS_ONLY` says; crypto is always open",
    )
    priority_instruments: Annotated[
        tuple[InstanceOf[Instrument], ...], BeforeValidator(as_instruments)
    ] = setting(
        (),
        "Refreshed with the first tier, as those are that a portfolio holds.",
        "instruments with commas between, such as ES=F,NQ=F,YM=F, or none",
        said="none",
    )
    priority_minutes: int = setting(
        2,
        "Minutes between two refreshes of the first tier, as wished.",
        _MINUTES,
        ge=1,
        le=_MOST_MINUTES,
    )
    other_minutes: int = setting(
        5,
        "Minutes between two refreshes of all others, as wished.",
        _MINUTES,
        said="`5`; `MARKETDATA_FETCH_INTERVAL_MINUTES` where only that is set",
        ge=1,
        le=_MOST_MINUTES,
    )
    schedule_zone: Annotated[str, AfterValidator(as_zone)] = setting(
        "UTC",
        "Zone of the times of the daily refresh and of the cleanup.",
        "a name such as UTC or America/New_York",
    )
    daily_refresh_at: Annotated[time, BeforeValidator(as_time)] = setting(
        time(8), "When all tracked series are refreshed.", "a time such as 08:00", said="`08:00`"
    )
    cleanup_at: Annotated[InstanceOf[Weekly], BeforeValidator(as_weekly)] = setting(
        Weekly(6, time(2)),
        "When old rows of the queue and old events are removed, once a week.",
        "a day and a time such as Sun 02:00; the day is one of Mon, Tue, Wed, Thu, Fri, Sat, Sun",
        said="`Sun 02:00`",
    )
    queue_kept: Days = setting(
        timedelta(days=30),
        "Days for which what is done stays in the queue of backfills.",
        "days, 0 or more",
        said="`30`",
        ge=timedelta(0),
    )
    backfill_batch: int = setting(
        100, "Rows of the queue that one run is given at most.", "1 to 1000", ge=1, le=1000
    )
    backfill_attempts: int = setting(
        5,
        "Failures by its own fault after which a row of the queue is given up.",
        "1 to 100",
        ge=1,
        le=100,
    )
    backfill_retry_base: float = setting(
        2.0,
        "The wait after such a failure in minutes, to the power of how many there were.",
        "1 to 60",
        ge=1,
        le=60,
    )

    @property
    def wishes(self) -> Wishes:
        """How often series are wished to be refreshed."""
        minute = timedelta(minutes=1)
        return Wishes(
            priority=self.priority_minutes * minute,
            other=self.rest_minutes * minute,
            again=self.fetch_interval_minutes * minute,
            first=frozenset(self.priority_instruments),
            always=self.asked_always,
        )

    @property
    def rest_minutes(self) -> int:
        """Minutes between two refreshes of what is not of the first tier, as wished."""
        given = self.model_fields_set
        if "fetch_interval_minutes" in given and "other_minutes" not in given:
            return self.fetch_interval_minutes
        return self.other_minutes

    def asked_always(self, calendar: str) -> bool:
        """Whether series of that calendar are asked for after every interval, open or not."""
        usual = "open" if self.trading_hours_only else "always"
        return self.exchange_hours.get(calendar, usual) == "always"
