"""Import: files and frames of bars that others made become stored bars.

terms (what has to be known of a file) < columns, times (its words) < tables (its rows by
instrument) < placing (labels of ours, good rows only) < traded (raw prices) < filling (into the
store); files reads, folders finds; importer goes the whole way.
Not here: the command (cli.importing).
"""
