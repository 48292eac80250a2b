"""What lies where in a home, and making its folders.

Not here: the catalog, which makes a home of them (home).
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path

from marketdata_pipeline.errors import HomeError

CATALOG = "catalog.sqlite"
BARS = "bars"
DAGSTER = "dagster"
_PRIVATE = 0o700


@contextmanager
def folders_of(folder: Path) -> Iterator[None]:
    """The home's folders and Dagster's settings; removed again if what follows fails."""
    made: list[Path] = []
    try:
        make_folders(folder, made)
        yield
    except OSError as error:
        _remove(made)
        reason = error.strerror or error
        raise HomeError(f"a home cannot be made at {folder}: {reason}") from error
    except BaseException:
        _remove(made)
        raise


def make_folders(folder: Path, made: list[Path]) -> None:
    """The home's folders and Dagster's settings; ``made`` gets what was not there before."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=_PRIVATE if one == folder else 0o777)
        made.append(one)
    if not any(folder.iterdir()):
        folder.chmod(_PRIVATE)  # somebody made it for us; a full folder keeps its own mode
    for name in (BARS, DAGSTER, "cache"):
        if not (folder / name).is_dir():
            (folder / name).mkdir()
            made.append(folder / name)
    settings = folder / DAGSTER / "dagster.yaml"
    if not settings.exists():
        ours = files("marketdata_pipeline.database").joinpath("dagster.yaml").read_bytes()
        unfinished = settings.with_suffix(".tmp")
        made.append(unfinished)
        unfinished.write_bytes(ours)
        unfinished.rename(settings)
        made.append(settings)
    if not (folder / CATALOG).exists():
        made.extend(folder / f"{CATALOG}{suffix}" for suffix in ("", "-wal", "-shm"))


def _remove(made: list[Path]) -> None:
    """Remove what was made, newest first; a folder that something else is in stays."""
    for path in reversed(made):
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()
