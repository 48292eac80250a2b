"""An import of frames in memory, and an importer for an opened home.

Not here: files (paths).
"""

from pathlib import Path

import pandas as pd

from marketdata_pipeline.database.home import Home, Mode
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import parse_instant
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Thresholds
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.importing.importer import Importer, Rows
from marketdata_pipeline.ingest.importing.outcome import Imported
from marketdata_pipeline.ingest.importing.paths import (
    Asked,
    of_instrument,
    refuse_shared_splits,
    series_of,
)
from marketdata_pipeline.ingest.importing.place import Place
from marketdata_pipeline.ingest.importing.said import Said
from marketdata_pipeline.ingest.importing.sources import Source
from marketdata_pipeline.ingest.importing.tables import joined, tables_of
from marketdata_pipeline.ingest.importing.terms import UNSAID, Prices, Side, Terms
from marketdata_pipeline.ingest.judge import Judge
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.tracking import Tracking
from marketdata_pipeline.store.verdicts import Verdicts

_FRAME = Place("the frame")
"""What messages call it."""


def importer_of(
    home: Home,
    thresholds: Thresholds | None = None,
    *,
    over: bool = False,
    dry_run: bool = False,
) -> Importer:
    """The importer of an opened home; ``over`` and ``dry_run`` as Importer has them."""
    store = BarStore(home.engine, home.bars, home.clock)
    verdicts = Verdicts(home.engine, home.clock)
    return Importer(
        store=store,
        catalog=Catalog(home.engine, home.clock),
        tracking=Tracking(home.engine, home.clock),
        judge=Judge(store, verdicts, home.clock, thresholds or Thresholds()),
        clock=home.clock,
        live=home.mode is Mode.LIVE,
        over=over,
        dry_run=dry_run,
    )


def import_frame(
    importer: Importer,
    frame: pd.DataFrame,
    timeframe: str | None = None,
    instrument: str | None = None,
    terms: Terms = UNSAID,
) -> list[Imported]:
    """Import a frame: yfinance's, one of ``get_ohlcv``, or any with open, high, low, close, volume.

    Args:
        importer: of the home.
        frame: times are its index or a column; columns in any case, or of two levels for several
            tickers. It is not changed.
        timeframe: one of 1m 5m 15m 1h 4h 1d 1wk, or another spelling of it; None where the frame
            says it, as those of ``get_ohlcv`` do.
        instrument: Yahoo's spelling; None where the frame says it.
        terms: what the frame does not say itself. A frame in yfinance's shape says its label side
            and basis (``Adj Close`` has to be among its columns: auto_adjust=False).

    Returns:
        One outcome a series, in the order of the frame.

    Raises:
        BadInput: what the frame means is not known, or a series cannot be right; those before it
            are stored.
        StoreError: the catalog or a file refused.
    """
    told = _said_by(frame)
    name = _FRAME.name
    source = Source(Path(), name, told.instrument, told.timeframe, sure=True, said=told)
    asked = Asked(
        None if instrument is None else Instrument.parse(instrument),
        None if timeframe is None else Timeframe.parse(timeframe),
    )
    tables = of_instrument(joined(tables_of(frame, _FRAME)), asked.instrument, name)
    refuse_shared_splits(terms, (one.symbol for one in tables if one.symbol))
    return [
        importer.take(Rows(series_of(one, source, asked), one, terms, told, "import:frame"))
        for one in tables
    ]


def _said_by(frame: pd.DataFrame) -> Said:
    """What the ``attrs`` of a frame of ``get_ohlcv`` say; nothing of any other frame."""
    told = frame.attrs
    if not {"series", "basis", "market_now"} <= set(told):
        return Said()
    series = Series.parse(told["series"])
    terms = Terms(
        side=Side.OPEN,
        basis=Prices.parse(told["basis"]),
        adjusted_to=parse_instant(told["market_now"]).date(),
        currency=told.get("currency"),
    )
    return Said(series.instrument, series.timeframe, terms)
