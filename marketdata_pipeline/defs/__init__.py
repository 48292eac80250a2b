"""Everything that speaks Dagster: one file a concept, one file an asset.

Not here: decisions. A body here parses keys, calls one use case, reports.
"""
