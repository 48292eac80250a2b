"""`ui`: Dagster's web interface, daemon and schedules on this home.

Not here: definitions; Dagster runs as a process.
"""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Annotated

import typer

from marketdata_pipeline.cli.child import dagster_environment
from marketdata_pipeline.cli.simulating import simulator_beside
from marketdata_pipeline.cli.state import console, state_of
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
        refuse_taken(port)
        with beside, _running([*command, *target], environment) as child:
            console().print(f"Dagster on http://127.0.0.1:{port}; Ctrl-C ends it")
            if child.wait():
                raise MarketDataError(f"Dagster ended with code {child.returncode}; see above")


def refuse_taken(port: int) -> None:
    """Say so before Dagster starts, since it would take its time to.

    Raises:
        BadInput: something listens on the port.
    """
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise BadInput(f"port {port} is taken; choose another one: marketdata ui --port 3001")


@contextmanager
def _running(
    command: list[str], environment: dict[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Dagster as a child that gets the time to end its own children, however this ends.

    In a group of its own, so that it is told to end once, by us: Ctrl-C at a terminal goes to
    every process of a group, a signal from a program to one only.
    """
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        command, env=environment, stdin=subprocess.DEVNULL, process_group=0
    ) as child:
        try:
            with suppress(KeyboardInterrupt):
                yield child
        finally:
            _end(child)


def _end(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is not None:
        return
    child.send_signal(signal.SIGINT)
    try:
        child.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
