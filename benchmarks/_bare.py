"""The peer: a bare loop of yfinance and `to_parquet`, as somebody writes it who has no pipeline.

Not here: what is measured of it. It imports nothing of the project. Its session finds its way to a
simulator as the project's does: host names stay, the resolver says loopback.
`python benchmarks/_bare.py PLAN FOLDER`; PLAN is a JSON file of a port, a folder where yfinance may
keep zones between runs, and for each instrument and fetched timeframe the windows to ask for.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import yfinance as yf
from curl_cffi import CurlOpt
from curl_cffi.requests import Session

_DERIVED = {"1h": ("4h", {"rule": "4h"}), "1d": ("1wk", {"rule": "W-MON", "closed": "left"})}
_HOW = {"Open": "first", "High": "max", "Low": "min", "Close": "last", "Volume": "sum"}


class ResolveSession(Session[Any]):
    """Keeps Yahoo's host names, so that cookies are Yahoo's, and resolves them to loopback."""

    def __init__(self, port: int) -> None:
        super().__init__(curl_options={CurlOpt.RESOLVE: [f"*:{port}:127.0.0.1"]})
        self._port = port

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        """By plain http to the port."""
        local = re.sub(r"^https?://([^/:]+)", rf"http://\1:{self._port}", url)
        return super().request(method, local, *args, **kwargs)


def main(plan: dict[str, Any], folder: Path) -> None:
    """Ask for each window, write one file a series."""
    yf.set_tz_cache_location(plan["zones"])
    session = ResolveSession(plan["port"])
    for symbol, timeframes in plan["windows"].items():
        ticker = yf.Ticker(symbol, session=session)
        for timeframe, windows in timeframes.items():
            frames = [
                ticker.history(
                    start=pd.Timestamp(start, unit="s", tz="UTC"),
                    end=pd.Timestamp(end, unit="s", tz="UTC"),
                    interval=timeframe,
                    auto_adjust=False,
                )
                for start, end in windows
            ]
            bars = frames[0] if len(frames) == 1 else pd.concat(frames)
            bars.to_parquet(folder / f"{symbol} {timeframe}.parquet")
            if timeframe in _DERIVED:
                coarse, how = _DERIVED[timeframe]
                made = bars.resample(label="left", **how).agg(_HOW).dropna()
                made.to_parquet(folder / f"{symbol} {coarse}.parquet")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
