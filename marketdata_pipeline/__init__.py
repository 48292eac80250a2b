"""A true OHLCV history of the instruments that portfolios hold, kept by Dagster.

The map, from the top down; imports run down only:

    definitions.py               assembles Dagster's Definitions
    defs  cli  simulator         edges: they read the settings and talk to people or programs
    assembly.py                  settings and a home in, use cases on it out
    orchestrator.py              the one client of a Dagster instance
    reading  ingest              read what is stored | events, queue, plan, update, settle
    providers  governor  store   adapters, ignorant of each other
    database                     engine, tables, migrations
    domain                       plain values, pure functions, ports
    errors.py  config.py

For code that only reads, ``get_ohlcv`` is enough; it imports neither Dagster nor a provider.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime

    import pandas as pd

__all__ = ["get_ohlcv"]


def get_ohlcv(
    instrument: str,
    timeframe: str = "1d",
    start: "str | date | datetime | None" = None,
    end: "str | date | datetime | None" = None,
    adjust: str = "splits",
    *,
    as_of: "date | datetime | str | None" = None,
) -> "pd.DataFrame":
    """Stored bars of a series of the configured home; never asks a provider.

    Args:
        instrument: Yahoo's spelling, e.g. ``AAPL``, ``AZN.L``, ``BTC-USD``.
        timeframe: one of 1m 5m 15m 1h 4h 1d 1wk, or another library's spelling of it.
        start: first label wanted; an ISO date or an instant, UTC where no zone is given.
        end: the label before which it ends (half-open); None for the newest.
        adjust: ``none`` (as traded), ``splits``, or ``all`` (splits and dividends).
        as_of: only what was stored by this instant of wall time, with the raw values that it had;
            ``attrs["superseded_since"]`` says from which instant on nothing is lacking.

    Returns:
        A frame indexed by ``ts`` (UTC, microseconds; a bar's open, or the session's date at 00:00
        for 1d and 1wk) with float64 columns open high low close (quote currency) and volume
        (units). ``attrs`` name the basis and the currency. Empty: kept, but no bar there.

    Raises:
        BadInput: a malformed argument, no home, or a series that is not kept.
        StoreError: the catalog or a file is unreadable.
    """
    from marketdata_pipeline.config import load_settings
    from marketdata_pipeline.domain.instrument import Instrument
    from marketdata_pipeline.domain.ranges import parse_instant
    from marketdata_pipeline.domain.series import Series
    from marketdata_pipeline.domain.timeframe import Timeframe
    from marketdata_pipeline.reading.data import label_range, parse_adjust
    from marketdata_pipeline.reading.opened import opened

    series = Series(Instrument.parse(instrument), Timeframe.parse(timeframe))
    basis, within = parse_adjust(adjust), label_range(start, end)
    settings = load_settings()
    with opened(settings.home, settings.database) as data:
        known = None if as_of is None else parse_instant(as_of)
        return data.bars(series, within, basis, as_of=known)
