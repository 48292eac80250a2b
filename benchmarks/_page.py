"""Dagster's web page over the project's definitions, as a process, and what its grid asks it.

Not here: the instance that it shows.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from _process import cpu_of

from marketdata_pipeline.domain.clock import SystemClock

_PATIENCE = 120
QUERY = """
query PartitionHealthQuery($assetKey: AssetKeyInput!) {
  assetNodeOrError(assetKey: $assetKey) {
    ... on AssetNode {
      id
      partitionKeysByDimension { name type partitionKeys }
      assetPartitionStatuses {
        ... on TimePartitionStatuses {
          ranges { status startTime endTime startKey endKey }
        }
        ... on DefaultPartitionStatuses {
          materializedPartitions materializingPartitions failedPartitions
        }
        ... on MultiPartitionStatuses {
          primaryDimensionName
          ranges {
            primaryDimStartKey primaryDimEndKey primaryDimStartTime primaryDimEndTime
            secondaryDim {
              ... on TimePartitionStatuses {
                ranges { status startTime endTime startKey endKey }
              }
              ... on DefaultPartitionStatuses {
                materializedPartitions materializingPartitions failedPartitions
              }
            }
          }
        }
      }
    }
  }
}
"""
"""What the page of Dagster 1.13 sends for a grid (ui-core, usePartitionHealthData.tsx)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the page took to answer: wall and CPU seconds; its size, and the partitions in it."""

    wall: float
    cpu: float
    kilobytes: float
    materialized: int


@dataclass(frozen=True, slots=True)
class Page:
    """A web server that was started; the process of the code location beside it is not counted."""

    url: str
    child: "subprocess.Popen[bytes]"
    log: Path

    def wait(self) -> None:
        """Until it answers.

        Raises:
            RuntimeError: it ended, or took longer than two minutes.
        """
        for _ in range(_PATIENCE * 10):
            with suppress(requests.RequestException):
                requests.get(f"{self.url}/server_info", timeout=5).raise_for_status()
                return
            if self.child.poll() is not None:
                break
            SystemClock().sleep(0.1)
        raise RuntimeError(f"no page at {self.url}: {self.log.read_text()[-2000:]}")

    def ask(self) -> Answer:
        """The state of all partitions of the asset.

        Raises:
            RuntimeError: the page answers with something else.
        """
        asked = {"query": QUERY, "variables": {"assetKey": {"path": ["ohlcv"]}}}
        before, started = cpu_of(self.child.pid), time.perf_counter()
        reply = requests.post(f"{self.url}/graphql", json=asked, timeout=_PATIENCE)
        wall, cpu = time.perf_counter() - started, cpu_of(self.child.pid) - before
        node = reply.json()["data"]["assetNodeOrError"]
        if "assetPartitionStatuses" not in node:
            raise RuntimeError(f"the page does not know the asset: {reply.text[:500]}")
        return Answer(wall, cpu, len(reply.content) / 1e3, _materialized(node))


def _materialized(node: Any) -> int:
    """How many partitions are, as the reply's ranges of instruments say."""
    dimensions = {one["name"]: one["partitionKeys"] for one in node["partitionKeysByDimension"]}
    place = {key: at for at, key in enumerate(dimensions["instrument"])}
    return sum(
        (place[one["primaryDimEndKey"]] - place[one["primaryDimStartKey"]] + 1)
        * len(one["secondaryDim"]["materializedPartitions"])
        for one in node["assetPartitionStatuses"]["ranges"]
    )


@contextmanager
def served(environment: Mapping[str, str], log: Path) -> Iterator[Page]:
    """The page of an instance on a free port of loopback, starting; it ends with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port)]
    with (
        log.open("w") as said,
        subprocess.Popen(  # noqa: S603 - our own interpreter
            [*command, "-m", "marketdata_pipeline.definitions"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        ) as child,
    ):
        try:
            yield Page(f"http://127.0.0.1:{port}", child, log)
        finally:
            child.terminate()  # it ends the code location's process too
            with suppress(subprocess.TimeoutExpired):
                child.wait(20)
            child.kill()
