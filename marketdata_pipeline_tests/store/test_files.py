from pathlib import Path

import pytest

from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.store.checksums import checksum
from marketdata_pipeline.store.files import BarFiles
from marketdata_pipeline_tests.store.writes import COIN


def test_a_file_lies_below_its_series_under_a_name_of_its_own(tmp_path: Path) -> None:
    files = BarFiles(tmp_path)
    first, second = files.put(COIN, b"one"), files.put(COIN, b"two")
    assert first != second
    assert first.startswith("BTC-USD%7C1m/")
    with files.open(first, checksum(b"one")) as file:
        assert file.read() == b"one"
    assert sorted(path.name for path in tmp_path.rglob("*.parquet")) == sorted(
        Path(one).name for one in (first, second)
    )
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_discarded_file_is_gone_and_one_that_was_is_no_error(tmp_path: Path) -> None:
    files = BarFiles(tmp_path)
    path = files.put(COIN, b"one")
    files.discard([path, path])
    with pytest.raises(FileNotFoundError):
        files.open(path, checksum(b"one"))


def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "bars").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match=r"BTC-USD\|1m: bars cannot be written to"):
        BarFiles(tmp_path / "bars").put(COIN, b"one")


def test_a_disk_that_fills_up_leaves_no_part_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        BarFiles(tmp_path).put(COIN, b"one")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_file_and_folder_are_durable_before_the_name_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    synced: list[str] = []

    def note(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        synced.append("folder" if path.is_dir() else path.suffix)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to name an open file")
    monkeypatch.setattr(os, "fsync", note)
    BarFiles(tmp_path).put(COIN, b"one")
    assert synced == [".tmp", "folder", "folder"]
