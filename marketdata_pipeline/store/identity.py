"""The rows that name an instrument and a series, made when they are first needed.

Not here: what is known of them (ledger, catalog).
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, select

from marketdata_pipeline.database.dialect import insert_missing, is_postgres, one_of
from marketdata_pipeline.database.metadata import instruments
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import WriteConflict

_INSTRUMENT = select(instruments.c.id).where(instruments.c.key == bindparam("key"))
_SERIES = select(series_table.c.id).where(series_table.c.key == bindparam("key"))


def instrument_id(connection: Connection, instrument: Instrument) -> int:
    """The id of the instrument's row, which is made where it is missing."""
    wanted = {"key": instrument.key}
    found = connection.execute(_INSTRUMENT, wanted).scalar()
    if found is None:
        insert_missing(connection, instruments, _row(instrument))
        found = connection.execute(_INSTRUMENT, wanted).scalar_one()
    return int(found)


def lock_instrument(connection: Connection, instrument: Instrument) -> int:
    """The id of the instrument's row, which no other transaction changes until this one ends."""
    known = instrument_id(connection, instrument)
    held = select(instruments.c.id).where(instruments.c.id == known).with_for_update(key_share=True)
    return int(connection.execute(held).scalar_one())


def known_ids(connection: Connection, wanted: Iterable[Instrument]) -> dict[Instrument, int]:
    """The ids of those of these instruments that have a row."""
    keys = [one.key for one in wanted]
    found = select(instruments.c.key, instruments.c.id)
    found = found.where(one_of(connection, instruments.c.key, keys))
    return {Instrument(row.key): int(row.id) for row in connection.execute(found)}


def add_missing(connection: Connection, wanted: Sequence[Instrument]) -> None:
    """Have a row for each of these instruments."""
    known = known_ids(connection, wanted)
    missing = [_row(one) for one in wanted if one not in known]
    if missing:
        insert_missing(connection, instruments, *missing)


def lock_instruments(connection: Connection, wanted: Iterable[Instrument]) -> None:
    """Have no other transaction change the rows that there are of these until this one ends."""
    if is_postgres(connection):
        ours = one_of(connection, instruments.c.key, [one.key for one in wanted])
        held = select(instruments.c.id).where(ours).order_by(instruments.c.id)
        connection.execute(held.with_for_update(key_share=True)).all()


def _row(instrument: Instrument) -> dict[str, object]:
    return {
        "key": instrument.key,
        "asset_class": str(instrument.asset_class),
        "venue": instrument.venue.calendar,
    }


def series_id(connection: Connection, series: Series) -> int:
    """The id of the series' row, which is made where it is missing, its instrument's too."""
    found = known_series_id(connection, series)
    if found is None:
        row = {
            "key": str(series),
            "instrument_id": instrument_id(connection, series.instrument),
            "timeframe": str(series.timeframe),
        }
        insert_missing(connection, series_table, row)
        found = connection.execute(_SERIES, {"key": str(series)}).scalar_one()
    return found


def lock_series(connection: Connection, series: Series) -> int:
    """The id of the series' row, which no other transaction changes until this one ends.

    Raises:
        WriteConflict: it was removed while this one waited for it.
    """
    held = select(series_table.c.id).where(series_table.c.id == series_id(connection, series))
    found = connection.execute(held.with_for_update(key_share=True)).scalar()
    if found is None:
        raise WriteConflict(f"{series} was removed meanwhile; run the same again")
    return int(found)


def known_series_id(connection: Connection, series: Series) -> int | None:
    """The id of the series' row, or None where it has none."""
    return connection.execute(_SERIES, {"key": str(series)}).scalar()


def versions(connection: Connection, series: Iterable[Series]) -> dict[Series, int]:
    """The version of each series; 0 for one without a row."""
    by_key = {str(one): one for one in series}
    wanted = select(series_table.c.key, series_table.c.version).where(
        one_of(connection, series_table.c.key, by_key)
    )
    found = dict.fromkeys(by_key.values(), 0)
    found |= {by_key[row.key]: int(row.version) for row in connection.execute(wanted)}
    return found
