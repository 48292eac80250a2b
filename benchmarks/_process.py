"""What a process took so far: CPU seconds and memory, of itself alone.

Not here: a child that is run to its end (_report). Linux tells in /proc; elsewhere it is NaN.
`ru_maxrss` would not do: a child's begins with what its parent had.
"""

import math
import os
from pathlib import Path


def cpu_of(pid: int) -> float:
    """User and system seconds, without children's."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return math.nan
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_of(pid: int) -> float:
    """The most MB that were resident at once."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return math.nan
    lines = status.read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024 / 1e6
