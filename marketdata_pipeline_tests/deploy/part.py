"""One process with all that it starts: started, stopped and killed as a service would be.

Not here: which process (units, stack).
"""

import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from marketdata_pipeline.domain.clock import SystemClock

_MARK = "STACK_PART"
"""Variable by which all processes that a part has started are found, as by a control group."""
_PATIENCE = 120.0
_TERM = 30.0
_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Member:
    """A process of a part: its command line, and how many MB of it are resident."""

    pid: int
    command: str
    resident: float


@dataclass
class Part:
    """One process and all that it starts.

    Attributes:
        after_start: a command that has to succeed before the part counts as up; empty: none.
        log: what it and its children print, all starts one after the other.
        took: seconds of the last start, until it was up.
        alone: whether what it has started outlives it when it ends (``KillMode=process``).
        port: on loopback, where it has to listen before it counts as up; None: nowhere.
    """

    name: str
    command: Sequence[str]
    after_start: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    took: float = 0.0
    port: int | None = None
    alone: bool = False
    _mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it; returns once it is up as its unit has it.

        Raises:
            AssertionError: it runs already, ends at once, or is not up within two minutes.
        """
        assert not self.running, f"{self.name} runs"
        began = time.monotonic()
        environment = {**self.environment, _MARK: self._mark}
        with self.log.open("a") as said:
            self._process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
            if self.after_start:
                done = subprocess.run(
                    self.after_start,
                    env=environment,
                    stdout=said,
                    stderr=said,
                    timeout=_PATIENCE,
                    check=False,
                )
                assert done.returncode == 0, self.said()
        while self.port is not None and not _listens(self.port):
            assert self.running, self.said()
            assert time.monotonic() - began < _PATIENCE, self.said()
            _CLOCK.sleep(0.05)
        self.took = time.monotonic() - began

    @property
    def running(self) -> bool:
        """Whether its main process does."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Tell it to end, as systemd does: all of it, or its main process where it is ``alone``.

        What has not ended after a while is killed.
        """
        if self.alone and self._process is not None:
            self._process.terminate()
        else:
            self._signal(signal.SIGTERM)
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_TERM)
        if self.alone:
            self.kill_main()
        else:
            self.kill()

    def kill(self) -> None:
        """End its main process and all that it has started at once, without a word."""
        while self._signal(signal.SIGKILL):
            _CLOCK.sleep(0.05)
        if self._process is not None:
            self._process.wait()

    def kill_main(self) -> None:
        """End its main process only, as the kernel does when memory is short."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def members(self) -> list[Member]:
        """Its processes that live, the oldest first (Linux only).

        By when they began: process ids start anew at the bottom once the highest was given out.
        """
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it ended meanwhile
                if f"{_MARK}={self._mark}\0".encode() in (folder / "environ").read_bytes():
                    found.append((_began(folder), _member(folder)))
        return [one for _, one in sorted(found, key=lambda one: (one[0], one[1].pid))]

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text("utf-8", "replace")[-4000:] if self.log.exists() else ""

    def _signal(self, number: int) -> bool:
        """Whether there was anybody to tell."""
        living = [one.pid for one in self.members()]
        for pid in living:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return bool(living)


def _began(folder: Path) -> int:
    """Ticks since the machine's start (field 22 of proc(5)'s stat, after the name in brackets)."""
    return int((folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19])


def _member(folder: Path) -> Member:
    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    if not command:
        raise ProcessLookupError(folder.name)  # it ended, and waits for its parent to notice
    pages = int((folder / "statm").read_text().split()[1])
    return Member(int(folder.name), command.strip(), pages * os.sysconf("SC_PAGE_SIZE") / 1e6)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
