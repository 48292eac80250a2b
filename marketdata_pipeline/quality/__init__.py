"""Judgement of bars: rules that score what is stored, and plausibility before storing.

Not here: hard rules (domain.bars), storing verdicts (store), Dagster's checks (defs).
"""
