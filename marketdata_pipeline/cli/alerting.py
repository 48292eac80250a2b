"""Alerts beside a worker: looks once a minute, in a thread of its own.

Not here: a look (ingest.alerting), and what a person asks of alerts (alerts).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from marketdata_pipeline.errors import MarketDataError
from marketdata_pipeline.ingest.alerting import Alerting
from marketdata_pipeline.logs import get_logger

EVERY = 60.0
"""Seconds from the end of one look to the next."""
_LONGEST = 5.0
"""Seconds that the end of a worker waits for a look that is under way."""
_log = get_logger(__name__)


@contextmanager
def alerting_beside(
    alerting: Alerting, every: float = EVERY, longest: float = _LONGEST
) -> Iterator[None]:
    """Look while the body runs; a receiver that does not answer keeps nobody waiting."""
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            look_once(alerting)
            over.wait(every)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(longest)


def look_once(alerting: Alerting) -> None:
    """One look; what goes wrong with it is a line of the log, the work goes on."""
    try:
        alerting.look()
    except MarketDataError as error:
        _log.warning("alerts are looked at again", error=str(error))
