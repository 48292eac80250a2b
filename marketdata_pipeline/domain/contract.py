"""The shape of a frame as a pandera schema: columns, dtypes, zone, order, uniqueness.

Not here: which columns bars have, and rules that need a calendar or compare columns (bars).
"""

from functools import lru_cache

import pandera.pandas as pa


@lru_cache
def schema_of(columns: tuple[str, ...], index_dtype: str) -> pa.DataFrameSchema:
    """Exactly these float64 columns in this order, under a sorted, unique ``ts`` index.

    Numbers that are missing are no matter of shape: a rule of bars names their row.
    """
    return pa.DataFrameSchema(
        columns={name: pa.Column("float64", nullable=True) for name in columns},
        index=pa.Index(
            index_dtype,
            name="ts",
            unique=True,
            checks=pa.Check(lambda ts: ts.is_monotonic_increasing, name="sorted"),
        ),
        strict=True,
        ordered=True,
    )
