"""The folder of an export: whole or not at all, and nobody else's file is touched."""

import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from marketdata_pipeline.errors import BadInput, StoreError
from marketdata_pipeline.reading.export.folder import refuse, replacing
from marketdata_pipeline.reading.export.manifest import NAME, FileLine, Layout, Manifest


def manifest(*files: FileLine) -> str:
    made = Manifest(Layout.CSV, "now", "now", "raw", False, None, None, (), files)  # noqa: FBT003
    return made.to_json()


def write(
    target: Path,
    *names: str,
    mark: str = "",
    overwrite: bool = False,
    meanwhile: Callable[[], object] = lambda: None,
) -> None:
    """An export of some files that hold their name and ``mark``."""
    with replacing(target, overwrite=overwrite) as unfinished:
        files = [unfinished.put(name, (name + mark).encode()) for name in names]
        unfinished.put(NAME, manifest(*files).encode())
        meanwhile()


def tree(folder: Path) -> list[str]:
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*"))


def texts(folder: Path) -> dict[str, str]:
    return {
        str(one.relative_to(folder)): one.read_text()
        for one in folder.rglob("*")
        if one.is_file() and one.name != NAME
    }


def test_files_appear_all_at_once(target: Path) -> None:
    with replacing(target, overwrite=False) as unfinished:
        line = unfinished.put("a/b", b"123")
        assert not target.exists()
        assert line == FileLine(
            "a/b", 3, "a665a45920422f9d417e4867efdc4fb8a04a1f3fff1fa07e998e86f7f7a27ae3"
        )
    assert tree(target.parent) == ["out", "out/a", "out/a/b"]


def test_an_empty_folder_is_taken(target: Path) -> None:
    target.mkdir()
    write(target, "a")
    assert tree(target) == ["a", NAME]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_strangers_folder_is_left_as_it_is(target: Path, *, overwrite: bool) -> None:
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")
    said = "is no export: it holds no manifest.json" if overwrite else "is not empty; name another"
    with pytest.raises(BadInput, match=said):
        write(target, "a", overwrite=overwrite)
    assert texts(target) == {"thesis.txt": "years of work"}
    assert tree(target.parent) == ["out", "out/thesis.txt"]


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"format": "other"}', '{"name": "app"}'])
def test_a_manifest_of_somebody_else_makes_no_export(target: Path, content: str) -> None:
    target.mkdir()
    (target / NAME).write_text(content)
    with pytest.raises(BadInput, match="is no export"):
        refuse(target, overwrite=True)
    assert (target / NAME).read_text() == content


@pytest.mark.parametrize("strange", ["notes.txt", "a/notes.txt", "mine/notes.txt", "empty/"])
def test_an_export_with_a_strangers_file_in_it_is_left_as_it_is(target: Path, strange: str) -> None:
    write(target, "a/one", "two")
    if strange.endswith("/"):
        (target / strange).mkdir()
    else:
        (target / strange).parent.mkdir(exist_ok=True)
        (target / strange).write_text("mine")
    before = tree(target)
    with pytest.raises(BadInput, match="also holds what no export wrote: "):
        write(target, "a", overwrite=True)
    assert tree(target) == before


def test_a_link_in_an_export_is_a_strangers(target: Path) -> None:
    write(target, "a")
    outside = target.parent / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    (target / "link").symlink_to(outside)
    with pytest.raises(BadInput, match="also holds what no export wrote: link"):
        write(target, "a", overwrite=True)
    assert (outside / "file").read_text() == "mine"


def test_a_link_in_place_of_an_exports_folder_is_a_strangers(target: Path) -> None:
    """Removing the export's files by their names would go through it."""
    write(target, "a/one")
    outside = target.parent / "outside"
    (target / "a").rename(outside)
    (target / "a").symlink_to(outside)
    with pytest.raises(BadInput, match="also holds what no export wrote: a;"):
        write(target, "b", overwrite=True)
    assert (outside / "one").is_file()


def test_many_strange_files_are_told_in_short(target: Path) -> None:
    write(target, "a")
    for name in "vwxyz":
        (target / name).write_text("mine")
    with pytest.raises(BadInput, match="wrote: v, w, x and 2 others; move that away first"):
        write(target, "a", overwrite=True)


def test_an_export_is_replaced_by_another_one(target: Path) -> None:
    write(target, "a/one", "two")
    with pytest.raises(BadInput, match="is not empty; name another folder, or give --overwrite"):
        write(target, "three")
    write(target, "three", overwrite=True)
    assert tree(target.parent) == ["out", f"out/{NAME}", "out/three"]


def test_what_a_link_leads_to_is_replaced(target: Path) -> None:
    write(target, "a")
    link = target.parent / "link"
    link.symlink_to(target)
    write(link, "b", overwrite=True)
    assert link.is_symlink()
    assert list(texts(target)) == ["b"]


def test_a_file_is_no_target(target: Path) -> None:
    target.write_text("mine")
    with pytest.raises(BadInput, match="out is a file; name a folder"):
        write(target, "a", overwrite=True)
    assert target.read_text() == "mine"


def test_a_target_in_no_folder_is_refused(target: Path) -> None:
    with pytest.raises(BadInput, match="none is no folder; make it, or name another one"):
        write(target.parent / "none" / "out", "a")


def test_somebody_who_comes_in_between_keeps_his_files(target: Path) -> None:
    def come() -> None:
        target.mkdir()
        (target / "theirs").write_text("theirs")

    with pytest.raises(BadInput, match="is not empty"):
        write(target, "a", meanwhile=come)
    assert tree(target.parent) == ["out", "out/theirs"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("disk"), SystemExit(143)])
def test_nothing_is_left_of_an_export_that_breaks_off(target: Path, error: BaseException) -> None:
    write(target, "a", mark="older")

    def break_off() -> None:
        raise error

    with pytest.raises(type(error)):
        write(target, "a", mark="newer", overwrite=True, meanwhile=break_off)
    assert texts(target) == {"a": "aolder"}
    assert tree(target.parent) == ["out", "out/a", f"out/{NAME}"]


def test_a_disk_that_is_full_is_a_store_error(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: Path, _data: bytes) -> int:
        raise OSError(28, "No space left on device", str(file))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match="cannot be written: No space left on device"):
        write(target, "a")
    assert tree(target.parent) == []


class _Broken:
    """Path.rename that fails or is interrupted at its nth call, and works before and after."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException) -> None:
        self._calls = 0
        real = Path.rename

        def rename(path: Path, to: Path) -> Path:
            self._calls += 1
            if self._calls == at:
                raise error
            return real(path, to)

        monkeypatch.setattr(Path, "rename", rename)


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("error", [OSError(16, "Device or resource busy"), KeyboardInterrupt()])
def test_the_older_export_keeps_its_name_where_the_newer_cannot_have_it(
    target: Path, monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException
) -> None:
    write(target, "a", mark="older")
    _Broken(monkeypatch, at, error)
    expected = StoreError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write(target, "a", mark="newer", overwrite=True)
    assert texts(target) == {"a": "aolder"}
    assert tree(target.parent) == ["out", "out/a", f"out/{NAME}"]


def _killed_before_the_name(target: Path) -> None:
    """What a writer leaves that is killed between its two renames."""
    target.rename(target.with_name(".out.0123.old"))


def _killed_before_the_end(target: Path) -> None:
    """What a writer leaves that is killed while it removes the older export."""
    older = target.with_name(".out.0123.old")
    write(older, "a", "b/c", mark="older")
    (older / "a").unlink()


def _killed_while_writing(target: Path) -> None:
    """What a writer leaves that is killed long before it is done."""
    left = target.with_name(".out.0123.tmp")
    (left / "bars").mkdir(parents=True)
    (left / "bars" / "half").write_text("half")
    long_ago = time.time() - 3600
    os.utime(left, (long_ago, long_ago))


@pytest.mark.parametrize(
    "killed", [_killed_before_the_name, _killed_before_the_end, _killed_while_writing]
)
def test_what_a_killed_writer_left_is_mended_by_the_next_one(
    target: Path, killed: Callable[[Path], None]
) -> None:
    write(target, "a", mark="first")
    killed(target)
    with pytest.raises(BadInput, match="is not empty"):
        write(target, "z")
    assert texts(target) == {"a": "afirst"}
    assert tree(target.parent) == ["out", "out/a", f"out/{NAME}"]
    write(target, "a", mark="second", overwrite=True)
    assert texts(target) == {"a": "asecond"}


def test_what_another_writer_is_at_is_left_alone(target: Path) -> None:
    _killed_while_writing(target)
    other = target.with_name(".out.0123.tmp")
    lock = os.open(other, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        write(target, "a")
        assert (other / "bars" / "half").exists()
    finally:
        os.close(lock)


def test_what_another_writer_has_just_begun_is_left_alone(target: Path) -> None:
    other = target.with_name(".out.0123.tmp")
    other.mkdir()
    write(target, "a")
    assert other.is_dir()


def test_names_that_look_like_patterns_mean_themselves(target: Path) -> None:
    odd = target.with_name("o[u]t*")
    write(odd, "a")
    _killed_before_the_end(target)
    write(odd, "b", overwrite=True)
    assert target.with_name(".out.0123.old").is_dir(), "of another target"
    assert list(texts(odd)) == ["b"]


def test_a_manifest_that_names_files_outside_removes_none(target: Path) -> None:
    victim = target.parent / "victim"
    victim.write_text("mine")
    for path in ("../victim", str(victim), "a/../../victim", ""):
        write(target, "a")
        told = json.loads((target / NAME).read_text())
        told["files"][path] = {"bytes": 4, "sha256": ""}
        told["facts"].append(path)
        (target / NAME).write_text(json.dumps(told))
        with pytest.raises(StoreError, match="is damaged"):
            write(target, "a", overwrite=True)
        assert victim.read_text() == "mine"
        (target / NAME).unlink()
        (target / "a").unlink()


def test_an_export_of_a_newer_version_is_left_as_it_is(target: Path) -> None:
    write(target, "a")
    told = json.loads((target / NAME).read_text()) | {"version": 2}
    (target / NAME).write_text(json.dumps(told))
    with pytest.raises(BadInput, match="was written by another version; update the package"):
        write(target, "b", overwrite=True)
    assert list(texts(target)) == ["a"]


def test_a_manifest_that_cannot_be_read_is_a_store_error(target: Path) -> None:
    (target / NAME).mkdir(parents=True)
    with pytest.raises(StoreError, match=r"manifest\.json cannot be read: Is a directory"):
        refuse(target, overwrite=True)


def test_lists_have_a_line_for_each_element(target: Path) -> None:
    with replacing(target, overwrite=False) as unfinished:
        with unfinished.listing("_metadata/some.json") as some:
            some.add([{"a": 1}, {"a": 2}])
            some.add([{"a": None}])
            line = some.end()
        with unfinished.listing("none.json") as none:
            nothing = none.end()
    data = (target / "_metadata" / "some.json").read_bytes()
    assert data == b'[\n{"a": 1},\n{"a": 2},\n{"a": null}\n]\n'
    assert json.loads(data) == [{"a": 1}, {"a": 2}, {"a": None}]
    assert (line.path, line.bytes) == ("_metadata/some.json", len(data))
    assert json.loads((target / nothing.path).read_text()) == []
