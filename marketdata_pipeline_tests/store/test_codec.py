import io
from dataclasses import replace

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


@pytest.mark.parametrize("volume", [-0.0, 0.5, 2.0**63, 2.0**64, 5e-324])
def test_a_volume_that_an_integer_cannot_hold_stays_a_float(volume: float) -> None:
    bars = bars_at(minutes(0, 3)).assign(volume=volume)
    data = encode(bars)
    assert pq.read_schema(io.BytesIO(data)).field("volume").type == pa.float64()
    assert bits(back(data)) == bits(bars)


def test_a_file_tells_microseconds_in_utc_to_other_programs() -> None:
    schema = pq.read_schema(io.BytesIO(encode(bars_at(minutes(0, 3)))))
    assert schema.names == ["ts", *COLUMNS]
    assert schema.field("ts").type == pa.timestamp("us", tz="UTC")


def test_time_and_whole_volume_are_delta_coded_and_prices_by_dictionary() -> None:
    group = pq.ParquetFile(io.BytesIO(encode(bars_at(minutes(0, 5000))))).metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    coded = {one.path_in_schema: set(one.encodings) for one in columns}
    assert "DELTA_BINARY_PACKED" in coded["ts"] & coded["volume"]
    assert all("RLE_DICTIONARY" in coded[name] for name in PRICES)
    assert {one.compression for one in columns} == {"ZSTD"}


def test_decimal_prices_take_fewer_than_ten_bytes_a_bar() -> None:
    random = np.random.default_rng(1)
    price = np.round(100 + random.normal(0, 0.05, 50_000).cumsum(), 2)
    ends = {"open": price, "high": price + 0.02, "low": price - 0.02, "close": price}
    columns = ends | {"volume": random.integers(1, 100_000, 50_000)}
    assert len(encode(frame(minutes(0, 50_000), columns))) / 50_000 < 10


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


def test_a_range_without_bars_is_empty() -> None:
    data = encode(bars_at(minutes(0, 3)))
    span = TimeRange(from_micros(0), from_micros(1))
    assert len(back(data, span)) == 0


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
