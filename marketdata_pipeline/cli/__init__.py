"""The command line: `marketdata`, one module a group of commands.

Not here: what the commands do; they parse, call one use case, and show.
"""
