"""Looks at what is around a home: settings and keys as given, the machine, Dagster's instance.

Not here: the home itself and its providers (checkup), and what is well (reading.health).
"""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from marketdata_pipeline.cli.beside import Beside
from marketdata_pipeline.config import Settings
from marketdata_pipeline.config.credentials import find_credentials, variables
from marketdata_pipeline.config.places import DOTENV, TOML, read_places
from marketdata_pipeline.database.machine import disk_of, memory_available
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.errors import MarketDataError, SettingsError
from marketdata_pipeline.orchestrator import instance_state
from marketdata_pipeline.providers.registry import PROVIDERS
from marketdata_pipeline.reading.health.finding import Finding, wrong
from marketdata_pipeline.reading.health.given import (
    Key,
    judge_keys,
    judge_settings,
    refused_settings,
)
from marketdata_pipeline.reading.health.instance import (
    InstanceState,
    judge_code_locations,
    judge_dagster_home,
    judge_dagster_yaml,
    judge_instance,
)
from marketdata_pipeline.reading.health.machine import (
    judge_home_disk,
    judge_memory,
    judge_temporary_disk,
)

_UNUSED = frozenset({"dagster.yaml", "last-run.log"})
"""What lies in the folder of an instance that Dagster has never opened."""


def look_at_settings(*, home_named: bool) -> Finding:
    """Where the settings of this process come from; they can be read, or this was not called."""
    given: dict[str, list[str]] = {"the command line": ["--home"] if home_named else []}
    seen: set[str] = {"home"} if home_named else set()
    labels = ("the environment", DOTENV, TOML)
    for label, place in zip(labels, read_places(Settings.keys()), strict=True):
        names = {key: text.removesuffix(f" in {label}") for key, text in place.written.items()}
        given[label] = [text for key, text in names.items() if key not in seen]
        seen |= set(names)
    return judge_settings(given)


def look_at_keys(environment: str) -> list[Finding]:
    """The keys that the registry's providers ask for, as an environment gives them."""
    keyed = [one for one in PROVIDERS.values() if one.keys]
    asked = {one.name: [variables(name, environment)[0] for name in one.keys] for one in keyed}
    try:
        keys = [
            Key(kind.name, one.name, one.place or "the environment", one.trouble)
            for kind in keyed
            for one in find_credentials(kind.keys, environment)
        ]
    except SettingsError as error:
        return [refused_settings(str(error))]
    return judge_keys(asked, keys, environment)


def look_at_machine(home: Path | None) -> Iterator[Finding]:
    """Room on disk for a home (None: there is none) and for what is temporary; memory."""
    if home is not None:
        try:
            yield judge_home_disk(home, disk_of(home))
        except OSError as error:
            yield wrong("disk", f"{home} cannot be looked at: {error.strerror}", "mend that disk")
    try:
        folder = Path(tempfile.gettempdir())
        yield judge_temporary_disk(folder, disk_of(folder))
    except OSError as error:
        told = f"none can be used: {error.strerror}"
        yield wrong("temporary folder", told, "have TMPDIR name one that can be written")
    memory = judge_memory(memory_available())
    if memory is not None:
        yield memory


@dataclass(frozen=True, slots=True)
class Instance:
    """Dagster's instance of a home.

    It is opened beside all else: importing Dagster takes its second, and its storage may hang.
    """

    own: Path
    opened: Beside[InstanceState | str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "opened", Beside(self._open))

    def _open(self) -> InstanceState | str:
        """Its state, or why it cannot be used; what was never used is not made."""
        try:
            if {one.name for one in self.own.iterdir()} <= _UNUSED and not self._edited():
                return InstanceState()
            return instance_state(self.own)
        except OSError as error:
            return f"{self.own} cannot be read: {error.strerror}"
        except MarketDataError as error:
            return str(error)

    def _edited(self) -> bool:
        return self._settings() != _packaged()

    def _settings(self) -> str | None:
        try:
            return (self.own / "dagster.yaml").read_text("utf-8", "replace")
        except FileNotFoundError:
            return None

    def look(self, until: float) -> Iterator[Finding]:
        """DAGSTER_HOME, the instance's settings, its daemon and schedules, what is loaded here."""
        given = os.environ.get("DAGSTER_HOME", "")
        yield judge_dagster_home(given, self.own, there=Path(given).is_dir())
        try:
            yield judge_dagster_yaml(_packaged(), self._settings())
        except OSError as error:
            told = f"cannot be read: {error.strerror}"
            yield wrong("dagster.yaml", told, "give this user the right to read it")
        state = self.opened.told(until=until)
        if state is None:
            told = "Dagster's storage did not answer in time"
            yield wrong("daemon", told, "look at the database that dagster.yaml names")
        elif isinstance(state, str):
            yield wrong("daemon", state, "mend dagster.yaml or what it names")
        else:
            yield from judge_instance(state, SystemClock().wall_now())
        loaded = judge_code_locations(_here("pyproject.toml"), _here("workspace.yaml"))
        if loaded is not None:
            yield loaded


def _packaged() -> str:
    return files("marketdata_pipeline.database").joinpath("dagster.yaml").read_text("utf-8")


def _here(name: str) -> str | None:
    """A file of the working directory, which is where Dagster's own commands look."""
    try:
        return Path(name).read_text("utf-8", "replace")
    except OSError:
        return None
