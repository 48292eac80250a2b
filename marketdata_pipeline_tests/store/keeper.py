"""A process that takes a backup or puts one back, and can stand still half way to be killed there.

Not here: killing it (test_keeping).
"""

from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from marketdata_pipeline.database.home import open_home
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.store.backup import take_backup
from marketdata_pipeline.store.restore import restore_backup

RENAMED = "renamed"
STEPS = {
    "backup": ("rows copied", "files copied", RENAMED),
    "restore": (
        "files copied", "rows copied", "rows compared", "series read", "registered", RENAMED,
    ),
}  # fmt: skip


class _Steps:
    def __init__(self, until: str, told: Connection) -> None:
        self._until = until
        self._told = told

    def __call__(self, step: str, _done: int = 0, _total: int = 0) -> None:
        self._told.send(step)
        while step == self._until:
            SystemClock().sleep(1)

    def register(self, _dagster: Path, _instruments: Sequence[Instrument]) -> None:
        self("registered")

    def notice_rename(self, target: Path) -> None:
        """From now on the moment after ``target`` got its name is a step too."""
        rename = Path.rename

        def renamed(source: Path, to: Path) -> Path:
            found = rename(source, to)
            if to == target:
                self(RENAMED)
            return found

        Path.rename = renamed  # type: ignore[assignment, method-assign]


def back_up(home: Path, url: str | None, backup: Path, until: str, told: Connection) -> None:
    """Take a backup and tell each step; stand still at the one that is named."""
    steps = _Steps(until, told)
    steps.notice_rename(backup)
    with open_home(home, database_url=url) as opened:
        take_backup(opened, backup, steps)


def restore(home: Path, url: str | None, backup: Path, until: str, told: Connection) -> None:
    """The same while a backup is put back."""
    steps = _Steps(until, told)
    steps.notice_rename(home)
    restore_backup(backup, home, database_url=url, register=steps.register, told=steps)
