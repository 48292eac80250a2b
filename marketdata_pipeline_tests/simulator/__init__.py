"""Tests of the simulator; yfinance_client.py and histories.py are shared by several."""
