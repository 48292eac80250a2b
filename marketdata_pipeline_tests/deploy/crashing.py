"""Dagster's daemon, which dies at a point of a sensor's tick: at once, once, when it is told to.

Not here: the tests. Started as ``python crashing.py POINT FILE run ...`` it is ``dagster-daemon run
...``, until FILE exists: it removes that and ends as kill -9 would end it, at the next tick that
comes to POINT.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

KEYS_ADDED = "KEYS_ADDED"
"""The partition keys are added, nothing else."""
POINTS = (KEYS_ADDED, "RUN_IDS_RESERVED", "RUN_CREATED", "RUN_LAUNCHED")
"""In the order in which a tick comes to them; all but the first are Dagster's own names."""


def main() -> None:
    """Patch the daemon's module of sensors and be the daemon."""
    point, armed = sys.argv[1], Path(sys.argv[2])
    from dagster._daemon import sensor

    keys_added: Callable[..., Any] = sensor._handle_dynamic_partitions_requests  # noqa: SLF001 - Dagster gives no other point

    def die() -> None:
        if armed.exists():
            armed.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    def crash(_flags: object, key: str) -> None:
        if key == point:
            die()

    def handled(requests: Any, *rest: Any, **named: Any) -> Any:
        done = keys_added(requests, *rest, **named)
        if requests and point == KEYS_ADDED:
            die()
        return done

    vars(sensor).update(check_for_debug_crash=crash, _handle_dynamic_partitions_requests=handled)
    from dagster._daemon.cli import main as daemon

    sys.argv = ["dagster-daemon", *sys.argv[3:]]
    daemon()


if __name__ == "__main__":
    main()
