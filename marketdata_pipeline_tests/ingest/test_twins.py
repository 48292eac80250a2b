"""Two processes that want the same new instruments at the same time, over the simulator."""

import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from marketdata_pipeline.database.home import make_home
from marketdata_pipeline.simulator.server import running
from marketdata_pipeline.simulator.synthetic import SyntheticHistory
from marketdata_pipeline_tests.conftest import ROOT
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.ingest.twin import NOON

FRAMES = ("1m", "1h", "4h", "1d", "1wk")
KEYS = [f"{name}|{frame}" for name in ("AAPL", "BTC-USD") for frame in FRAMES]


def _twin(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "marketdata_pipeline_tests.ingest.twin", *arguments, *KEYS],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _told(out: str) -> dict[str, dict[str, Any]]:
    return {key: told for line in out.splitlines() for key, told in json.loads(line).items()}


@pytest.mark.proof
def test_each_window_is_asked_for_once_and_both_have_everything(
    tmp_path: Path, database_url: str
) -> None:
    folder = tmp_path / "home"
    make_home(folder, database_url=database_url).engine.dispose()
    clock = FrozenClock(NOON, datetime(2026, 1, 5, tzinfo=UTC))
    with running(SyntheticHistory(seed=11), clock) as simulator:
        twins = [_twin(str(folder), database_url, simulator.url) for _ in range(2)]
        for one in twins:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        for one in twins:
            assert one.stdin is not None
            one.stdin.write("\n")
            one.stdin.flush()
        first, second = (_told(one.communicate(timeout=120)[0]) for one in twins)
        asked = Counter((one.path, *sorted(one.params.items())) for one in simulator.charts())
    assert [one.returncode for one in twins] == [0, 0]
    assert set(asked.values()) == {1}
    sent = [sum(one["requests"] for one in told.values()) for told in (first, second)]
    assert sum(sent) == len(asked) > 10
    assert set(first) == set(second) == set(KEYS)
    for key in KEYS:
        both = first[key], second[key]
        assert [one["error"] for one in both] == [None, None]
        assert {one["coverage"] for one in both} == {1.0}
        assert both[0]["rows"] == both[1]["rows"] > 50
        assert both[0]["new"] + both[1]["new"] == both[0]["rows"], "each bar was written once"
