"""`backup`, `restore`, `downgrade`: a home in a folder, put back, and an earlier form of it.

Not here: how it is copied and compared (store.backup, store.restore, database.upgrade).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from marketdata_pipeline.cli.state import console, state_of
from marketdata_pipeline.database import upgrade as upgrading
from marketdata_pipeline.database.home import catalog_of
from marketdata_pipeline.database.manifest import Manifest
from marketdata_pipeline.database.rows import Told, untold
from marketdata_pipeline.orchestrator import register_instruments
from marketdata_pipeline.store.backup import take_backup
from marketdata_pipeline.store.restore import Restored, restore_backup

_BAR = 20
_MEGABYTE = 1_000_000
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def backup(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Not there yet, or empty.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Copy the home into a folder while others write: the state of one moment, checked."""
    target = folder.expanduser().absolute()
    with state_of(context).opened() as home, _progress() as told:
        manifest = take_backup(home, target, told)
    if as_json:
        print(json.dumps(_said(target, manifest), default=_plain))
        return
    console().print(f"backup of {home.folder} in {target}: {_amounts(manifest)}")
    console().print(f"put it back with: marketdata --home NEW_HOME restore {quote(str(target))}")


def restore(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="What `marketdata backup` wrote.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Make a new home of a backup, and compare all of it."""
    state, source = state_of(context), folder.expanduser().absolute()
    with _progress() as told:
        found = restore_backup(
            source,
            state.settings.home,
            database_url=state.settings.database,
            register=register_instruments,
            told=told,
        )
    if as_json:
        print(json.dumps(_restored(source, found), default=_plain))
        return
    out = console()
    out.print(f"{found.manifest.mode} home at {found.home}, from {source}")
    out.print(_table(found.manifest))
    out.print(
        f"equal: {len(found.manifest.tables)} tables, {len(found.manifest.bars):,} bar files; "
        f"{found.bars:,} bars of {found.series:,} series read"
    )
    for one in found.unreadable:
        out.print(f"{one}: a bar file was lost before the backup was taken")
    out.print("Dagster has the partitions; the next update tells it of the bars")


def downgrade(
    context: typer.Context,
    revision: Annotated[str, typer.Argument(metavar="REVISION", help="An earlier one, e.g. 0003.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Bring the catalog's tables back for an earlier version of this program."""
    settings = state_of(context).settings
    with catalog_of(settings.home, database_url=settings.database) as engine:
        done = upgrading.downgrade(engine, settings.home, revision)
    if as_json:
        print(json.dumps(asdict(done), default=_plain))
        return
    out = console()
    out.print(
        f"the catalog of {settings.home} is at revision {done.target}, it was at {done.found}"
    )
    for one in done.losses:
        out.print(f"  {one}")
    out.print(f"all of it is kept in {done.backup}; marketdata init brings the tables up again")


def _said(target: Path, manifest: Manifest) -> dict[str, object]:
    return {
        "backup": str(target),
        "files": len(manifest.bars),
        "bytes": manifest.size,
        **{name: value for name, value in asdict(manifest).items() if name != "files"},
    }


def _restored(source: Path, found: Restored) -> dict[str, object]:
    return {
        **_said(source, found.manifest),
        "home": str(found.home),
        "equal": True,
        "series": found.series,
        "bars": found.bars,
        "unreadable": [str(one) for one in found.unreadable],
        "instruments": found.instruments,
    }


def _plain(value: object) -> str:
    """Instants in ISO 8601, paths as they are spelled."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _amounts(manifest: Manifest) -> str:
    return (
        f"{manifest.rows:,} rows, {len(manifest.bars):,} bar files, "
        f"{manifest.size / _MEGABYTE:,.1f} MB, revision {manifest.revision}"
    )


def _table(manifest: Manifest) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column("table")
    table.add_column("rows", justify="right")
    table.add_column("digest")
    for name, one in sorted(manifest.tables.items()):
        table.add_row(name, f"{one.rows:,}", one.digest[:16])
    return table


@contextmanager
def _progress() -> Iterator[Told]:
    """A bar for each step while it works, on a terminal."""
    out = console()
    if not out.is_terminal:
        yield untold
        return
    columns = (
        TextColumn("{task.description:<13}"),
        BarColumn(bar_width=_BAR),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=out, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what)
            bar.update(tasks[what], completed=done, total=total)

        yield told
