"""The bar store: bars as immutable chunks that the catalog points to, and what is known of them.

Not here: engines and tables (database), and deciding what may be stored (ingest).
"""
