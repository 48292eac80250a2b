"""What the governor gets out of a provider's quota, and what that costs, beside its peers.

Not here: how each part is measured; its module says so. All counts are the simulator's own: it
listens on this machine, grants what its quota allows in any sliding window, and refuses the rest.

    _turns.py       a turn, waiting for one, a burst, urgent ones among many
    _together.py    a cooldown and a breaker, over all processes, kill -9 and restarts
    _known.py       a quota that is known, by bare clients and through the Yahoo provider
    _moving.py      a quota that nobody tells and that moves, beside ccxt, pyrate-limiter, a sleep
    _faulty.py      a batch whose provider does all that can go wrong; _troubled.py that provider
    _race.py _crew.py _client.py    gates side by side, their clients, a process each
    _gates.py _served.py _catalogs.py    the gates, the simulators, the catalogs

In full it takes three quarters of an hour, in which the machine had better be left alone: requests
that arrive later than the governor allows for look like requests over the quota.
"""

import signal
import sys
from collections.abc import Iterator

import _faulty
import _known
import _moving
import _together
import _turns
from _catalogs import Catalogs, catalogs
from _crew import CLIENTS
from _report import Figure, Options, options, report

from marketdata_pipeline.governor.gcra import SPREAD


def main() -> int:
    """Measure and report."""
    asked = options(__doc__.partition("\n")[0] if __doc__ else "")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or nothing is cleaned up
    with catalogs() as where:
        figures = list(_figures(where, asked))
    about = {"processes": CLIENTS, "spread_ms": 1e3 * SPREAD.total_seconds()}
    return report(figures, asked, about)


def _figures(where: Catalogs, asked: Options) -> Iterator[Figure]:
    quick = asked.quick
    _say("turns")
    yield from _turns.figures(_turns.QUICK if quick else _turns.FULL, where)
    _say("cooldowns and breakers")
    together = _together.QUICK if quick else _together.FULL
    yield from _together.figures(_together.measured(together, where), together)
    _say("quotas that are known")
    known = _known.QUICK if quick else _known.FULL
    yield from _known.figures(_known.measured(known, where), known, quick=quick)
    _say("a quota that moves")
    moving = _moving.QUICK if quick else _moving.FULL
    yield from _moving.figures(_moving.measured(moving, where), moving, quick=quick)
    _say("a batch with faults")
    faulty = _faulty.QUICK if quick else _faulty.FULL
    yield from _faulty.figures(_faulty.measured(faulty, where.folder), quick=quick)


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
