"""`ui`: Dagster's web interface, daemon and schedules on this home.

Not here: definitions; Dagster runs as a process.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Annotated

import typer

from marketdata_pipeline.cli.child import dagster_environment
from marketdata_pipeline.cli.simulating import simulator_beside
from marketdata_pipeline.cli.state import console, state_of, taken
from marketdata_pipeline.database.home import Mode
from marketdata_pipeline.errors import BadInput, MarketDataError

_PATIENCE = 20.0
_WORKSPACE = Path(__file__).parents[2] / "workspace.yaml"


def ui(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the web interface.")] = 3000,
) -> None:
    """Run Dagster's web interface and schedules here, until Ctrl-C."""
    state = state_of(context)
    with state.opened() as home:
        replay = home.mode is Mode.REPLAY
        port_of_simulator = state.settings.simulator_port
        beside = simulator_beside(home, port_of_simulator) if replay else nullcontext()
        command = [sys.executable, "-m", "dagster", "dev", "-p", str(port), "-h", "127.0.0.1"]
        target = (
            ["-w", str(_WORKSPACE)]
            if _WORKSPACE.exists()
            else ["-m", "marketdata_pipeline.definitions"]
        )
        environment = dagster_environment(home, debug=state.debug)
        if taken(port):
            raise BadInput(f"port {port} is taken; choose another one: marketdata ui --port 3001")
        with beside, _running([*command, *target], environment) as child:
            console().print(f"Dagster on http://127.0.0.1:{port}; Ctrl-C ends it")
            if child.wait():
                raise MarketDataError(f"Dagster ended with code {child.returncode}; see above")


@contextmanager
def _running(
    command: list[str], environment: dict[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Dagster and all that it starts, in a session of their own: they end together, with us."""
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
    ) as child:
        try:
            yield child
        except KeyboardInterrupt:
            _end(child)
        except BaseException:
            _end(child)
            raise


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Tell the whole group to end; what has not after a while is killed."""
    for telling, patience in ((signal.SIGTERM, _PATIENCE), (signal.SIGKILL, None)):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, telling)
        with suppress(subprocess.TimeoutExpired):
            child.wait(patience)
