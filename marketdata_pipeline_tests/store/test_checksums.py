import io
import random
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata_pipeline.store.checksums import Damaged, checksum, open_checked, verify

BLOCK = 65_536
sizes = st.sampled_from([1, 10, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 17])


def data_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)  # noqa: S311 - repeatable, not secret


@given(size=sizes, where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_changed_bit_changes_the_checksum(size: int, where: float, bit: int) -> None:
    data = data_of(size)
    told = checksum(data)
    verify(bytes(data), told)
    changed = bytearray(data)
    changed[int(where * size)] ^= 1 << bit
    for wrong in (bytes(changed), data[:-1], data + b"x"):
        with pytest.raises(Damaged):
            verify(wrong, told)


def test_chunks_of_earlier_versions_have_the_sha256_of_the_whole(tmp_path: Path) -> None:
    told = sha256(b"bars").hexdigest()
    verify(b"bars", told)
    (tmp_path / "one").write_bytes(b"bars")
    assert open_checked(tmp_path / "one", told).read() == b"bars"
    (tmp_path / "one").write_bytes(b"bard")
    with pytest.raises(Damaged):
        open_checked(tmp_path / "one", told)


@settings(max_examples=30)
@given(size=sizes, reads=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 100_000)), max_size=5))
def test_a_checked_file_reads_like_any_other(
    tmp_path_factory: pytest.TempPathFactory, size: int, reads: list[tuple[float, int]]
) -> None:
    data = data_of(size)
    path = tmp_path_factory.mktemp("files") / "one"
    path.write_bytes(data)
    plain = io.BytesIO(data)
    with open_checked(path, checksum(data)) as file:
        for start, length in reads:
            for one in (file, plain):
                one.seek(int(start * size))
            assert file.read(length) == plain.read(length)
            assert file.tell() == plain.tell()
        file.seek(-3 if size > 3 else 0, io.SEEK_END)
        assert file.read() == (data[-3:] if size > 3 else b"")
    assert file.closed


def test_a_damaged_block_is_never_handed_out_but_the_others_are(tmp_path: Path) -> None:
    data = data_of(3 * BLOCK)
    path = tmp_path / "one"
    path.write_bytes(data[: BLOCK + 5] + b"?" + data[BLOCK + 6 :])
    with open_checked(path, checksum(data)) as file:
        assert file.read(BLOCK) == data[:BLOCK]
        with pytest.raises(Damaged):
            file.read(10)
        file.seek(2 * BLOCK)
        assert file.read(10) == data[2 * BLOCK : 2 * BLOCK + 10]


def test_a_block_that_was_verified_is_not_read_again(tmp_path: Path) -> None:
    data = data_of(2 * BLOCK)
    path = tmp_path / "one"
    path.write_bytes(data)
    with open_checked(path, checksum(data)) as file:
        assert file.read(10) == data[:10]
        path.write_bytes(bytes(2 * BLOCK))
        assert file.read(10) == data[10:20]
        with pytest.raises(Damaged):
            file.read(BLOCK)


def test_a_file_of_another_length_is_damaged_at_once(tmp_path: Path) -> None:
    data = data_of(3 * BLOCK)
    (tmp_path / "one").write_bytes(data[:BLOCK])
    with pytest.raises(Damaged):
        open_checked(tmp_path / "one", checksum(data))
