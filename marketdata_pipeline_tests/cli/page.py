"""Dagster's page as its JavaScript uses it: GraphQL over HTTP, beside a real daemon.

Not here: what the tests expect of it.
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline_tests.cli.terminal import PROGRAM

_LAUNCH = """
mutation LaunchPartitionBackfill($backfillParams: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfillParams) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
_STATUS = """
query Backfill($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill {
      status
      error { message }
      assetBackfillData {
        assetBackfillStatuses {
          ... on AssetPartitionsStatusCounts {
            numPartitionsTargeted numPartitionsMaterialized numPartitionsFailed
          }
        }
      }
    }
  }
}
"""
_RUNS = """
query Runs($id: String!) {
  runsOrError(filter: {tags: [{key: "dagster/backfill", value: $id}]}) {
    ... on Runs { results { runId status
      eventConnection { events {
        __typename
        ... on ExecutionStepFailureEvent { failureMetadata { metadataEntries {
          label ... on JsonMetadataEntry { jsonString } ... on MarkdownMetadataEntry { mdStr }
        } } }
      } }
    } }
  }
}
"""
_HEALTH = """
query Health {
  assetNodeOrError(assetKey: {path: ["ohlcv"]}) {
    ... on AssetNode { assetPartitionStatuses {
      ... on MultiPartitionStatuses { ranges {
        primaryDimStartKey primaryDimEndKey
        secondaryDim { ... on DefaultPartitionStatuses {
          materializedPartitions failedPartitions unmaterializedPartitions
        } }
      } }
    } }
  }
}
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """A backfill's partitions as its page shows them."""

    targeted: int
    materialized: int
    failed: int


@dataclass(frozen=True, slots=True)
class Page:
    """A running page."""

    url: str

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """The data that a query brings."""
        body = {"query": query, "variables": variables}
        reply = requests.post(f"{self.url}/graphql", json=body, timeout=30).json()
        assert "errors" not in reply, reply
        return dict(reply["data"])

    def backfill(self, keys: Sequence[str]) -> str:
        """Launch what the dialog of the partitions page launches; the backfill's id."""
        asked = {"assetSelection": [{"path": ["ohlcv"]}], "partitionNames": list(keys)}
        said = self.ask(_LAUNCH, backfillParams=asked)["launchPartitionBackfill"]
        assert said["__typename"] == "LaunchBackfillSuccess", said
        return str(said["backfillId"])

    def ended(self, backfill: str, seconds: int) -> tuple[str, Counts]:
        """Wait until a backfill is over; its status and its partitions."""
        told: dict[str, Any] = {}
        for _ in range(seconds):
            told = self.ask(_STATUS, id=backfill)["partitionBackfillOrError"]
            if told["status"] not in {"REQUESTED", "FAILING", "CANCELING"}:
                (counts,) = told["assetBackfillData"]["assetBackfillStatuses"]
                return told["status"], Counts(*(int(one) for one in counts.values()))
            SystemClock().sleep(1)
        raise AssertionError(f"{backfill} did not end in {seconds} s: {told}")

    def runs(self, backfill: str) -> list[dict[str, Any]]:
        """The backfill's runs: status, and the metadata of what failed by label."""
        results = self.ask(_RUNS, id=backfill)["runsOrError"]["results"]
        return [
            {
                "status": one["status"],
                "failure": {
                    entry["label"]: entry.get("mdStr") or entry.get("jsonString")
                    for event in one["eventConnection"]["events"]
                    for entry in (event.get("failureMetadata") or {}).get("metadataEntries", ())
                },
            }
            for one in results
        ]

    def failed_partitions(self) -> set[str]:
        """The partitions that the grid shows as failed."""
        node = self.ask(_HEALTH)["assetNodeOrError"]
        return {
            f"{one['primaryDimStartKey']}|{frame}"
            for one in node["assetPartitionStatuses"]["ranges"]
            for frame in one["secondaryDim"]["failedPartitions"]
        }


@contextmanager
def page_of(home: Path, port: int, simulator: int, log: Path) -> Iterator[Page]:
    """`marketdata ui` on a home, from its first answer to the block's end."""
    env = {
        **os.environ,
        "MARKETDATA_RETRY_WAITS": "0.1,0.1,0.1,0.1,0.1",  # symbols that stay broken, and the
        "MARKETDATA_BREAKER_OPEN": "1",  # breaker that some of them open, cost no minutes here
        "MARKETDATA_HOME": str(home),
        "MARKETDATA_SIMULATOR_PORT": str(simulator),
        "MARKETDATA_YAHOO_REQUESTS_PER_HOUR": "100000",
        "MARKETDATA_YAHOO_BURST": "100000",
    }
    with (
        log.open("w") as said,
        subprocess.Popen(
            [*PROGRAM, "ui", "--port", str(port)], env=env, stdout=said, stderr=said
        ) as started,
    ):
        try:
            page = Page(f"http://127.0.0.1:{port}")
            _await(page)
            yield page
        finally:
            started.terminate()
            started.wait(60)


def _await(page: Page) -> None:
    """Until the page serves the project's asset."""
    for _ in range(120):
        try:
            node = page.ask(_HEALTH)["assetNodeOrError"]
            if "assetPartitionStatuses" in node:
                return
        except requests.RequestException:
            pass
        SystemClock().sleep(1)
    raise AssertionError("no page")
