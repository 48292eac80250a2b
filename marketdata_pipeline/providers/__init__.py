"""Adapters to outside sources of data: one file a provider, one line each in the registry.

Not here: which provider is asked when (ingest), rates and cooldowns (governor), storing.
"""
