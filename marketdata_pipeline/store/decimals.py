"""Numbers of few decimal digits as whole numbers, which is how Parquet keeps a DECIMAL.

Not here: which columns a file has, and how they are coded (codec). A price of 187.15 is 18715
hundredths: of those, neighbours differ by a few, while as binary fractions two prices have hardly a
bit in common. Dividing by a power of ten gives the very same float again: both are exact, and IEEE
754 rounds a quotient to the nearest float, as it does the decimal's text.
"""

from typing import Any

import numpy as np

MOST_DIGITS = 8
_EXACT = 2.0**53
"""Below it a float holds every whole number, and every power of ten up to the 22nd."""
_INT64 = 2.0**63
_PRECISION = 18
_SAMPLE = 64


def to_arrow(values: np.ndarray) -> Any:
    """A pyarrow array from which ``to_floats`` makes these floats again, each to its last bit.

    Of 64-bit integers, else of decimals, else, where neither holds them, of floats.
    """
    import pyarrow as pa

    if _whole(values):
        return pa.array(values.astype(np.int64))
    digits = digits_of(values)
    if digits is None:
        return pa.array(values)
    scaled = np.rint(values * 10.0**digits).astype(np.int64)
    kind = pa.decimal64(_PRECISION, digits)
    return pa.Array.from_buffers(kind, len(scaled), [None, pa.py_buffer(scaled)])


def to_floats(column: Any) -> np.ndarray:
    """The float64 numbers of a pyarrow column without nulls."""
    scale = getattr(column.type, "scale", None)
    if scale is None:
        floats: np.ndarray = column.to_numpy().astype(np.float64, copy=False)
        return floats
    # As wide as pyarrow likes to read a DECIMAL: the low word comes first and holds all of it.
    words = column.type.byte_width // 8
    parts = [
        np.frombuffer(chunk.buffers()[1], dtype="<i8")[::words][chunk.offset :][: len(chunk)]
        for chunk in column.chunks
    ]
    numbers: np.ndarray = np.concatenate(parts) / 10.0**scale
    return numbers


def digits_of(values: np.ndarray) -> int | None:
    """The fewest decimal digits, from one to eight, that tell each value; None: none of them do."""
    digits = 1
    for part in (values[:_SAMPLE], values):  # what has more digits mostly shows at once
        while not _told_by(part, digits):
            digits += 1
            if digits > MOST_DIGITS:
                return None
    return digits


def _told_by(values: np.ndarray, digits: int) -> bool:
    scale = 10.0**digits
    if (np.abs(values) >= _EXACT / scale).any() or _minus_zero(values):
        return False
    return bool((np.rint(values * scale) / scale == values).all())


def _whole(values: np.ndarray) -> bool:
    """Whether 64-bit integers hold each value."""
    exact = (np.abs(values) < _INT64) & (np.trunc(values) == values)
    return bool(exact.all()) and not _minus_zero(values)


def _minus_zero(values: np.ndarray) -> bool:
    """Whether there is one: no integer is equal to it in every bit."""
    return bool((np.signbit(values) & (values == 0)).any())
