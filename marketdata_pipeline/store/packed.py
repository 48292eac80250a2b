"""Few bars to bytes and back, every number to its last bit: what a chunk inside the catalog is.

Not here: larger chunks, which are Parquet files (codec). Of 60 bars Parquet's own headers take
twice the room that the bars do, and opening it takes four times as long as all of this.

A mark, the number of bars and of columns, the first label and the step of labels; of each
column its kind (decimal digits, or 255: floats), its width and its first number; then all columns,
compressed. Whole numbers (decimals times a power of ten) are kept as differences, volume as it is,
in the fewest bytes that hold them: the first byte of all numbers of a column, then the second ones.
"""

import struct
from itertools import accumulate, pairwise

import numpy as np

from marketdata_pipeline.domain.bars import COLUMNS
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.store.codec import Rows
from marketdata_pipeline.store.decimals import as_floats, as_whole

_MARK = b"BAR1"
_HEAD = struct.Struct("<4sIBqq")
_KIND = struct.Struct("<BBq")
_FLOATS = 255
_WIDTHS = (1, 2, 4, 8)
_AS_THEY_ARE = "volume"
"""Its differences are larger than itself."""
_NAMES = ("ts", *COLUMNS, "fetch_id", "state")


def pack(rows: Rows, *, fetched: bool = False) -> bytes:
    """The bytes of some bars, at least one; ``fetched``: with fetch and state of each."""
    import pyarrow as pa

    step = max(1, int(np.gcd.reduce(np.diff(rows.ts))))
    columns = [(rows.ts - rows.ts[0]) // step, *(rows.columns[name] for name in COLUMNS)]
    if fetched:
        columns += [rows.fetch_id, rows.state]
    packed = [_packed(name, column) for name, column in zip(_NAMES, columns, strict=False)]
    head = _HEAD.pack(_MARK, len(rows.ts), len(columns), int(rows.ts[0]), step)
    body = pa.compress(b"".join(part for _, part in packed), codec="zstd", asbytes=True)
    return b"".join([head, *(kind for kind, _ in packed), body])


class Packed:
    """The bars of one chunk: what ``codec.Encoded`` is for Parquet.

    Raises:
        pyarrow.ArrowException, OSError, ValueError: the bytes are not those of ``pack``.
        KeyError: a column is missing.
    """

    def __init__(self, data: bytes, fetch_id: int | None, state: int | None) -> None:
        columns = _unpacked(data)
        ts = columns["ts"]
        self._rows = Rows(
            ts,
            {name: columns[name] for name in COLUMNS},
            _constant_or(columns.get("fetch_id"), fetch_id, np.dtype(np.int32), len(ts)),
            _constant_or(columns.get("state"), state, np.dtype(np.int8), len(ts)),
        )

    def last(self, count: int) -> Rows:
        """The last ``count`` bars, or all where there are fewer."""
        return self._rows.where(slice(max(0, len(self._rows.ts) - count), None))

    def within(self, span: TimeRange | None) -> Rows:
        """The bars whose label is in ``span`` (None: all)."""
        return self._rows.within(span)


def is_packed(data: bytes) -> bool:
    """Whether ``pack`` made these bytes; else they are Parquet."""
    return data.startswith(_MARK)


def _packed(name: str, column: np.ndarray) -> tuple[bytes, bytes]:
    """A column's kind, and its bytes."""
    found = as_whole(column) if column.dtype == np.float64 else (0, column.astype(np.int64))
    if found is None:
        return _KIND.pack(_FLOATS, 8, 0), _by_weight(column.astype("<f8"), 8)
    digits, numbers = found
    first = 0
    if name != _AS_THEY_ARE:
        first = int(numbers[0])
        numbers = np.diff(numbers, prepend=numbers[:1])  # beyond 64 bits it wraps, as cumsum does
    low, high = int(numbers.min()), int(numbers.max())
    width = next(one for one in _WIDTHS if max(~low, high) < 1 << (8 * one - 1))
    return _KIND.pack(digits, width, first), _by_weight(numbers.astype(f"<i{width}"), width)


def _by_weight(numbers: np.ndarray, width: int) -> bytes:
    return numbers.view(np.uint8).reshape(-1, width).T.tobytes()


def _unpacked(data: bytes) -> dict[str, np.ndarray]:
    import pyarrow as pa

    try:
        _, count, many, first, step = _HEAD.unpack_from(data)
        body = _HEAD.size + many * _KIND.size
        kinds = list(_KIND.iter_unpack(data[_HEAD.size : body]))
    except struct.error as error:
        raise ValueError(f"bytes of another form: {error}") from error
    ends = list(accumulate((width * count for _, width, _ in kinds), initial=0))
    raw = pa.decompress(data[body:], decompressed_size=ends[-1], codec="zstd", asbytes=True)
    plain = np.frombuffer(raw, dtype=np.uint8)
    found: dict[str, np.ndarray] = {}
    for name, kind, (start, end) in zip(_NAMES, kinds, pairwise(ends), strict=False):
        found[name] = _column(name, kind, plain[start:end])
    found["ts"] = found["ts"] * step + first
    return found


def _column(name: str, kind: tuple[int, int, int], raw: np.ndarray) -> np.ndarray:
    digits, width, first = kind
    told = raw if width == 1 else raw.reshape(width, -1).T.ravel()
    if digits == _FLOATS:
        return told.view("<f8")
    numbers = told.view(f"<i{width}")
    if name != _AS_THEY_ARE:
        numbers = numbers.cumsum(dtype=np.int64) + first
    return as_floats(numbers, digits) if name in COLUMNS else numbers


def _constant_or(
    column: np.ndarray | None, constant: int | None, dtype: np.dtype, count: int
) -> np.ndarray:
    if constant is not None:
        return np.full(count, constant, dtype=dtype)
    if column is None:
        raise ValueError("neither the chunk nor the catalog says of which fetch the bars are")
    return column.astype(dtype)
