import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.store.decimals import MOST_DIGITS, as_whole, from_arrow, to_arrow

LARGEST = 2**50
"""Beyond it the product with a power of ten may round to a neighbour, and floats are kept."""


def back(values: np.ndarray) -> np.ndarray:
    return from_arrow(pa.chunked_array([to_arrow(values)]))


@given(
    st.integers(0, MOST_DIGITS),
    st.lists(st.integers(-LARGEST, LARGEST), min_size=1, max_size=200),
)
def test_what_a_decimal_text_says_is_kept_as_a_decimal(digits: int, numbers: list[int]) -> None:
    values = np.array([float(f"{number}e-{digits}") for number in numbers])
    array = to_arrow(values)
    assert pa.types.is_integer(array.type) or array.type.scale <= digits
    assert back(values).tobytes() == values.tobytes()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=200))
def test_any_finite_number_comes_back_to_its_last_bit(numbers: list[float]) -> None:
    values = np.array(numbers)
    assert back(values).tobytes() == values.tobytes()


def test_no_more_digits_are_kept_than_tell_every_value() -> None:
    assert to_arrow(np.array([100.0, 7.0])).type == pa.int64()
    assert to_arrow(np.array([187.15, 187.1])).type == pa.decimal64(18, 2)
    assert to_arrow(np.array([1.08215, 187.15])).type == pa.decimal64(18, 5)


@pytest.mark.parametrize("value", [1 / 3, 5e-324, 0.1 + 0.2, -0.0, 2.0**63, 90_071_992_547_409.925])
def test_what_no_decimal_tells_exactly_stays_a_float(value: float) -> None:
    assert to_arrow(np.array([187.15, value])).type == pa.float64()


def test_a_value_with_more_digits_far_behind_the_others_is_seen() -> None:
    values = np.full(1000, 187.15)
    values[-1] = 187.1525
    found = as_whole(values)
    assert found is not None
    assert (found[0], found[1][-1]) == (4, 1871525)
    values[-1] = 1 / 3
    assert as_whole(values) is None


def test_a_float_of_the_first_schema_is_read_as_it_is() -> None:
    assert from_arrow(pa.chunked_array([[187.15, 1 / 3]])).tolist() == [187.15, 1 / 3]


def test_decimals_of_any_width_and_of_several_chunks_are_read() -> None:
    values = np.array([-187.15, 0.0, 12.5])
    narrow = to_arrow(values)
    for kind in (narrow.type, pa.decimal128(18, 2)):
        column = pa.chunked_array([narrow.cast(kind).slice(1), narrow.cast(kind).slice(0, 1)])
        assert from_arrow(column).tolist() == [0.0, 12.5, -187.15]
