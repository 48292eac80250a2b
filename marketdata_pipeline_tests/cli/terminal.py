"""The command line as a person meets it: in this process, or as a program of its own.

Not here: homes; a test makes the one it needs.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from marketdata_pipeline.cli import app

PROGRAM = [sys.executable, "-c", "from marketdata_pipeline.cli.app import main; main()"]


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    def sentence(self) -> str:
        """The one line on standard error, without the program's name; nothing else was said."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("marketdata: "), self.err
        assert self.out == ""
        return lines[0].removeprefix("marketdata: ")


@dataclass(frozen=True, slots=True)
class Terminal:
    """Runs commands here, in this process."""

    captured: pytest.CaptureFixture[str]

    def __call__(self, *arguments: object) -> Said:
        """Run ``marketdata`` with these arguments."""
        self.captured.readouterr()
        code = app.run([str(one) for one in arguments])
        out, err = self.captured.readouterr()
        return Said(code, out, err)


def environment(**settings: object) -> dict[str, str]:
    """This process's environment without any setting of ours but these, and without Yahoo."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("MARKETDATA_") and key != "DAGSTER_HOME"
    }
    nowhere = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    return {**inherited, **nowhere, **{key: str(value) for key, value in settings.items()}}


def program(folder: Path, env: Mapping[str, str], *arguments: object) -> Said:
    """Run ``marketdata`` as a program in ``folder``."""
    return command(folder, env, *PROGRAM, *arguments)


def command(folder: Path, env: Mapping[str, str], *words: object) -> Said:
    """Run any program in ``folder``."""
    done = subprocess.run(
        [str(one) for one in words],
        cwd=folder,
        env=dict(env),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def listing(folder: Path) -> list[str]:
    """Every path below a folder."""
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*"))
