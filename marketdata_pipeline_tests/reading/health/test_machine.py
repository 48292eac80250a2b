"""How much disk and memory is enough."""

from pathlib import Path

import pytest

from marketdata_pipeline.database.machine import Disk
from marketdata_pipeline.reading.health.finding import Mark
from marketdata_pipeline.reading.health.machine import (
    judge_home_disk,
    judge_memory,
    judge_temporary_disk,
    size,
)

MB, GB = 10**6, 10**9
HOME = Path("/data/home")


@pytest.mark.parametrize(
    ("whole", "free", "mark"),
    [
        (100 * GB, 50 * GB, Mark.OK),
        (100 * GB, 5 * GB, Mark.OK),
        (100 * GB, 4.9 * GB, Mark.NOTE),
        (100 * GB, 0.9 * GB, Mark.WRONG),
        (10 * GB, 2 * GB, Mark.OK),  # a small disk: 5 % of it would be too little
        (10 * GB, 1.9 * GB, Mark.NOTE),
        (8000 * GB, 51 * GB, Mark.OK),  # a large one: 5 % of it would be nonsense
        (8000 * GB, 49 * GB, Mark.NOTE),
        (8000 * GB, 0.5 * GB, Mark.WRONG),
    ],
)
def test_a_home_wants_room_to_grow(whole: float, free: float, mark: Mark) -> None:
    found = judge_home_disk(HOME, Disk(int(whole), int(free)))
    assert (found.topic, found.mark) == ("disk", mark)
    assert found.says.startswith(f"{size(free)} of {size(whole)} free on the disk of the home")
    assert bool(found.advice) is (mark is not Mark.OK)


@pytest.mark.parametrize(
    ("whole", "free", "mark"),
    [
        (2 * GB, 501 * MB, Mark.OK),
        (2 * GB, 499 * MB, Mark.NOTE),
        (2 * GB, 49 * MB, Mark.WRONG),
        (300 * GB, 2 * GB, Mark.OK),
    ],
)
def test_a_temporary_folder_needs_less(whole: int, free: int, mark: Mark) -> None:
    found = judge_temporary_disk(Path("/tmp"), Disk(whole, free))  # noqa: S108 - no file is made
    assert (found.topic, found.mark) == ("temporary folder", mark)


@pytest.mark.parametrize(
    ("nodes", "left", "mark"),
    [
        (1_000_000, 50_000, Mark.OK),
        (1_000_000, 49_999, Mark.NOTE),
        (10_000_000, 100_000, Mark.OK),
        (10_000_000, 99_999, Mark.NOTE),
        (1_000_000, 999, Mark.WRONG),
        (0, 0, Mark.OK),  # made as they are needed
    ],
)
def test_files_need_inodes_as_well(nodes: int, left: int, mark: Mark) -> None:
    found = judge_home_disk(HOME, Disk(100 * GB, 90 * GB, nodes, left))
    assert found.mark is mark
    assert ("inodes" in found.says) is (mark is not Mark.OK)


@pytest.mark.parametrize(
    ("available", "mark"),
    [(GB, Mark.OK), (GB - 1, Mark.NOTE), (200 * MB, Mark.NOTE), (199 * MB, Mark.WRONG)],
)
def test_runs_need_memory(available: int, mark: Mark) -> None:
    found = judge_memory(available)
    assert found is not None
    assert found.mark is mark
    assert found.says.startswith(f"{size(available)} available")


def test_memory_that_is_not_known_is_not_judged() -> None:
    assert judge_memory(None) is None


def test_bytes_are_told_in_what_people_say() -> None:
    assert [size(one) for one in (0, 1_500_000, GB, 1234.56 * GB)] == [
        "0 MB",
        "2 MB",
        "1.0 GB",
        "1,234.6 GB",
    ]
