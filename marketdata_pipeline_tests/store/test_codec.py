import io
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from marketdata_pipeline.domain.bars import COLUMNS, PRICES, frame
from marketdata_pipeline.domain.ranges import TimeRange, from_micros
from marketdata_pipeline.store.codec import Encoded, Rows, rows_of
from marketdata_pipeline.store.codec import encode as encode_rows
from marketdata_pipeline_tests.store.writes import bars_at, minutes

numbers = st.floats(allow_nan=False, allow_infinity=False)
labels = st.lists(st.integers(-(2**55), 2**55), min_size=1, max_size=30, unique=True).map(sorted)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    ts = draw(labels)
    whole = draw(st.booleans())
    volumes = st.integers(0, 2**62).map(float) if whole else numbers
    columns = {name: draw(arrays.arrays(np.float64, len(ts), elements=numbers)) for name in PRICES}
    columns["volume"] = draw(arrays.arrays(np.float64, len(ts), elements=volumes))
    return frame(ts, columns)


def encode(bars: pd.DataFrame) -> bytes:
    return encode_rows(rows_of(bars, 0, 0))


def decode(
    data: bytes, *, fetch_id: int | None, state: int | None, within: TimeRange | None
) -> Rows:
    return Encoded(data, fetch_id, state).within(within)


def back(data: bytes, within: TimeRange | None = None) -> pd.DataFrame:
    rows = decode(data, fetch_id=7, state=0, within=within)
    return frame(rows.ts, rows.columns)


def bits(bars: pd.DataFrame) -> dict[str, bytes]:
    return {name: bars[name].to_numpy().tobytes() for name in COLUMNS}


@given(frames())
def test_every_number_comes_back_to_its_last_bit(bars: pd.DataFrame) -> None:
    found = back(encode(bars))
    assert bits(found) == bits(bars)
    pd.testing.assert_index_equal(found.index, bars.index)


@pytest.mark.parametrize("volume", [-0.0, 1 / 3, 2.0**63, 2.0**64, 5e-324])
def test_a_volume_that_no_decimal_tells_stays_a_float(volume: float) -> None:
    bars = bars_at(minutes(0, 3)).assign(volume=volume)
    data = encode(bars)
    assert pq.read_schema(io.BytesIO(data)).field("volume").type == pa.float64()
    assert bits(back(data)) == bits(bars)


def test_a_file_tells_microseconds_in_utc_to_other_programs() -> None:
    schema = pq.read_schema(io.BytesIO(encode(bars_at(minutes(0, 3)))))
    assert schema.names == ["ts", *COLUMNS]
    assert schema.field("ts").type == pa.timestamp("us", tz="UTC")


def columns_of(data: bytes) -> dict[str, Any]:
    group = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    return {one.path_in_schema: one for one in columns}


def decimals(count: int, digits: int) -> pd.DataFrame:
    random = np.random.default_rng(1)
    price = 100 + random.normal(0, 0.05, count).cumsum()
    ends = {"open": price, "high": price + 0.02, "low": price - 0.02, "close": price}
    columns = {name: np.round(one, digits) for name, one in ends.items()}
    return frame(minutes(0, count), columns | {"volume": random.integers(1, 100_000, count)})


def test_decimals_are_delta_coded_and_floats_by_dictionary() -> None:
    columns = columns_of(encode(decimals(5000, 4).assign(open=1 / 3)))
    assert "RLE_DICTIONARY" in columns.pop("open").encodings
    assert all("DELTA_BINARY_PACKED" in one.encodings for one in columns.values())
    assert {one.compression for one in columns.values()} == {"ZSTD"}


def test_other_programs_read_prices_as_decimals() -> None:
    schema = pq.read_schema(io.BytesIO(encode(decimals(100, 4))))
    assert [schema.field(name).type for name in PRICES] == [pa.decimal128(18, 4)] * 4
    assert schema.field("volume").type == pa.int64()


def test_only_labels_have_statistics() -> None:
    columns = columns_of(encode(decimals(100, 2)))
    assert [name for name, one in columns.items() if one.is_stats_set] == ["ts"]


@pytest.mark.parametrize(("digits", "most"), [(2, 5.5), (3, 7.0), (4, 9.0)])
def test_a_bar_of_decimals_takes_hardly_more_than_one_price_as_a_float(
    digits: int, most: float
) -> None:
    assert len(encode(decimals(50_000, digits))) / 50_000 < most


def test_a_file_of_the_first_schema_is_read() -> None:
    bars = decimals(100, 2)
    table = pa.table(
        {"ts": pa.array(bars.index, pa.timestamp("us", tz="UTC"))}
        | {name: pa.array(bars[name].to_numpy()) for name in PRICES}
        | {"volume": pa.array(bars["volume"].to_numpy().astype(np.int64))}
    )
    sink = io.BytesIO()
    pq.write_table(table, sink, store_schema=False)
    pd.testing.assert_frame_equal(back(sink.getvalue()), bars)


def test_only_the_asked_range_is_returned_over_row_groups() -> None:
    bars = bars_at(minutes(0, 20_000))
    data = encode(bars)
    assert pq.ParquetFile(io.BytesIO(data)).num_row_groups == 3
    for first, after in ((0, 1), (8191, 8193), (8192, 20_000), (19_999, 20_000)):
        span = TimeRange(
            bars.index[first].to_pydatetime(),
            from_micros(int(minutes(after, 1)[0])),
        )
        pd.testing.assert_frame_equal(back(data, span), bars.iloc[first:after])


@pytest.mark.parametrize("bars", [bars_at(minutes(0, 3)), decimals(3, 2)])
def test_a_range_without_bars_is_empty(bars: pd.DataFrame) -> None:
    span = TimeRange(from_micros(0), from_micros(1))
    assert len(back(encode(bars), span)) == 0


@pytest.mark.parametrize("count", [0, 1, 3616, 3617, 8192, 19_999, 20_000, 30_000])
def test_the_last_bars_are_read_over_row_groups(count: int) -> None:
    bars = decimals(20_000, 2)
    rows = Encoded(encode(bars), 7, 0).last(count)
    pd.testing.assert_frame_equal(frame(rows.ts, rows.columns), bars.iloc[max(0, 20_000 - count) :])


def test_fetch_and_state_are_constants_unless_the_file_says() -> None:
    data = encode(bars_at(minutes(0, 2)))
    rows = decode(data, fetch_id=7, state=1, within=None)
    assert (str(rows.fetch_id.dtype), rows.fetch_id.tolist()) == ("int32", [7, 7])
    assert (str(rows.state.dtype), rows.state.tolist()) == ("int8", [1, 1])
    mixed = replace(
        rows, fetch_id=np.array([3, 4], dtype=np.int32), state=np.array([0, 1], dtype=np.int8)
    )
    rows = decode(encode_rows(mixed, fetched=True), fetch_id=None, state=None, within=None)
    assert (rows.fetch_id.tolist(), rows.state.tolist()) == ([3, 4], [0, 1])
