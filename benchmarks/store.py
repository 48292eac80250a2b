"""What keeping bars costs the store, beside gzip CSV, rewritten Parquet, SQLite rows and ArcticDB.

Not here: how each of them keeps bars (_kept, _peers, _arctic), and the bars (_walk). Everybody does
the same work in the same round, in changing order, and must come to the same bars. What is repeated
within a round counts by its best; multiples are of the same round. A year is 252 sessions of 390
minutes, written by one fetch; *as kept* it came by a fetch a day and was compacted. The bare reader
is `pq.ParquetFile(...).read()` of the Parquet peer's file: into a frame by `to_pandas`, which is
where the store's reads end too, and into labels and five float64 arrays. Files are in the page
cache; no store caches bars.
"""

import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from _contest import KEPT, Contest, Seconds, Step
from _crowd import fill, first_reads, sampled
from _kept import Store
from _peers import BareArrays, BareFrame, GzipCsv, SqliteRows, YearParquet
from _place import POSTGRES, SQLITE, place, postgres
from _report import Figure, growth, options, report
from _size import sizes
from _subjects import Local, Subject, arctic
from _walk import DIGITS, SEED, SESSION, SESSIONS, minutes

from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.series import Series

STORAGES = (SQLITE, POSTGRES)
_OURS = {one: f"store, {one}" for one in STORAGES}
_STORE, _CSV, _PARQUET = "store", "gzip CSV", "Parquet"
_ROWS, _ARCTIC = "SQLite rows", "ArcticDB"
_FRAME, _ARRAYS = "bare Parquet, frame", "bare Parquet, arrays"
_CENTS = 2
_MOST_BYTES, _MOST_APPEND, _MOST_READ, _MOST_GROWTH = 13.5, 0.1, 2.0, 1.1


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    Attributes:
        sessions: of a year.
        many: series of 60 days that everybody reads.
        crowds: series of 60 days in a catalog of ours.
        sample: how many of them are read in a round.
    """

    sessions: int
    rounds: int
    many: int
    crowds: Sequence[int]
    sample: int


QUICK = Scale(63, 3, 50, (70, 350, 1_750), 70)
FULL = Scale(SESSIONS, 5, 500, (700, 7_000, 56_000), 700)
"""The quick form has a quarter of a year."""


@dataclass
class Measured:
    """What came out.

    Attributes:
        bytes: of a bar, by keeper and digits; ``grown``: those of the catalog beside its chunks.
        seconds: of each step.
        daily: seconds of a session while a year came by a fetch a day, by storage.
        opened: seconds of a first read, by storage and number of series.
    """

    bytes: Mapping[tuple[str, int], float]
    grown: float
    seconds: Seconds
    daily: Mapping[str, float]
    opened: Mapping[tuple[str, int], Sequence[float]]


def main() -> int:
    """Measure and report."""
    asked = options(__doc__.partition("\n")[0] if __doc__ else "")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or nothing is cleaned up
    scale = QUICK if asked.quick else FULL
    with ExitStack() as stack:
        found = _measured(scale, stack)
    figures = [
        *_bytes(found),
        *_steps(found),
        *_aims(found, quick=asked.quick),
        *_crowd(found, scale),
    ]
    about = {
        "seed": SEED,
        "rounds": scale.rounds,
        "bars": scale.sessions * SESSION,
        "many": scale.many,
    }
    code = report(figures, asked, about)
    lacking = [one.name for one in figures if one.most is not None and not one.values]
    if lacking:
        said = "ArcticDB is not installed (make arcticdb), so these aims were not measured: "
        print(said + "; ".join(lacking), file=sys.stderr)
    return code or int(asked.check and bool(lacking))


def _measured(scale: Scale, stack: ExitStack) -> Measured:
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="marketdata-store-")))
    server = stack.enter_context(postgres())
    homes = {one: stack.enter_context(place(one, server)).home for one in STORAGES}
    _say("bytes")
    store = Store(homes[SQLITE])
    before = store.catalog_bytes()
    taken = {(who, digits): each for who, digits, each in sizes(scale.sessions, store, folder)}
    bars = scale.sessions * SESSION * len(DIGITS)
    grown = (store.catalog_bytes() - before - store.inline_bytes()) / bars
    contest, daily = _contest(scale, homes, folder, stack)
    crowds = {
        (storage, size): _crowded(storage, server, size, stack)
        for storage in STORAGES
        for size in scale.crowds
    }
    opened: dict[tuple[str, int], list[float]] = {one: [] for one in crowds}
    for number in range(scale.rounds):
        _say(f"round {number + 1} of {scale.rounds}")
        contest.round(number)
        for key in [*crowds][:: -1 if number % 2 else 1]:
            chosen = sampled(key[1], scale.sample, number)
            opened[key].append(first_reads(crowds[key], chosen) / len(chosen))
    return Measured(taken, grown, contest.seconds, daily, opened)


def _contest(
    scale: Scale, homes: Mapping[str, Home], folder: Path, stack: ExitStack
) -> tuple[Contest, Mapping[str, float]]:
    stores = {one: Store(home) for one, home in homes.items()}
    files = YearParquet(folder / "parquet")
    keepers: list[Subject] = [Local(_OURS[one], store) for one, store in stores.items()]
    keepers += [
        Local(_CSV, GzipCsv(folder / "csv")),
        Local(_PARQUET, files),
        Local(_ROWS, SqliteRows(folder / "rows")),
    ]
    child = stack.enter_context(arctic(folder / "arctic"))
    keepers += [] if child is None else [child]
    bars = minutes(scale.sessions + 1, _CENTS)
    year, day = bars.iloc[:-SESSION], bars.iloc[-SESSION:]
    daily = {one: store.write_daily(Series.parse("K|1m"), year) for one, store in stores.items()}
    readers = [Local(_FRAME, BareFrame(files)), Local(_ARRAYS, BareArrays(files))]
    kept = [Local(f"{_OURS[one]}, {KEPT}", store) for one, store in stores.items()]
    found = Contest(year, day, scale.many, keepers, readers, kept)
    _say("many small series for everybody")
    found.prepare()
    return found, daily


def _crowded(storage: str, server: str, size: int, stack: ExitStack) -> Home:
    _say(f"{size:,} small series, {storage}")
    home = stack.enter_context(place(storage, server)).home
    fill(home, size)
    return home


def _bytes(found: Measured) -> Iterator[Figure]:
    for digits in DIGITS:
        for who in (_STORE, _CSV, _PARQUET, _ROWS, _ARCTIC):
            taken, ours = found.bytes.get((who, digits)), found.bytes[_STORE, digits]
            name = f"bytes a bar, {digits} digits, {who}"
            if who == _STORE:
                yield Figure(name, (ours,), "B", _MOST_BYTES)
            else:
                ratio = () if taken is None else (taken / ours,)
                yield Figure(name, () if taken is None else (taken,), "B", ours=ratio)
        to_csv = found.bytes[_STORE, digits] / found.bytes[_CSV, digits]
        yield Figure(f"... ours / {_CSV}", (to_csv,), "x", 1.0)
    yield Figure("bytes a bar, all else that the catalog grew by", (found.grown,), "B")


def _steps(found: Measured) -> Iterator[Figure]:
    everybody = [*_OURS.values(), *(f"{one}, {KEPT}" for one in _OURS.values())]
    everybody += [_CSV, _PARQUET, _ROWS, _ARCTIC, _FRAME, _ARRAYS]
    for step in Step:
        for who in everybody:
            ratio = () if who == _OURS[SQLITE] else _ratio(found, step, who, _OURS[SQLITE])
            values = tuple(1e3 * one for one in found.seconds.get((step, who), ()))
            if values or who == _ARCTIC:
                yield Figure(f"{step.title}, {who}", values, "ms", ours=ratio)
    for storage, seconds in found.daily.items():
        name = f"append a day, {_OURS[storage]}, mean of a year, compacted"
        yield Figure(name, (1e3 * seconds,), "ms")


def _aims(found: Measured, *, quick: bool) -> Iterator[Figure]:
    for ours in _OURS.values():
        kept = f"{ours}, {KEPT}"
        most = None if quick else _MOST_APPEND
        ratio = _ratio(found, Step.APPEND, ours, _PARQUET)
        yield Figure(f"append a day, {ours} / {_PARQUET} rewritten", ratio, "x", most)
        for who in (ours, kept):
            for bare in (_FRAME, _ARRAYS):
                ratio = _ratio(found, Step.READ, who, bare)
                yield Figure(f"read a year, {who} / {bare}", ratio, "x", _MOST_READ)
        # Peers read files in this process: only with SQLite do we too.
        most = 1.0 if ours == _OURS[SQLITE] else None
        for step, who in ((Step.TAIL, ours), (Step.TAIL, kept), (Step.LATER, ours)):
            for peer in (_ROWS, _ARCTIC):
                ratio = _ratio(found, step, who, peer)
                yield Figure(f"{step.title}, {who} / {peer}", ratio, "x", most)


def _crowd(found: Measured, scale: Scale) -> Iterator[Figure]:
    for storage in STORAGES:
        samples = {size: found.opened[storage, size] for size in scale.crowds}
        for size, each in samples.items():
            name = f"first read of one of {size:,} series, {storage}"
            yield Figure(name, tuple(1e3 * one for one in each), "ms")
        whole = [size * median(each) for size, each in samples.items()]
        exponent = growth(list(samples), whole)
        yield Figure("... of all, exponent of growth", (exponent,), "", _MOST_GROWTH)


def _ratio(found: Measured, step: Step, who: str, to: str) -> tuple[float, ...]:
    """Seconds as a multiple of somebody else's in the same round; empty where one is not there."""
    both = found.seconds.get((step, who), ()), found.seconds.get((step, to), ())
    return tuple(a / b for a, b in zip(*both, strict=False))


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
