"""SQL over stored bars: DuckDB's views of an export, or of files made ready in a home's cache.

Not here: writing of any kind; a query only reads.
"""
