"""When schedules tick: the settings' times as cron strings.

Not here: what they do (schedules, tending).
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import time

import dagster as dg

from marketdata_pipeline.config import Settings, load_settings
from marketdata_pipeline.errors import SettingsError

_HOUR, _DAY = 60, 1440


@dataclass(frozen=True, slots=True)
class Times:
    """When schedules tick; cron strings, those of ``daily`` and ``cleanup`` in ``zone``."""

    priority: list[str]
    other: list[str]
    daily: str
    cleanup: str
    zone: str

    @classmethod
    def of(cls, settings: Settings) -> "Times":
        """As the settings have it."""
        weekly = settings.cleanup_at
        return cls(
            priority=every(settings.priority_minutes),
            other=every(settings.rest_minutes),
            daily=f"{_clock(settings.daily_refresh_at)} * * *",
            cleanup=f"{_clock(weekly.at)} * * {(weekly.weekday + 1) % 7}",  # cron: 0 is Sunday
            zone=settings.schedule_zone,
        )

    @classmethod
    def configured(cls) -> "Times":
        """As the settings of this process have it.

        Raises:
            DagsterInvalidDefinitionError: they are not usable; the sentence says why.
        """
        try:
            return cls.of(load_settings())
        except SettingsError as error:
            # Dagster's page shows where it came from, too: a second traceback would hide the line.
            raise dg.DagsterInvalidDefinitionError(str(error)) from None


def every(minutes: int) -> list[str]:
    """Cron strings that together tick at every so many minutes of a day from midnight on."""
    if _HOUR % minutes == 0:
        return [f"*/{minutes} * * * *"]
    hours = defaultdict[int, list[str]](list)
    for at in range(0, _DAY, minutes):
        hours[at % _HOUR].append(str(at // _HOUR))
    return [f"{minute} {','.join(those)} * * *" for minute, those in sorted(hours.items())]


def _clock(at: time) -> str:
    return f"{at.minute} {at.hour}"
