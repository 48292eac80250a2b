"""The simulator as a process: `python -m marketdata_pipeline.simulator [--describe | --beside]`.

Not here: what it answers (yahoo) and serving (server). It serves the configured replay home's
market time on 127.0.0.1 at the configured port until it is told to end; ``--beside`` another
process also until its standard input is closed, as it is when that process ends.
"""

import json
import os
import signal
import sys
import threading

from marketdata_pipeline.config import load_settings
from marketdata_pipeline.database.home import Mode, open_home
from marketdata_pipeline.errors import BadInput, MarketDataError
from marketdata_pipeline.simulator.recorded import recorded_history, replay_start
from marketdata_pipeline.simulator.server import Simulator


def serve() -> None:
    """Serve the configured replay home.

    Raises:
        BadInput: the home is a live one, the port is taken, or the recorded bars are not there.
    """
    settings = load_settings()
    home = open_home(settings.home, database_url=settings.database)
    home.engine.dispose()
    if home.mode is not Mode.REPLAY:
        raise BadInput(
            f"{home.folder} is a live home and refuses the simulator; "
            "set MARKETDATA_HOME to a replay home, e.g. .marketdata-demo"
        )
    Simulator(recorded_history(), home.clock, settings.simulator_port).serve()


def describe() -> None:
    """Print as JSON where a new replay home of the recorded history starts."""
    history = recorded_history()
    known = {
        "history": history.name,
        "market_start": replay_start(history).isoformat(),
        "instruments": [str(one) for one in history.instruments()],
    }
    sys.stdout.write(json.dumps(known) + "\n")


def end_with_parent() -> None:
    """End this process once nobody can write to its standard input any more."""

    def wait() -> None:
        while os.read(0, 1024):  # not by sys.stdin, whose lock would hold up the interpreter's end
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    if "--beside" in sys.argv[1:]:
        end_with_parent()
    try:
        describe() if "--describe" in sys.argv[1:] else serve()
    except KeyboardInterrupt:
        sys.exit(0)
    except MarketDataError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2 if isinstance(error, BadInput) else 1)
