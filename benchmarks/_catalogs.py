"""Catalogs for governors, on SQLite and on Postgres, with nothing in them but tables.

Not here: homes, which have bars and a Dagster instance besides (_place, _stage).
"""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from _gates import WARM, WARM_LIMITS, Ours
from _place import POSTGRES, SQLITE, postgres

from marketdata_pipeline.database.engine import open_engine
from marketdata_pipeline.database.migrate import upgrade
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.gate import Limits
from marketdata_pipeline.governor.governor import Governor

STORAGES = (SQLITE, POSTGRES)
_EMPTY = "empty.sqlite"


@dataclass(frozen=True, slots=True)
class Catalogs:
    """Makes gates; ``server`` is a Postgres' URL with `{database}` in it.

    On SQLite each has a catalog of its own, since only one process at a time may write to one. On
    Postgres, where each locks its own row only, they have keys of their own in one database.
    """

    folder: Path
    server: str
    _made: dict[str, str] = field(default_factory=dict)

    def gate(
        self, storage: str, limits: Limits, *, scale: float = 1.0, priority: str = "tracked"
    ) -> Ours:
        """One of a key that nobody used so far, with these limits; see ``Ours``."""
        name = f"provider-{uuid.uuid4().hex[:12]}"
        url = self._url(storage, name)
        engine = open_engine(url)
        governor = Governor(engine, SystemClock())
        governor.register(name, limits)
        governor.register(WARM, WARM_LIMITS)
        engine.dispose()
        return Ours(url, name, scale, priority)

    def _url(self, storage: str, name: str) -> str:
        if storage not in self._made:
            self._made[storage] = self._upgraded(storage)
        if storage == POSTGRES:
            return self._made[storage]
        shutil.copy(self.folder / _EMPTY, self.folder / name)
        return f"sqlite:///{self.folder / name}"

    def _upgraded(self, storage: str) -> str:
        url = f"sqlite:///{self.folder / _EMPTY}"
        if storage == POSTGRES:
            url = self.server.format(database="postgres")
        engine = open_engine(url)
        upgrade(engine)
        engine.dispose()
        return url


@contextmanager
def catalogs() -> Iterator[Catalogs]:
    """A folder and a server, gone with all catalogs at the end of the block."""
    with TemporaryDirectory(prefix="marketdata-governor-") as folder, postgres() as server:
        yield Catalogs(Path(folder), server)
