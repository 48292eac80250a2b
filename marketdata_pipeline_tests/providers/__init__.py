"""Tests of the providers: each against recorded replies, and against the simulator."""
