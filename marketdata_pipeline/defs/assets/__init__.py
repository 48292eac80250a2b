"""One file an asset.

Not here: schedules, checks and resources.
"""
