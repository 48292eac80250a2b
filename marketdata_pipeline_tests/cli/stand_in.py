"""A program that stands in for Dagster: says what runs say, and does what runs rarely do.

Not here: updating anything. `python -m dagster` of a child finds it before the real one.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from marketdata_pipeline.domain.clock import SystemClock

_PROGRAM = """
import json, os, pathlib, signal, sys, time

folder = pathlib.Path(__file__).parent


def wait():
    (folder / "waiting").write_text("")
    while True:
        time.sleep(0.05)


def end(*_):
    print("told to end", flush=True)
    sys.exit(1)


def act(name):
    if name == "KILL":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "DEAF":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        wait()
    if name == "WAIT":
        signal.signal(signal.SIGTERM, end)
        wait()


def late(name):
    seen = folder / f"seen-{name}"
    if name.startswith("LATE") and not seen.exists():
        seen.write_text("")
        return True
    return name.startswith("NEVER")


def run(series):
    from marketdata_pipeline.ingest.progress import SMALL, Leftover, Progress, SeriesDone

    total, failed, done, left = len(series), 0, 0, []
    for one in series:
        name = one.partition("|")[0]
        if late(name):
            left.append(one)
            continue
        done += 1
        act(name)
        error = "truth is down" if name.startswith("BAD") else None
        failed += error is not None
        if error or total <= SMALL:
            print(SeriesDone(done, total, one, 0 if error else 2, 2, 1, error), flush=True)
        if total > SMALL and done % 25 == 0:
            new = 2 * (done - failed)
            print(Progress(done, total, new, done, failed, 60.0, 60.0, 0, 0.0), flush=True)
        if name == "LAST":
            time.sleep(1)  # what was said is read by then
            os.kill(os.getppid(), signal.SIGINT)
            time.sleep(0.2)
    if left and total > SMALL:
        print(Progress(done, total, 2 * (done - failed), done, failed, 60.0, 60.0, 0, 0.0))
    if left:
        print(Leftover(total, tuple(left), "not begun: it was late"), flush=True)
    return 1 if failed > 0.3 * done else 0


if __name__ == "__main__":
    (folder / "pid").write_text(str(os.getpid()))
    words = sys.argv[1:]
    asked = json.loads(pathlib.Path(words[words.index("-c") + 1]).read_text())
    tags = json.loads(words[words.index("--tags") + 1]) if "--tags" in words else {}
    config = asked["ops"]["ohlcv"]["config"]
    with (folder / "calls").open("a") as calls:
        calls.write(json.dumps({**config, "tags": tags}) + "\\n")
    sys.exit(run(config["series"]))
else:  # somebody imports the real one
    sys.path.remove(str(folder))
    del sys.modules["dagster"]
    import dagster
"""


@dataclass(frozen=True, slots=True)
class StandIn:
    """The program in its folder, and what it was asked for.

    Its series end well, but for those of an instrument whose name begins with BAD. KILL kills it,
    WAIT waits until it is told to end, DEAF does not listen, LAST interrupts who started it. A run
    leaves what begins with LATE the first time, and what begins with NEVER always.
    """

    folder: Path

    def install(self) -> None:
        """Put the program where a child finds it."""
        self.folder.mkdir()
        (self.folder / "dagster.py").write_text(_PROGRAM)

    def calls(self) -> list[dict[str, object]]:
        """The config and the tags of each run."""
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def pid(self) -> int:
        """The process of the last run."""
        return int((self.folder / "pid").read_text())

    def await_waiting(self) -> None:
        """Return once it waits to be told to end."""
        for _ in range(600):
            if (self.folder / "waiting").exists():
                return
            SystemClock().sleep(0.05)
        raise AssertionError("the program does not wait")
