"""A true OHLCV history of the instruments that portfolios hold, kept by Dagster.

The map, from the top down; imports run down only:

    definitions.py               assembles Dagster's Definitions
    defs  cli  simulator         edges: they read the settings and talk to people or programs
    orchestrator.py              the one client of a Dagster instance
    reading  ingest              read what is stored | track, plan, update, settle
    providers  governor  store   adapters, ignorant of each other
    database                     engine, tables, migrations
    domain                       plain values, pure functions, ports
    errors.py  config.py

For code that only reads, ``get_ohlcv`` is enough; it imports neither Dagster nor a provider.
"""
