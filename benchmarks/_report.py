"""What every benchmark shares: its options, a child's cost, figures beside their aims.

Not here: what is measured. A benchmark prints each figure's median and range over the rounds that
it ran, its aim where it has one, and whether that is met; `--check` makes a missed aim exit 1.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True)
class Options:
    """How a benchmark was started.

    Attributes:
        quick: a smaller one of under a minute.
        json: where to write the figures; None: nowhere.
        check: exit 1 when an aim is missed.
    """

    quick: bool
    json: Path | None
    check: bool


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took: wall and CPU seconds (its children's too), peak resident MB."""

    wall: float
    cpu: float
    rss: float


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure: one value a round, in ``unit``.

    ``most`` or ``least`` is its aim, both None: for reading. Without values it was not measured,
    and misses no aim. ``ours`` is the same as a multiple of what ours took in the same round, where
    that is another figure.
    """

    name: str
    values: tuple[float, ...]
    unit: str = ""
    most: float | None = None
    ours: tuple[float, ...] = ()
    least: float | None = None

    @property
    def median(self) -> float | None:
        """The figure itself."""
        return median(self.values) if self.values else None

    @property
    def met(self) -> bool:
        """Whether it is as low, or as high, as it has to be."""
        if self.median is None:
            return True
        low = self.most is None or self.median <= self.most
        return low and (self.least is None or self.median >= self.least)

    def line(self) -> str:
        """The figure, its range over the rounds, its aim."""
        aim = "" if self.most is None else f"  aim <= {self.most:,.4g}"
        aim += "" if self.least is None else f"  aim >= {self.least:,.4g}"
        if self.median is None:
            return f"{self.name:<58} {'not measured':>17}{aim}"
        spread = ""
        if len(self.values) > 1:
            spread = f"  ({min(self.values):,.3g} to {max(self.values):,.3g})"
        if self.ours:
            spread += f"  {median(self.ours):,.3g} x ours"
        if aim:
            aim += ": met" if self.met else ": MISSED"
        return f"{self.name:<58} {self.median:>10,.4g} {self.unit:<6}{spread}{aim}"


def options(description: str) -> Options:
    """The command line of a benchmark."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="smaller, under a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--check", action="store_true", help="exit 1 when an aim is missed")
    given = parser.parse_args()
    return Options(quick=given.quick, json=given.json, check=given.check)


def report(
    figures: Sequence[Figure], asked: Options, notes: Mapping[str, object] | None = None
) -> int:
    """Print the figures and write them where asked; the exit code."""
    about: dict[str, object] = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "quick": asked.quick,
        **(notes or {}),
    }
    print("  ".join(f"{key}={value}" for key, value in about.items()))
    for figure in figures:
        print(figure.line())
    if asked.json is not None:
        told = [asdict(one) | {"median": one.median, "met": one.met} for one in figures]
        asked.json.write_text(json.dumps({"about": about, "figures": told}, indent=1))
    return int(asked.check and not all(one.met for one in figures))


def cost_of(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end and tell what it and what it waited for took.

    Raises:
        RuntimeError: it failed; the text ends with what it wrote to standard error.
    """
    started = time.perf_counter()
    with subprocess.Popen(  # noqa: S603 - the benchmark's own commands
        command,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as child:
        said = child.stderr.read() if child.stderr else b""
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{command} ended with {child.returncode}: {said.decode()[-2000:]}")
    kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return Cost(
        time.perf_counter() - started, usage.ru_utime + usage.ru_stime, kilobytes * 1024 / 1e6
    )


def growth(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The exponent b of ``values ~ sizes ** b`` by least squares on logarithms; 1 is linear."""
    import numpy as np

    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])
