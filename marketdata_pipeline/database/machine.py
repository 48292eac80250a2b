"""What the machine gives a home: room on disk, memory, folders that can be written.

Not here: what is enough (reading.health). What a system does not tell is None, never a guess.
"""

import os
import re
import stat
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

_KILOBYTE = 1024
_ESCAPED = re.compile(r"\\([0-7]{3})")
_ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system as a user without special rights finds it; bytes.

    ``nodes`` and ``nodes_free`` count inodes, both 0 where it makes them as it goes.
    """

    size: int
    free: int
    nodes: int = 0
    nodes_free: int = 0


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as it is.

    Attributes:
        mode: its permission bits; None: it is not there.
        trouble: why no file can be made in it; empty where one was.
    """

    path: Path
    mode: int | None
    trouble: str = ""


def disk_of(path: Path, statvfs: Callable[[Path], os.statvfs_result] = os.statvfs) -> Disk:
    """The file system that holds a path.

    Raises:
        OSError: the path is not there, or cannot be looked at.
    """
    found = statvfs(path)
    return Disk(
        size=found.f_blocks * found.f_frsize,
        free=found.f_bavail * found.f_frsize,
        nodes=found.f_files,
        nodes_free=found.f_favail,
    )


def folder_at(path: Path) -> Folder:
    """A folder, and whether a file can be made in it; the one that was made is gone again."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        return Folder(path, None, error.strerror or str(error))
    try:
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return Folder(path, mode, error.strerror or str(error))
    return Folder(path, mode)


def file_system_of(path: Path, mounts: str) -> str | None:
    """The type of the file system that holds a path (ext4, nfs4, ...), out of /proc/mounts.

    Of several that are mounted at one place the last one is seen.
    """
    best, kind = -1, None
    target = path.resolve()
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) > 2:  # noqa: PLR2004 - device, place, type
            place = Path(_ESCAPED.sub(lambda one: chr(int(one[1], 8)), fields[1]))
            depth = len(place.parts)
            if depth >= best and target.is_relative_to(place):
                best, kind = depth, fields[2]
    return kind


def mounted(proc: Path = Path("/proc")) -> str:
    """What is mounted; empty where the system does not tell."""
    return _text(proc / "mounts")


def memory_available(root: Path = _ROOT) -> int | None:
    """Bytes that this process could still be given, by the machine and by its control groups.

    /proc/meminfo's MemAvailable, or what a limit of a control group (a container's, a service's)
    leaves where that is less; pages that the kernel gives back when asked count as free.
    """
    machine = _fields(_text(root / "proc/meminfo")).get("MemAvailable:")
    left = [] if machine is None else [machine * _KILOBYTE]
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, place = rest.partition(":")
        if not controllers:
            left += _left(root / "sys/fs/cgroup", place, _V2)
        elif "memory" in controllers.split(","):
            left += _left(root / "sys/fs/cgroup/memory", place, _V1)
    return max(0, min(left)) if left else None


_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2 = ("memory.max", "memory.current", "inactive_file")
"""The names of limit, use and give-back pages in the two versions of control groups."""


def _left(top: Path, place: str, names: tuple[str, str, str]) -> list[int]:
    """What each group from ``place`` up to the top leaves; in a container only the top is seen."""
    group = top / place.lstrip("/")
    found = []
    for folder in (group, *group.parents):
        if not folder.is_relative_to(top):
            break
        limit, used = (_text(folder / name).strip() for name in names[:2])
        if limit.isdigit() and used.isdigit():
            back = _fields(_text(folder / "memory.stat")).get(names[2], 0)
            found.append(int(limit) - int(used) + back)
    return found


def _fields(text: str) -> Mapping[str, int]:
    """The numbers in lines of a name and a number."""
    pairs = (line.split()[:2] for line in text.splitlines())
    return {one[0]: int(one[1]) for one in pairs if len(one) > 1 and one[1].isdigit()}


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
