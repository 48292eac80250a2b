"""Tests of the Yahoo adapter: through the real yfinance, and never off this machine."""
