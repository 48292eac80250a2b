"""The simulator as a process: `python -m marketdata_pipeline.simulator --help`.

Not here: what it answers (yahoo) and serving (server). It serves the configured replay home's
market time on 127.0.0.1 at the configured port until it is told to end; ``--beside`` another
process also until its standard input is closed, as it is when that process ends.
"""

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence

from marketdata_pipeline.config import load_settings
from marketdata_pipeline.database.home import History, open_home
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.errors import BadInput, MarketDataError
from marketdata_pipeline.simulator.histories import history_of, start_of
from marketdata_pipeline.simulator.limits import Latency, Limits
from marketdata_pipeline.simulator.quota import Step, in_order
from marketdata_pipeline.simulator.server import Simulator
from marketdata_pipeline.simulator.wire import RetryAfter


def arguments() -> argparse.Namespace:
    """What the process was started with."""
    parser = argparse.ArgumentParser(description="Serve a replay home on 127.0.0.1.")
    parser.add_argument("--describe", metavar="HISTORY", help="print where a new replay starts")
    parser.add_argument("--beside", action="store_true", help="end with standard input")
    parser.add_argument(
        "--quota", action="append", default=[], help="10/1,2000/3600, or from a time on: 30/60@600"
    )
    parser.add_argument(
        "--retry-after", default="seconds", choices=[one.value for one in RetryAfter]
    )
    parser.add_argument("--latency", type=float, default=0.0, help="median seconds of an answer")
    return parser.parse_args()


def serve(limits: Limits) -> None:
    """Serve the configured replay home.

    Raises:
        BadInput: the home is a live one, the port is taken, or the recorded bars are not there.
    """
    settings = load_settings()
    home = open_home(settings.home, database_url=settings.database)
    home.engine.dispose()
    if home.history is None:
        raise BadInput(
            f"{home.folder} is a live home and refuses the simulator; "
            "set MARKETDATA_HOME to a replay home, e.g. .marketdata-demo"
        )
    history = history_of(home.history, home.seed)
    Simulator(history, home.clock, settings.simulator_port, limits=limits).serve()


def describe(history: History) -> None:
    """Print as JSON where a new replay home of a history starts."""
    start = start_of(history, SystemClock().wall_now())
    sys.stdout.write(json.dumps({"market_start": start.isoformat()}) + "\n")


def end_with_parent() -> None:
    """End this process once nobody can write to its standard input any more."""

    def wait() -> None:
        while os.read(0, 1024):  # not by sys.stdin, whose lock would hold up the interpreter's end
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def steps(quotas: Sequence[str]) -> tuple[Step, ...]:
    """The schedule of quotas in their spellings.

    Raises:
        BadInput: one is none, or they are not in the order of their times.
    """
    return in_order([Step.parse(one) for one in quotas])


def main() -> None:
    """Do what the arguments say.

    Raises:
        MarketDataError: it cannot be done; the text says what to do.
    """
    given = arguments()
    if given.beside:
        end_with_parent()
    if given.describe is not None:
        describe(History(given.describe))
        return
    serve(Limits(steps(given.quota), Latency(given.latency), RetryAfter(given.retry_after)))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)
    except MarketDataError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2 if isinstance(error, BadInput) else 1)
