"""CSV that reads as the very same numbers, cut at years."""

import gzip
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.bars import COLUMNS, frame
from marketdata_pipeline.domain.ranges import to_micros
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.reading.export.extract import Extract
from marketdata_pipeline.reading.export.gzip_csv import files_of
from marketdata_pipeline.store.provenance import Source

COIN = Series.parse("BTC-USD|1m")
AT = datetime(2024, 3, 1, tzinfo=UTC)
MINUTE = 60_000_000


def extract(labels: list[int], values: list[float]) -> Extract:
    bars = frame(labels, dict.fromkeys(COLUMNS, values))
    return Extract(
        series=COIN,
        version=1,
        basis="raw",
        currency=None,
        bars=bars,
        fetch_id=np.ones(len(labels), np.int32),
        state=np.zeros(len(labels), np.int8),
        sources={1: Source("yahoo", "yahoo", AT)} if labels else {},
    )


def micros(text: str) -> int:
    return to_micros(datetime.fromisoformat(text).replace(tzinfo=UTC))


@given(st.lists(st.floats(min_value=0, allow_infinity=False), min_size=1, max_size=40))
def test_a_number_reads_as_the_same_float(values: list[float]) -> None:
    labels = [micros("2024-01-01") + MINUTE * at for at in range(len(values))]
    ((_, packed), _) = files_of(extract(labels, values))
    rows = gzip.decompress(packed).decode().splitlines()[1:]
    for row, value in zip(rows, values, strict=True):
        assert [float(one) for one in row.split(",")[1:]] == [value] * 5


def test_the_last_minute_of_a_year_and_the_first_of_the_next_are_in_two_files() -> None:
    labels = [micros(one) for one in ("1969-12-31 23:59", "1970-01-01", "2023-12-31 23:59",
                                      "2024-01-01")]  # fmt: skip
    found = dict(files_of(extract(labels, [1.0, 2.0, 3.0, 4.0])))
    assert list(found) == [
        f"BTC-USD%7C1m/{year}.{end}"
        for year in (1969, 1970, 2023, 2024)
        for end in ("csv.gz", "json")
    ]
    texts = {name: gzip.decompress(data) for name, data in found.items() if name.endswith("gz")}
    assert [text.decode().splitlines()[1] for text in texts.values()] == [
        "1969-12-31T23:59:00Z,1,1,1,1,1",
        "1970-01-01T00:00:00Z,2,2,2,2,2",
        "2023-12-31T23:59:00Z,3,3,3,3,3",
        "2024-01-01T00:00:00Z,4,4,4,4,4",
    ]


@pytest.mark.parametrize("year", [1969, 1970, 1971])
def test_any_year_can_be_the_first(year: int) -> None:
    found = files_of(extract([micros(f"{year}-06-01")], [1.0]))
    assert [name for name, _ in found] == [
        f"BTC-USD%7C1m/{year}.{end}" for end in ("csv.gz", "json")
    ]


def test_no_bars_are_no_file() -> None:
    assert list(files_of(extract([], []))) == []


def test_a_year_tells_only_its_own_sources() -> None:
    labels = [micros("2023-06-01"), micros("2024-06-01")]
    both = extract(labels, [1.0, 2.0])
    other = Extract(
        series=both.series,
        version=1,
        basis="raw",
        currency=None,
        bars=both.bars,
        fetch_id=np.array([1, 2], np.int32),
        state=both.state,
        sources={**both.sources, 2: Source("other", "other", AT)},
    )
    told = [data for name, data in files_of(other) if name.endswith("json")]
    assert [b'"yahoo"' in one for one in told] == [True, False]
    assert [b'"other"' in one for one in told] == [False, True]
