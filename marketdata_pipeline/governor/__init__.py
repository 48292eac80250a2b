"""The governor: one shared, persistent gate for each provider.

Not here: which providers there are, and what to do when there is no turn.
"""
