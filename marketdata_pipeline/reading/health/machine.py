"""Whether disk and memory are enough.

Not here: measuring them (database.machine).
"""

from pathlib import Path

from marketdata_pipeline.database.machine import Disk
from marketdata_pipeline.reading.health.finding import Finding, note, well, wrong

_MB = 10**6
_GB = 10**9
_HOME_NEEDS, _TEMPORARY_NEEDS = _GB, 50 * _MB
"""Dagster's events alone grow by half a gigabyte with each refresh of 56,000 partitions."""
_HOME_WISHES, _TEMPORARY_WISHES = (2 * _GB, 50 * _GB), (500 * _MB, _GB)
"""Of each, 5 % of the disk is wished, but no less than the first and no more than the second."""
_SHARE = 0.05
_NODES_NEEDED, _NODES_WISHED = 1_000, 100_000
_RUN, _SEVERAL = 200 * _MB, _GB
"""A run takes 110 to 160 MB; four at once beside the web server and the daemon a gigabyte."""


def judge_home_disk(folder: Path, disk: Disk) -> Finding:
    """Whether the home has room to grow."""
    return _judge_disk("disk", f"of the home {folder}", disk, _HOME_NEEDS, _HOME_WISHES)


def judge_temporary_disk(folder: Path, disk: Disk) -> Finding:
    """Whether the temporary folder holds what a run puts there for a while, which is little."""
    topic, whose = "temporary folder", f"of {folder}"
    return _judge_disk(topic, whose, disk, _TEMPORARY_NEEDS, _TEMPORARY_WISHES)


def _judge_disk(
    topic: str, whose: str, disk: Disk, needed: int, wishes: tuple[int, int]
) -> Finding:
    least, most = wishes
    wished = max(least, min(most, _SHARE * disk.size))
    told = f"{size(disk.free)} of {size(disk.size)} free on the disk {whose}"
    advice = "remove what is not needed there, or move it to a larger disk"
    if disk.nodes and disk.nodes_free < _NODES_NEEDED:
        few = f"{disk.nodes_free:,} more files fit on the disk {whose} (inodes)"
        return wrong(topic, f"{few}: writes will fail", "remove many small files there")
    if disk.free < needed:
        return wrong(topic, f"{told}: writes will fail soon", advice)
    if disk.nodes and disk.nodes_free < min(_NODES_WISHED, _SHARE * disk.nodes):
        few = f"{disk.nodes_free:,} more files fit on the disk {whose} (inodes)"
        return note(topic, few, "remove many small files there")
    return note(topic, told, advice) if disk.free < wished else well(topic, told)


def judge_memory(available: int | None) -> Finding | None:
    """Whether runs have enough memory; None where the system does not tell how much there is."""
    topic = "memory"
    if available is None:
        return None
    told = f"{size(available)} available"
    if available < _RUN:
        less = f"{told}: less than a run takes, the kernel will kill it"
        return wrong(topic, less, "end other programs, or allow this one more memory")
    if available < _SEVERAL:
        few = f"{told}: too little for several runs at once (a run takes up to 160 MB)"
        return note(topic, few, "lower max_concurrent_runs in dagster.yaml, or add memory")
    return well(topic, told)


def size(number: float) -> str:
    """Bytes for people."""
    return f"{number / _GB:,.1f} GB" if number >= _GB else f"{number / _MB:,.0f} MB"
