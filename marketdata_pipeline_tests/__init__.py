"""The tests mirror the package; fakes.py holds what stands in for the outside world."""
