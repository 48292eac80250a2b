"""What a column of times says: clock readings, and instants where it names a zone.

Not here: which bar a time is the label of (placing).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from marketdata_pipeline.domain.sessions import Micros
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.tables import Table

UNKNOWN = np.iinfo(np.int64).min
"""In place of a time that is not there, or not to be told."""
_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_FIRST, _LAST = 157_766_400, 4_102_444_800
"""1975-01-01 and 2100-01-01 in seconds: between them no second is also a credible millisecond."""
_PER_SECOND = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
_FIRST_DAY, _LAST_DAY = 18_000_101, 21_001_231
"""As whole numbers these are dates without hyphens."""
_ZONED = r"^(?P<wall>.+\d{2}:\d{2}.*?)\s?(?P<zone>Z|UTC|[+-]\d{2}:?\d{2})$"
_ZONE_LEFT = r"[T ].*[-+A-Za-z]"
"""A zone in a form that is not read would be taken for none."""


@dataclass(frozen=True, slots=True, eq=False)
class Stamps:
    """Times in microseconds since 1970.

    Attributes:
        wall: as clocks showed them; UNKNOWN where a cell is empty.
        instants: the same in UTC; None where the column says no zone.
        zone: that of all of them, where the column names one by name.
    """

    wall: Micros
    instants: Micros | None = None
    zone: str | None = None


def stamps_of(table: Table) -> Stamps:
    """The times of a table's rows.

    Dates and instants in ISO 8601, with or without an offset; seconds, milli-, micro- or
    nanoseconds since 1970 UTC where only one of them puts all rows between 1975 and 2100; whole
    numbers such as 20240131.

    Raises:
        BadInput: anything else; the text names the first such line.
    """
    times = table.times
    if isinstance(times.dtype, pd.DatetimeTZDtype):
        return _of_zoned(times)
    if pd.api.types.is_datetime64_dtype(times.dtype):
        return Stamps(_micros(pd.DatetimeIndex(times)))
    if pd.api.types.is_bool_dtype(times.dtype):
        raise BadInput(f"{table.spot(0)}: {times.iloc[0]} is no time")
    if pd.api.types.is_numeric_dtype(times.dtype):
        return _of_numbers(times, table)
    return _of_text(times, table)


def localized(wall: Micros, zone: str) -> Micros:
    """The instants at which clocks of a zone showed these times.

    UNKNOWN where that is not to be told: in an hour that a change of the clocks left out, or in one
    that came twice and stands once.
    """
    order = slice(None, None, -1) if len(wall) > 1 and wall[0] > wall[-1] else slice(None)
    naive = pd.DatetimeIndex(wall[order].astype("datetime64[us]"))
    try:
        found = naive.tz_localize(zone, ambiguous="infer", nonexistent="NaT")
    except ValueError:  # an hour that came twice stands once: which of the two is not to be told
        found = naive.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    return _micros(found.tz_convert("UTC").tz_localize(None))[order]


def shown(instants: Micros, zone: str) -> Micros:
    """What clocks of a zone show at these instants."""
    known = instants != UNKNOWN
    utc = pd.DatetimeIndex(instants[known].astype("datetime64[us]"), tz="UTC")
    wall = np.full(len(instants), UNKNOWN, dtype=np.int64)
    wall[known] = _micros(utc.tz_convert(zone).tz_localize(None))
    return wall


def _of_zoned(times: "pd.Series[Any]") -> Stamps:
    index = pd.DatetimeIndex(times)
    instants = _micros(index.tz_convert("UTC").tz_localize(None))
    return Stamps(_micros(index.tz_localize(None)), instants, str(index.tz))


def _of_numbers(times: "pd.Series[Any]", table: Table) -> Stamps:
    numbers = times.to_numpy(dtype=np.float64, na_value=np.nan)
    known = ~np.isnan(numbers)
    low, high = (numbers[known].min(), numbers[known].max()) if known.any() else (0.0, 0.0)
    if low >= _FIRST_DAY and high <= _LAST_DAY:
        return _of_text(times.astype("Int64").astype("string"), table)
    fitting = [
        unit for unit, each in _PER_SECOND.items() if _FIRST * each <= low and high < _LAST * each
    ]
    if len(fitting) != 1:
        raise BadInput(
            f"{table.spot(int(np.argmin(np.where(known, numbers, np.inf))))}: {low:.0f} to "
            f"{high:.0f} are no times between 1975 and 2100 in one unit since 1970; write dates "
            "such as 2024-01-31T09:30"
        )
    micros = np.full(len(numbers), UNKNOWN, dtype=np.int64)
    whole = times.to_numpy()[known].astype(np.int64)  # float64 would lose nanoseconds
    each = _PER_SECOND[fitting[0]]
    micros[known] = whole * (_SECOND // each) if each <= _SECOND else whole // (each // _SECOND)
    return Stamps(micros, micros, "UTC")


def _of_text(times: "pd.Series[Any]", table: Table) -> Stamps:
    import pyarrow.compute as pc

    text = _stripped(times)
    parts = pc.extract_regex(text, _ZONED)  # pandas would take each line through Python
    zones = pc.struct_field(parts, "zone").dictionary_encode()
    zoned = parts.is_valid().to_numpy(zero_copy_only=False)
    wall = _parsed(pc.if_else(zoned, parts.field("wall"), text), text, table)
    known = wall != UNKNOWN
    if not zoned.any():
        return Stamps(wall)
    if not zoned[known].all():
        first = int(np.flatnonzero(known & ~zoned)[0])
        raise BadInput(f"{table.spot(first)}: some times have an offset from UTC, this one has not")
    each = np.array([_offset(one) for one in zones.dictionary.to_pylist()], dtype=np.int64)
    ahead = each[zones.indices.fill_null(0).to_numpy()]
    zone = None if each.any() else "UTC"
    return Stamps(wall, np.where(known, wall - ahead, UNKNOWN), zone)


def _stripped(times: "pd.Series[Any]") -> Any:
    """The texts without spaces around them, as an array of Arrow's."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pa.array(times.astype("string"), pa.string())
    whole = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    return pc.utf8_trim_whitespace(whole)


def _parsed(wall: Any, text: Any, table: Table) -> Micros:
    import pyarrow.compute as pc

    left = pc.match_substring_regex(wall, _ZONE_LEFT).fill_null(fill_value=False)
    plain = pc.if_else(left, None, wall).to_pandas()
    found = pd.to_datetime(plain, format="ISO8601", errors="coerce", utc=True).dt.tz_localize(None)
    given = pc.not_equal(text, "").fill_null(fill_value=False).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(found.isna().to_numpy() & given)
    if len(wrong):
        first = int(wrong[0])
        raise BadInput(
            f"{table.spot(first)}: {text[first].as_py()[:40]!r} is no date; write it as "
            "2024-01-31 or 2024-01-31T09:30"
        )
    return _micros(pd.DatetimeIndex(found))


def _offset(text: str) -> int:
    """Microseconds that a zone is ahead of UTC by."""
    if text in {"Z", "UTC"}:
        return 0
    digits = text[1:].replace(":", "")
    ahead = (int(digits[:2]) * 60 + int(digits[2:])) * _MINUTE
    return -ahead if text[0] == "-" else ahead


def _micros(naive: pd.DatetimeIndex) -> Micros:
    return naive.as_unit("us").asi8
