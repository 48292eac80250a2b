"""Use cases that only read: frames, overviews, pictures, a page.

Not here: anything that fetches or writes; a reader never waits for a provider.
"""
