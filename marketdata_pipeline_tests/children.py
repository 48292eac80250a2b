"""Processes that tests start and kill: forked from a server that has imported what they need.

Not here: what they do. A child is there after some hundredths of a second; one that imports all of
it anew needs a second or two.
"""

from multiprocessing import get_context

PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["marketdata_pipeline_tests.preloaded"])
