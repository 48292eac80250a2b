"""`export --overwrite` killed by -9 again and again: an export is there and whole all the time."""

import hashlib
import os
import signal
import subprocess
from pathlib import Path

import pytest

from marketdata_pipeline.database.home import make_home
from marketdata_pipeline.domain.clock import SystemClock
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.reading.export.manifest import Manifest
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline_tests.cli.terminal import PROGRAM, environment, program
from marketdata_pipeline_tests.store.writes import bars_at, minutes, write_of

SERIES = 150
KILLS = 15


def whole(target: Path) -> bool:
    """Whether every file that the export names is there with its checksum, and no other."""
    known = Manifest.read(target)
    assert known is not None
    assert len(known.series) == SERIES
    names = {str(one.relative_to(target)) for one in target.rglob("*") if one.is_file()}
    expected = {one.path: one.sha256 for one in known.files()}
    assert names == {*expected, "manifest.json"}
    return all(
        hashlib.sha256((target / path).read_bytes()).hexdigest() == sha256
        for path, sha256 in expected.items()
    )


@pytest.mark.proof
def test_a_killed_export_leaves_the_older_or_the_newer_one(tmp_path: Path) -> None:
    target = tmp_path / "exports" / "out"
    target.parent.mkdir()
    with make_home(tmp_path / "home") as home:
        store = BarStore(home.engine, home.bars, home.clock)
        for number in range(SERIES):
            series = Series.parse(f"C{number}-USD|1m")
            store.commit(write_of(bars_at(minutes(0, 2000)), series), expected_version=None)
    env = environment(MARKETDATA_HOME=home.folder)
    export = ("export", target, "--all", "--overwrite", "--format", "csv")
    assert program(tmp_path, env, *export).code == 0
    killed = 0
    for number in range(KILLS):
        words = [str(one) for one in export]
        with subprocess.Popen([*PROGRAM, *words], env=env, stdout=subprocess.DEVNULL) as started:
            SystemClock().sleep(0.7 + 0.15 * number)
            started.kill()
        killed += started.returncode == -signal.SIGKILL
        if not target.exists():  # killed between two renames: the next one puts it back
            assert len(list(target.parent.glob(".out.*.old"))) == 1
            continue
        assert whole(target)
    assert killed >= KILLS // 2, "most were at work"
    for left in target.parent.glob(".out.*.tmp"):
        os.utime(left, (0, 0))  # as if a minute had passed
    assert program(tmp_path, env, *export).code == 0
    assert whole(target)
    assert [one.name for one in target.parent.iterdir()] == ["out"]
