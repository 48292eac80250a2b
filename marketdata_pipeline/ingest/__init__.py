"""Use cases that change what is stored: track, plan, update, settle, judge.

Not here: reading for people and programs (reading), and anything of Dagster (defs).
"""
