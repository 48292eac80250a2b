"""The settings: what each key means, its default, and what is allowed.

Not here: where values come from (places), and what a setting does. Only edges import this package
and hand plain values down. `python -m marketdata_pipeline.config` prints docs/configuration.md.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from marketdata_pipeline.config.alerting import Alerting
from marketdata_pipeline.config.asking import Asking
from marketdata_pipeline.config.happening import Happening
from marketdata_pipeline.config.holding import Holding
from marketdata_pipeline.config.places import Keys, read_places, spelled
from marketdata_pipeline.config.quality import Quality
from marketdata_pipeline.config.values import (
    LEVELS,
    MOST_PORT,
    TIMEFRAMES,
    Days,
    Level,
    Seconds,
    as_absolute,
    as_database,
    as_environment,
    as_lower,
    as_pairs,
    as_timeframes,
    known_components,
    setting,
)
from marketdata_pipeline.domain.timeframe import DEFAULT_TIMEFRAMES, Timeframe
from marketdata_pipeline.errors import SettingsError

_LONGEST_SHOWN: Final = 60


def _default_home() -> Path:
    """Where the home is when nobody says so: around Dagster's instance, else a folder here."""
    instance = Path(os.environ.get("DAGSTER_HOME", ""))
    marks = (instance.parent / name for name in ("catalog.sqlite", "bars"))
    if instance.name == "dagster" and any(one.exists() for one in marks):
        return instance.parent.resolve()
    names = (".marketdata", ".marketdata-demo")
    return Path(next((one for one in names if Path(one).is_dir()), names[0])).resolve()


class Settings(Alerting, Asking, Happening, Holding, Quality):
    """All settings, checked; make one with `load_settings`. Frozen; shows no secret."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    renamed: ClassVar[Mapping[str, str]] = {}
    """Old key -> new key, without prefix: the old one still works, with a warning."""
    aliases: ClassVar[Mapping[str, str]] = {
        "DATABASE_URL": "database_url",
        "FETCH_INTERVAL_MINUTES": "fetch_interval_minutes",
        "TRADING_HOURS_ONLY": "trading_hours_only",
        "MAX_REQUESTS_PER_MINUTE": "requests_per_minute",
        "BACKFILL_BATCH_SIZE": "backfill_batch",
        "MAX_BACKFILL_ATTEMPTS": "backfill_attempts",
        "RETRY_EXPONENTIAL_BASE": "backfill_retry_base",
    }
    """Names of an older downloader of ours, without prefix: they still work, with a warning."""

    home: Annotated[Path, AfterValidator(as_absolute)] = setting(
        _default_home,
        "Folder with the catalog, the bars and Dagster's instance; always made absolute.",
        "a path",
        said="the folder above `DAGSTER_HOME` if that is the `dagster` of a home; else "
        "`.marketdata`, or `.marketdata-demo` where only that exists",
    )
    database_url: Annotated[SecretStr, AfterValidator(as_database)] | None = setting(
        None,
        "Database of the catalog and the governor; several hosts need Postgres.",
        "postgresql://user:password@host/database or sqlite:////absolute/path/catalog.sqlite",
        said="SQLite in the home",
    )
    environment: Annotated[str, BeforeValidator(as_lower), AfterValidator(as_environment)] = (
        setting(
            "",
            "Whose keys of providers are used: with `staging` those in `FMP_API_KEY_STAGING` and "
            "so on, and no others.",
            "letters, digits and _, a letter first, neither _2 to _9 nor file at the end",
            said="none: those in `FMP_API_KEY` and so on",
        )
    )
    simulator_port: int = setting(
        8765,
        "Port of the simulator on 127.0.0.1.",
        f"a whole number from 1 to {MOST_PORT}",
        ge=1,
        le=MOST_PORT,
    )
    log_level: Annotated[Level, BeforeValidator(as_lower)] = setting(
        "info", "The least important lines that are logged.", LEVELS
    )
    log_levels: Annotated[
        dict[str, Level], BeforeValidator(as_pairs), AfterValidator(known_components)
    ] = setting(
        dict,
        "Levels of single components (the packages of marketdata_pipeline), where they differ.",
        f"component=level pairs such as providers=debug,store=warning; a level is {LEVELS}",
        said="none",
    )
    log_format: Annotated[Literal["auto", "console", "json"], BeforeValidator(as_lower)] = setting(
        "auto",
        "How a line is written: for people, or as one JSON object; auto is console.",
        "one of auto, console, json",
    )
    timeframes: Annotated[tuple[Timeframe, ...], BeforeValidator(as_timeframes)] = setting(
        DEFAULT_TIMEFRAMES,
        "Kept for each tracked instrument, unless it is tracked with others.",
        f"a comma-separated list out of {TIMEFRAMES}",
    )
    instruments_at_once: int = setting(
        3, "Instruments that one run asks for at the same time.", "1 to 32", ge=1, le=32
    )
    batch_seconds: Seconds = setting(
        timedelta(minutes=5),
        "Seconds after which a run over a list of series begins no further one; the next goes on.",
        "seconds, 0 or more; 0: it always does all of them",
        ge=timedelta(0),
    )
    failure_share: float = setting(
        0.3,
        "Share of failed series above which a run over many fails; after ten that fail because of "
        "their provider it begins no further one.",
        "0 to 1",
        ge=0,
        le=1,
    )
    picture_limit: int = setting(
        20,
        "Most partitions of a run for it to attach a picture of the candles to each.",
        "0 to 1000",
        ge=0,
        le=1000,
    )
    refresh_delay: Seconds = setting(
        timedelta(minutes=30),
        "Seconds after the close before daily bars are asked for; intraday ones after at most 300.",
        "seconds, 0 or more",
        ge=timedelta(0),
    )
    superseded_kept: Days = setting(
        timedelta(days=7),
        "Days for which a value that a later one replaced before it was final can still be read.",
        "days, 0 or more",
        said="`7`",
        ge=timedelta(0),
    )
    file_grace: Seconds = setting(
        timedelta(hours=1),
        "Seconds for which a bar file that nothing names any more is kept for those who read it.",
        "seconds, 60 or more",
        ge=timedelta(seconds=60),
    )
    untracked_kept: Days = setting(
        timedelta(days=30),
        "Days for which the bars of an instrument stay after it is no longer tracked.",
        "days, 0 or more",
        said="`30`",
        ge=timedelta(0),
    )
    request_log_kept: Days = setting(
        timedelta(days=7),
        "Days for which each request to a provider stays in the log.",
        "days, 1 or more",
        said="`7`",
        ge=timedelta(days=1),
    )
    dagster_retention: Days = setting(
        timedelta(days=30),
        "Days for which Dagster's runs and events stay, but for those that a status is read from.",
        "days, 0 or more; 0 keeps all of them",
        said="`30`",
        ge=timedelta(0),
    )

    @property
    def simulator_url(self) -> str:
        """Base URL of the simulator, on loopback."""
        return f"http://127.0.0.1:{self.simulator_port}"

    @property
    def database(self) -> str | None:
        """The catalog's URL with its password, None for SQLite in the home."""
        return None if self.database_url is None else self.database_url.get_secret_value()

    def secrets(self) -> list[str]:
        """The values that no log line may show, for `logs.redact`."""
        values = (getattr(self, name) for name in self.keys().secret)
        whole = [one.get_secret_value() for one in values if isinstance(one, SecretStr)]
        return list(dict.fromkeys([*whole, *self.alert_secrets()]))

    @classmethod
    def keys(cls) -> Keys:
        """The keys that exist, without prefix."""
        secret = (name for name, one in cls.model_fields.items() if "Secret" in str(one.annotation))
        return Keys(tuple(cls.model_fields), tuple(secret), cls.renamed, cls.aliases)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Pydantic's hook: who comes first counts."""
        places = (InitSettingsSource(settings_cls, one.values) for one in read_places(cls.keys()))
        return init_settings, *places


def load_settings(**overrides: object) -> Settings:
    """The settings of this process; `overrides` (None: not given) beat every other place.

    Raises:
        SettingsError: a value that is not allowed, an unknown key, an unreadable file; one
            sentence that names the keys as they were written, and never a secret.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise SettingsError(_sentence(error, given)) from error


def _sentence(error: ValidationError, given: Mapping[str, object]) -> str:
    keys = Settings.keys()
    written = dict.fromkeys(given, "")
    for place in read_places(keys):
        written = {**place.written, **written}
    said: dict[str, str] = {}
    for one in error.errors(include_url=False):
        key = str(one["loc"][0])
        name = written.get(key) or spelled(key)
        if key not in keys.known:
            said[key] = f"{name} is not a setting"
            continue
        shown = "'***'" if key in keys.secret else repr(one["input"])[:_LONGEST_SHOWN]
        why = str(one.get("ctx", {}).get("error", ""))
        hint = f" ({why})" if why and key not in keys.secret else ""
        said.setdefault(key, f"{name} is {shown}, it must be {allowed(key)}{hint}")
    return "; ".join(said.values())


def allowed(key: str) -> str:
    """What a setting may be, in words."""
    extra = Settings.model_fields[key].json_schema_extra
    return str(extra["allowed"]) if isinstance(extra, dict) else ""
