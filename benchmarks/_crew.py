"""The clients of one gate as those see them who measure: started, told to go, to stop, or killed.

Not here: what a client does (_client), and what the simulator saw of it (_served).
"""

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from _client import Plan
from _gates import Answer, Ccxt, Ours, Pyrate, Sleep, written

CLIENTS = 8
_PATIENCE = 10.0
_PROGRAM = Path(__file__).with_name("_client.py")
_ALONE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Who forks had better have no threads."""

Log = Mapping[str, Sequence[Answer]]
"""The requests of each client by its name, in their order."""


@dataclass(slots=True)
class Crew:
    """The clients of one gate, who are getting ready."""

    plan: Plan
    child: "Popen[str]"
    pids: Sequence[int] = ()

    def ready(self) -> None:
        """Wait until all are.

        Raises:
            RuntimeError: they are not, and will not be; standard error says why.
        """
        self.pids = self.pids or self._heard()

    def go(self) -> None:
        """All begin, once all are ready."""
        self.ready()
        self._ask("go")

    def cpu(self) -> list[float]:
        """The CPU seconds that each took so far."""
        return [float(one) for one in self._ask("cpu")]

    def stop(self) -> Log:
        """All end, wherever they are; what they did.

        Raises:
            RuntimeError: one ended before; standard error says why.
        """
        told = self._ask("stop")
        if None in told:
            raise RuntimeError("a client ended by itself")
        return {
            name: [Answer(*one) for one in each]
            for name, each in zip(self.plan.names(), told, strict=True)
        }

    def kill(self) -> None:
        """Kill -9 each of them."""
        for one in self.pids:
            os.kill(one, signal.SIGKILL)

    def _ask(self, what: str) -> list[Any]:
        if self.child.stdin is not None:
            with suppress(BrokenPipeError):  # then there is no answer either
                print(what, file=self.child.stdin, flush=True)
        return self._heard()

    def _heard(self) -> list[Any]:
        line = self.child.stdout.readline() if self.child.stdout is not None else ""
        if not line:
            code = self.child.wait(_PATIENCE)
            raise RuntimeError(f"the clients of {self.plan.gate} ended by themselves, with {code}")
        said: list[Any] = json.loads(line)
        return said


@contextmanager
def crew(
    gate: Ours | Ccxt | Pyrate | Sleep,
    port: int,
    clients: int = CLIENTS,
    *,
    provider: bool = False,
) -> Iterator[Crew]:
    """Clients behind a gate, who ask the simulator at a port; all are gone with the block.

    ``provider``: through the Yahoo provider.
    """
    plan = Plan(written(gate), port, clients, provider)
    command = [sys.executable, str(_PROGRAM), plan.text()]
    with Popen(  # noqa: S603 - a program of ours
        command, stdin=PIPE, stdout=PIPE, text=True, env={**os.environ, **_ALONE}
    ) as child:
        try:
            yield Crew(plan, child)
        finally:
            with suppress(BrokenPipeError):
                child.communicate()
