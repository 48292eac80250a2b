from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from marketdata_pipeline.domain.bars import COLUMNS, frame
from marketdata_pipeline.domain.ranges import TimeRange, from_micros
from marketdata_pipeline.store.codec import Rows, encode, rows_of
from marketdata_pipeline.store.packed import Packed, is_packed, pack
from marketdata_pipeline_tests.store.writes import bars_at, minutes

floats = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(2**62), 2**62).map(float)
cents = st.integers(-(10**9), 10**9).map(lambda number: number / 100)


@st.composite
def some_rows(draw: st.DrawFn) -> Rows:
    ts = draw(
        st.lists(st.integers(-(2**55), 2**55), min_size=1, max_size=30, unique=True).map(sorted)
    )
    kinds = {name: draw(st.sampled_from([floats, whole, cents])) for name in COLUMNS}
    return Rows(
        np.array(ts, dtype=np.int64),
        {
            name: draw(arrays.arrays(np.float64, len(ts), elements=kind))
            for name, kind in kinds.items()
        },
        draw(arrays.arrays(np.int32, len(ts), elements=st.integers(0, 2**31 - 1))),
        draw(arrays.arrays(np.int8, len(ts), elements=st.integers(0, 1))),
    )


def same(one: Rows, other: Rows) -> bool:
    return all(
        left.dtype == right.dtype and left.tobytes() == right.tobytes()
        for left, right in (
            (one.ts, other.ts),
            (one.fetch_id, other.fetch_id),
            (one.state, other.state),
            *((one.columns[name], other.columns[name]) for name in COLUMNS),
        )
    )


@given(some_rows())
def test_everything_comes_back_to_its_last_bit(rows: Rows) -> None:
    assert same(Packed(pack(rows, fetched=True), None, None).within(None), rows)


@given(some_rows())
def test_fetch_and_state_are_constants_unless_the_bytes_say(rows: Rows) -> None:
    count = len(rows.ts)
    constant = replace(
        rows, fetch_id=np.full(count, 7, dtype=np.int32), state=np.ones(count, dtype=np.int8)
    )
    assert same(Packed(pack(rows), 7, 1).within(None), constant)
    assert same(Packed(pack(rows, fetched=True), 7, 1).within(None), constant)


def test_who_wrote_a_bar_is_never_guessed() -> None:
    data = pack(rows_of(bars_at(minutes(0, 3)), 7, 0))
    with pytest.raises(ValueError, match="of which fetch"):
        Packed(data, None, None)


@pytest.mark.parametrize("count", [0, 1, 30, 31])
def test_the_last_bars_are_those_of_the_end(count: int) -> None:
    rows = rows_of(bars_at(minutes(0, 30)), 7, 0)
    found = Packed(pack(rows), 7, 0).last(count)
    assert same(found, rows.where(slice(max(0, 30 - count), None)))


def test_only_the_asked_range_is_returned() -> None:
    rows = rows_of(bars_at(minutes(0, 30)), 7, 0)
    first, after = minutes(10, 1), minutes(20, 1)
    span = TimeRange(from_micros(int(first[0])), from_micros(int(after[0])))
    assert same(Packed(pack(rows), 7, 0).within(span), rows.where(slice(10, 20)))


def test_packed_bytes_and_parquet_are_told_apart() -> None:
    rows = rows_of(bars_at(minutes(0, 3)), 7, 0)
    assert is_packed(pack(rows))
    assert not is_packed(encode(rows))


def test_days_of_cents_take_a_third_of_what_parquet_does() -> None:
    random = np.random.default_rng(1)
    price = 100 + random.normal(0, 1.5, 60).cumsum()
    ends = {"open": price, "high": price + 1, "low": price - 1, "close": price + 0.5}
    columns = {name: np.round(one, 2) for name, one in ends.items()}
    volume = random.integers(1_000_000, 9_000_000, 60)
    days = minutes(0, 60 * 1440)[::1440]
    rows = rows_of(frame(days, columns | {"volume": volume}), 7, 0)
    assert len(pack(rows)) < 12 * 60
    assert 2 * len(pack(rows)) < len(encode(rows))


@given(st.binary(max_size=60))
def test_bytes_of_another_form_are_refused(rest: bytes) -> None:
    data = pack(rows_of(bars_at(minutes(0, 3)), 7, 0))
    with pytest.raises((pa.ArrowException, OSError, ValueError, KeyError)):
        Packed(data[:9] + rest, 7, 0)


def test_the_frame_is_the_one_that_was_packed() -> None:
    bars = bars_at(minutes(0, 3))
    rows = Packed(pack(rows_of(bars, 7, 0)), 7, 0).within(None)
    pd.testing.assert_frame_equal(frame(rows.ts, rows.columns), bars)


def test_what_earlier_versions_packed_is_read() -> None:
    data = bytes.fromhex(
        "424152310300000008004a5555f70d060000879303000000000001000000000000000002011b490000000000"
        "0002012a4900000000000001014e07000000000000ff08000000000000000000040000000000000000000107"
        "000000000000000001010000000000000028b52ffd2036b101000001020005e20001e10001fa66855566eb55"
        "66515566b855661e55665d556767d540403fe870000311000001000000000000020000ff"
    )
    rows = Packed(data, None, None).within(None)
    assert rows.ts.tolist() == [1704205800000000, 1704205860000000, 1704205980000000]
    assert {name: column.tolist() for name, column in rows.columns.items()} == {
        "open": [187.15, 187.2, 186.9],
        "high": [187.3, 187.31, 187.0],
        "low": [187.0, 187.1, 186.5],
        "close": [187.2, 186.91, 1 / 3],
        "volume": [1000.0, 70000.0, 0.0],
    }
    assert (rows.fetch_id.tolist(), rows.state.tolist()) == ([7, 7, 9], [1, 1, 0])
