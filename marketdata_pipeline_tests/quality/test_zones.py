"""The zone of the machine changes nothing of what is said of bars, gaps, days and reasons."""

from hashlib import sha256
from itertools import zip_longest
from pathlib import Path

import pytest

from marketdata_pipeline_tests.children import PROCESSES
from marketdata_pipeline_tests.quality import zoned

ZONES = ("UTC", "America/New_York", "Asia/Tokyo")


@pytest.mark.proof
def test_all_of_it_is_the_same_in_utc_new_york_and_tokyo(tmp_path: Path) -> None:
    running = []
    for zone in ZONES:
        folder = tmp_path / zone.replace("/", "-")
        folder.mkdir()
        ours, theirs = PROCESSES.Pipe()
        child = PROCESSES.Process(target=zoned.tell, args=(zone, str(folder), theirs))
        child.start()
        theirs.close()
        running.append((child, ours))
    said: list[list[str]] = [ours.recv() for _, ours in running]
    for child, ours in running:
        child.join()
        ours.close()
    assert len(said[0]) > 60
    assert any("retryable" in line or "new" in line for line in said[0])
    for other in said[1:]:
        differ = [pair for pair in zip_longest(said[0], other) if pair[0] != pair[1]]
        assert differ == []
    assert len({sha256("\n".join(one).encode()).hexdigest() for one in said}) == 1
