"""What the rows of a series mean: what is stated of them, and what their shape and times tell.

Not here: what files and folders beside them say (folders).
"""

from dataclasses import dataclass, replace

import numpy as np

from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.tables import Table
from marketdata_pipeline.ingest.importing.terms import UNSAID, Prices, Side, Terms
from marketdata_pipeline.ingest.importing.times import UNKNOWN, Stamps, localized


@dataclass(frozen=True, slots=True)
class Meaning:
    """What rows mean: ``zone`` counts where times name none, ``terms`` are all that is known."""

    side: Side
    zone: str
    terms: Terms


def meaning_of(
    stated: Terms, beside: Terms, table: Table, stamps: Stamps, series: Series
) -> Meaning:
    """What the rows mean: by their times, what is stated, what stands ``beside``, their shape.

    Raises:
        BadInput: label side, basis, or the zone of times that name none, is not known; prices are
            divided by dividends; or two of them contradict each other.
    """
    _refuse_other_zone(stated, table, stamps)
    terms = stated.agreeing(beside, f"what stands beside {table.places[0]}")
    terms = terms.or_else(_supposed(table, series))
    if stamps.instants is not None:
        terms = terms.or_else(Terms(zone="UTC"))
    side, zone, basis = terms.side, terms.zone, terms.basis
    if side is None or zone is None or basis is None:
        raise BadInput(terms.unknown(str(table.places[0])))
    if basis is Prices.ALL and not series.instrument.asset_class.has_actions:
        terms = replace(terms, basis=Prices.RAW)  # what pays nothing is adjusted for nothing
    elif basis is Prices.ALL:
        raise BadInput(
            f"{table.places[0]}: prices that dividends were taken out of cannot be made raw "
            "without the factors; save them again with an unadjusted close (yfinance: "
            "auto_adjust=False, then Close is unadjusted beside Adj Close), or say --basis raw "
            "or --basis splits where that is what they are"
        )
    return Meaning(side, zone, terms)


def _supposed(table: Table, series: Series) -> Terms:
    """What the shape tells of rows as long as nobody says otherwise.

    yfinance labels bars by their open, days by the exchange's date. Beside ``Adj Close`` its
    prices are divided by splits; without it by dividends too (auto_adjust, its default).
    """
    if not table.yahoo:
        return UNSAID
    return Terms(
        side=Side.OPEN,
        zone=None if series.timeframe.intraday else series.instrument.venue.zone,
        basis=Prices.SPLITS if table.has_adjusted_close else Prices.ALL,
    )


def _refuse_other_zone(stated: Terms, table: Table, stamps: Stamps) -> None:
    if stated.zone is None or stamps.instants is None:
        return
    known = stamps.wall != UNKNOWN
    there = localized(stamps.wall[known], stated.zone)
    wrong = np.flatnonzero((there != stamps.instants[known]) & (there != UNKNOWN))
    if len(wrong):
        row = int(np.flatnonzero(known)[wrong[0]])
        raise BadInput(
            f"{table.spot(row)}: the times name their zone themselves, and it is not "
            f"{stated.zone}; leave out --zone"
        )
