"""A process that takes a backup or puts one back, and can stand still half way to be killed there.

``python -m marketdata_pipeline_tests.store.keeper backup|restore HOME URL BACKUP STEP`` prints a
line at each step; at the one that is named it stands still until it is killed. URL may be empty.
"""

import sys
from collections.abc import Sequence
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
    def __init__(self, until: str) -> None:
        self._until = until

    def __call__(self, step: str, _done: int = 0, _total: int = 0) -> None:
        print(step, flush=True)  # noqa: T201 - its parent reads it
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


def main(what: str, home: str, url: str, backup: str, until: str) -> None:
    steps, database = _Steps(until), url or None
    steps.notice_rename(Path(backup if what == "backup" else home))
    if what == "backup":
        with open_home(Path(home), database_url=database) as opened:
            take_backup(opened, Path(backup), steps)
    else:
        restore_backup(
            Path(backup), Path(home), database_url=database, register=steps.register, told=steps
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
