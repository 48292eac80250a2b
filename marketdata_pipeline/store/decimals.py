"""Numbers of few decimal digits as whole numbers, which is how Parquet keeps a DECIMAL.

Not here: how they are coded (codec, packed). A price of 187.15 is 18715 hundredths: of those,
neighbours differ by a few, while as binary fractions two prices have hardly a bit in common.
Dividing by a power of ten gives the very same float again: both are exact, and IEEE 754 rounds a
quotient to the nearest float, as it does the decimal's text.
"""

from typing import Any

import numpy as np

MOST_DIGITS = 8
_EXACT = 2.0**53
"""Below it a float holds every whole number, and every power of ten up to the 22nd."""
_INT64 = 2.0**63
_PRECISION = 18
_SAMPLE = 64


def as_whole(values: np.ndarray) -> tuple[int, np.ndarray] | None:
    """The fewest digits that tell each value, none to eight, and the values in units of the last.

    None: so few do not tell them, or one of them is a minus zero.
    """
    if (np.signbit(values) & (values == 0)).any():
        return None
    if ((np.abs(values) < _INT64) & (np.trunc(values) == values)).all():
        return 0, values.astype(np.int64)
    digits = 1
    for part in (values[:_SAMPLE], values):  # what has more digits mostly shows at once
        while not _told_by(part, digits):
            digits += 1
            if digits > MOST_DIGITS:
                return None
    return digits, np.rint(values * 10.0**digits).astype(np.int64)


def as_floats(whole: np.ndarray, digits: int) -> np.ndarray:
    """What ``as_whole`` was given."""
    floats: np.ndarray = whole / 10.0**digits if digits else whole.astype(np.float64)
    return floats


def to_arrow(values: np.ndarray) -> Any:
    """A pyarrow array from which ``from_arrow`` makes these floats again, each to its last bit.

    Of 64-bit integers, else of decimals, else, where neither holds them, of floats.
    """
    import pyarrow as pa

    found = as_whole(values)
    if found is None:
        return pa.array(values)
    digits, whole = found
    if not digits:
        return pa.array(whole)
    kind = pa.decimal64(_PRECISION, digits)
    return pa.Array.from_buffers(kind, len(whole), [None, pa.py_buffer(whole)])


def from_arrow(column: Any) -> np.ndarray:
    """The float64 numbers of a pyarrow column without nulls."""
    digits = getattr(column.type, "scale", None)
    if digits is None:
        floats: np.ndarray = column.to_numpy().astype(np.float64, copy=False)
        return floats
    # As wide as pyarrow likes to read a DECIMAL: the low word comes first and holds all of it.
    words = column.type.byte_width // 8
    parts = [
        np.frombuffer(chunk.buffers()[1], dtype="<i8")[::words][chunk.offset :][: len(chunk)]
        for chunk in column.chunks
    ]
    return as_floats(parts[0] if len(parts) == 1 else np.concatenate(parts), digits)


def _told_by(values: np.ndarray, digits: int) -> bool:
    scale = 10.0**digits
    if (np.abs(values) >= _EXACT / scale).any():
        return False
    return bool((np.rint(values * scale) / scale == values).all())
