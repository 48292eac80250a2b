"""Disk, memory and folders as the system tells of them."""

import os
import stat
from pathlib import Path

import pytest

from marketdata_pipeline.database.machine import (
    Disk,
    Folder,
    disk_of,
    file_system_of,
    folder_at,
    memory_available,
    mounted,
)

MOUNTS = """\
/dev/sda1 / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
server:/export {place}/shared nfs4 rw 0 0
//server/share {place}/my\\040files cifs rw 0 0
tmpfs {place}/twice tmpfs rw 0 0
/dev/sdb1 {place}/twice xfs rw 0 0
broken
"""


def test_room_is_what_a_user_without_special_rights_gets(tmp_path: Path) -> None:
    #               bsize frsize blocks bfree bavail files ffree favail flag namemax
    told = os.statvfs_result((4096, 1024, 1000, 500, 400, 90, 80, 70, 0, 255))
    assert disk_of(tmp_path, lambda _: told) == Disk(1_024_000, 409_600, 90, 70)


def test_a_real_disk_has_a_size_and_no_more_room_than_that(tmp_path: Path) -> None:
    found = disk_of(tmp_path)
    assert 0 < found.free <= found.size
    assert found.nodes_free <= found.nodes
    with pytest.raises(FileNotFoundError):
        disk_of(tmp_path / "none")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("elsewhere", "ext4"),
        ("shared", "nfs4"),
        ("shared/home/catalog.sqlite", "nfs4"),
        ("shared-not", "ext4"),
        ("my files/home", "cifs"),
        ("twice/home", "xfs"),
        ("link/home", "nfs4"),
    ],
)
def test_the_nearest_and_last_mount_holds_a_path(tmp_path: Path, path: str, kind: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "shared")
    assert file_system_of(tmp_path / path, MOUNTS.format(place=tmp_path)) == kind


def test_where_the_system_tells_nothing_no_type_is_known(tmp_path: Path) -> None:
    assert file_system_of(tmp_path, mounted(tmp_path)) is None
    assert file_system_of(Path("/"), mounted()) is not None


def test_a_folder_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    assert folder_at(tmp_path) == Folder(tmp_path, 0o750)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_file_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = folder_at(tmp_path / "file")
    assert (found.mode, found.trouble) == (
        stat.S_IMODE((tmp_path / "file").stat().st_mode),
        "Not a directory",
    )
    assert folder_at(tmp_path / "none") == Folder(
        tmp_path / "none", None, "No such file or directory"
    )


def system(root: Path, **texts: str) -> Path:
    """A system's own files below a folder; two underscores are a slash, one is itself."""
    for name, text in texts.items():
        file = root / name.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


MEMINFO = "MemTotal:  8000000 kB\nMemAvailable:  4000000 kB\nHugePages_Total:  0\n"
MACHINE = 4_096_000_000


def test_memory_is_what_the_machine_has_left(tmp_path: Path) -> None:
    assert memory_available(system(tmp_path, proc__meminfo=MEMINFO)) == MACHINE


def test_a_limit_of_a_container_counts_where_it_is_tighter(tmp_path: Path) -> None:
    root = system(
        tmp_path,
        proc__meminfo=MEMINFO,
        proc__self__cgroup="0::/\n",
        sys__fs__cgroup__memory_dot_max="1000000000\n",
        sys__fs__cgroup__memory_dot_current="900000000\n",
        sys__fs__cgroup__memory_dot_stat="anon 5\ninactive_file 300000000\n",
    )
    assert memory_available(root) == 400_000_000
    system(root, sys__fs__cgroup__memory_dot_max="max\n")
    assert memory_available(root) == MACHINE


def test_a_limit_of_a_group_above_counts_too(tmp_path: Path) -> None:
    root = system(
        tmp_path,
        proc__meminfo=MEMINFO,
        proc__self__cgroup="0::/user.slice/me\n",
        sys__fs__cgroup__user_dot_slice__memory_dot_max="2000000000\n",
        sys__fs__cgroup__user_dot_slice__memory_dot_current="500000000\n",
    )
    assert memory_available(root) == 1_500_000_000


def test_the_older_kind_of_groups_is_known(tmp_path: Path) -> None:
    root = system(
        tmp_path,
        proc__meminfo=MEMINFO,
        proc__self__cgroup="9:cpu:/\n4:memory,other:/docker/abc\n",
        sys__fs__cgroup__memory__memory_dot_limit_in_bytes="1000000000\n",
        sys__fs__cgroup__memory__memory_dot_usage_in_bytes="1200000000\n",
    )
    assert memory_available(root) == 0


def test_a_system_that_tells_nothing_is_not_guessed_at(tmp_path: Path) -> None:
    assert memory_available(tmp_path) is None
    assert (memory_available() or 0) > 0
