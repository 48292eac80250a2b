"""Why a bar is there or not: one reason and its evidence, from what the catalog knows.

Not here: reading the catalog (store.witnesses), printing (cli.why). Reads only, asks no provider.
"""
