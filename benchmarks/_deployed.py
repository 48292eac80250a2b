"""The processes of deploy/postgres, as the tests start them: code server, webserver and daemon.

Not here: what they do; see marketdata_pipeline_tests/deploy. The package of tests is not installed,
so this is the one place where a benchmark reaches for it.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from marketdata_pipeline_tests.deploy.part import Member, Part
from marketdata_pipeline_tests.deploy.server import Server, own_server
from marketdata_pipeline_tests.deploy.stack import Outcome, Stack, stack

__all__ = ["Member", "Outcome", "Part", "Server", "Stack", "own_server", "stack"]
