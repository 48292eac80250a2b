"""`ui`: Dagster's web interface, daemon and schedules on this home.

Not here: definitions; Dagster runs as a process.
"""

import subprocess
import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated

import typer

from marketdata_pipeline.cli.child import dagster_environment
from marketdata_pipeline.cli.simulating import simulator_beside
from marketdata_pipeline.cli.state import console, state_of
from marketdata_pipeline.database.home import Mode
from marketdata_pipeline.errors import MarketDataError

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
        with beside, suppress(KeyboardInterrupt):
            console().print(f"Dagster on http://127.0.0.1:{port}; Ctrl-C ends it")
            ended = subprocess.run(  # noqa: S603 - our own interpreter
                [*command, *target], env=dagster_environment(home), check=False
            )
            if ended.returncode:
                raise MarketDataError(f"Dagster ended with code {ended.returncode}; see above")
