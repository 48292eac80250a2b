"""A home with bars inline and in a file, tracked and not, and backups of it that are tampered with.

Not here: any test.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from marketdata_pipeline.database.folders import CATALOG
from marketdata_pipeline.database.home import Home, make_home
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.tracking import Tracked, Tracking
from marketdata_pipeline_tests.databases import lay_catalog
from marketdata_pipeline_tests.store.writes import COIN, STOCK, bars_at, minutes, settle, write_of

LARGE = 4200
"""Rows of a write that becomes a file."""


def filled_home(folder: Path, database_url: str | None = None) -> Home:
    """A live home: COIN's bars lie in a file and inline, STOCK's inline; MSFT is tracked only."""
    if database_url is None:
        lay_catalog(folder / CATALOG)
    home = make_home(folder, database_url=database_url)
    store = BarStore(home.engine, home.bars, home.clock)
    settle(store, write_of(bars_at(minutes(0, LARGE), 1)))
    settle(store, write_of(bars_at(minutes(LARGE, 50), 2)))
    settle(store, write_of(bars_at(minutes(0, 30), 3), STOCK))
    Catalog(home.engine, home.clock).note_shown({COIN: 2, STOCK: 1})
    tracking = Tracking(home.engine, home.clock)
    for key in ("MSFT", "BTC-USD"):
        tracking.put(Tracked(Instrument(key), (Timeframe.D1,)))
    return home


def bars_of(home: Home, *series: Series) -> dict[Series, pd.DataFrame]:
    """All bars of some series."""
    store = BarStore(home.engine, home.bars, home.clock)
    return {one: store.read_with_fetches(one) for one in series}


def paths_below(folder: Path) -> set[str]:
    """Every path below a folder."""
    return {str(one.relative_to(folder)) for one in folder.rglob("*")}


@dataclass
class Registered:
    """Stands in for Dagster: notes what it is to register, and that the home is not there yet."""

    seen: list[tuple[Path, list[Instrument]]] = field(default_factory=list)

    def __call__(self, dagster: Path, instruments: Sequence[Instrument]) -> None:
        assert (dagster / "dagster.yaml").is_file()
        self.seen.append((dagster, list(instruments)))


def tell_otherwise(backup: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what the manifest of a backup says."""
    manifest = backup / "manifest.json"
    told = json.loads(manifest.read_text())
    change(told)
    manifest.write_text(json.dumps(told))


def craft(backup: Path, *statements: str) -> None:
    """Change the catalog of a backup, and let the manifest swear that it was always so."""
    from marketdata_pipeline.database.engine import reading
    from marketdata_pipeline.database.rows import sum_up, tables_at
    from marketdata_pipeline.database.sealed import open_sealed_file

    with closing(sqlite3.connect(backup / "catalog.sqlite")) as catalog, catalog:
        for statement in statements:
            catalog.execute(statement)
    data = (backup / "catalog.sqlite").read_bytes()
    revision = json.loads((backup / "manifest.json").read_text())["revision"]
    engine = open_sealed_file(backup / "catalog.sqlite")
    with reading(engine) as connection:
        sums = sum_up(connection, tables_at(revision))
    engine.dispose()

    def swear(told: dict[str, Any]) -> None:
        for one in told["files"]:
            if one["path"] == "catalog.sqlite":
                one["size"], one["sha256"] = len(data), hashlib.sha256(data).hexdigest()
        told["tables"] = {
            name: {"rows": one.rows, "digest": one.digest, "last_id": one.last_id}
            for name, one in sums.items()
        }

    tell_otherwise(backup, swear)
