"""Which catalog the bar files of a folder belong to: a name in the catalog and in the folder.

Not here: the files themselves (store). A catalog that took another one's folder for its own would
take every file in it for one that nothing names, and remove it.
"""

import uuid
from pathlib import Path

from sqlalchemy import Connection, select, union

from marketdata_pipeline.database.metadata import chunks, home, retired_files
from marketdata_pipeline.errors import HomeError

MARKER = ".catalog"
_SUFFIX = ".parquet"


def new_name() -> str:
    """A name that no other catalog has."""
    return uuid.uuid4().hex


def claim(connection: Connection, folder: Path) -> None:
    """Pass where the files below ``folder`` are this catalog's; an unmarked folder is marked.

    Raises:
        HomeError: they are another catalog's; the text says what to do.
        OSError: the folder cannot be read or written.
    """
    ours = refuse_foreign(connection, folder)
    if ours is not None and not (folder / MARKER).exists():
        _mark(folder, ours)


def refuse_foreign(connection: Connection, folder: Path) -> str | None:
    """The catalog's name, where the files below ``folder`` are its own or nobody's.

    A folder without mark, as earlier versions left it, is this catalog's where it holds no bar
    file, or one that the catalog names. None: the catalog has no home, and claims nothing.

    Raises:
        HomeError: they are another catalog's; the text says what to do.
        OSError: the folder cannot be read.
    """
    ours = connection.execute(select(home.c.catalog)).scalar()
    if ours is None:
        return None
    try:
        good = (folder / MARKER).read_text() == ours
    except FileNotFoundError:
        good = not folder.is_dir() or _names_some(connection, folder)
    if good:
        return str(ours)
    raise HomeError(
        f"the bars in {folder} belong to another catalog; a home with a database of its own needs "
        "a folder of its own: set MARKETDATA_HOME to a new one"
    )


def _names_some(connection: Connection, folder: Path) -> bool:
    found = {str(one.relative_to(folder)) for one in folder.glob(f"*/*{_SUFFIX}")}
    if not found:
        return True
    named = union(
        select(chunks.c.path).where(chunks.c.path.is_not(None)), select(retired_files.c.path)
    )
    return not found.isdisjoint(connection.execute(named).scalars())


def _mark(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{MARKER}.{name}.tmp"
    unfinished.write_text(name)
    unfinished.rename(folder / MARKER)
