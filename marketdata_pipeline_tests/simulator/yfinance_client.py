"""Real yfinance in a process of its own: it keeps one session, cookie and cache for each process.

Not here: the session that the project itself uses; this one only finds its way to a simulator.
"""

import re
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd

Outcome = pd.DataFrame | tuple[str, str]


@contextmanager
def fresh_process(folder: Path) -> Iterator[Executor]:
    """A process whose yfinance keeps its caches in ``folder`` and raises what goes wrong."""
    pool = ProcessPoolExecutor(1, get_context("spawn"), _prepare, (str(folder),))
    with pool:
        yield pool


def _prepare(folder: str) -> None:
    import yfinance

    yfinance.set_tz_cache_location(folder)
    yfinance.config.debug.hide_exceptions = False


def history(port: int, symbol: str, **asked: Any) -> Outcome:
    """What ``Ticker.history`` returns, or name and text of the exception that it raises."""
    import yfinance
    from curl_cffi import CurlOpt
    from curl_cffi.requests import Session
    from yfinance.data import YfData

    class ResolveSession(Session[Any]):
        """Keeps Yahoo's host names, so that cookies are Yahoo's, and resolves them to loopback."""

        def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
            local = re.sub(r"^https?://([^/:]+)", rf"http://\1:{port}", url)
            return super().request(method, local, *args, **kwargs)

    YfData.cache_get.cache_clear()
    with ResolveSession(curl_options={CurlOpt.RESOLVE: [f"*:{port}:127.0.0.1"]}) as session:
        try:
            found = yfinance.Ticker(symbol, session=session).history(auto_adjust=False, **asked)
        except Exception as error:  # noqa: BLE001 - they do not survive the way between processes
            return type(error).__name__, str(error)
    return pd.DataFrame(found)
