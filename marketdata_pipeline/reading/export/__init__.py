"""Copies of what is stored for other programs: Parquet or CSV files, and what says what they are.

Not here: a backup, which a home can be made of again.
"""
