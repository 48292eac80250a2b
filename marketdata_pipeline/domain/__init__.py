"""Plain values, pure functions and the ports that adapters are handed.

Not here: files, databases, the network, the machine's clock in any function but ``SystemClock``.
"""
