"""The shape of a frame of bars as a pandera schema: dtypes, zone, order, uniqueness.

Not here: rules that need a calendar or compare columns (bars).
"""

import pandera.pandas as pa

from marketdata_pipeline.domain.bars import COLUMNS, INDEX_DTYPE

BARS = pa.DataFrameSchema(
    # Numbers that are missing are a rule of bars, which names the row.
    columns={name: pa.Column("float64", nullable=True) for name in COLUMNS},
    index=pa.Index(
        INDEX_DTYPE,
        name="ts",
        unique=True,
        checks=pa.Check(lambda ts: ts.is_monotonic_increasing, name="sorted"),
    ),
    strict=True,
    ordered=True,
)
