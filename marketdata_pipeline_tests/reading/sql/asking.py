"""Asking a home or an export in one line.

Not here: any test.
"""

from pathlib import Path
from typing import Any

from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.actions import Adjust
from marketdata_pipeline.reading.sql.engine import answering
from marketdata_pipeline.reading.sql.exported import tables_of
from marketdata_pipeline.reading.sql.query import Query
from marketdata_pipeline.reading.sql.snapshot import snapshot
from marketdata_pipeline.reading.sql.tables import Tables


def rows(text: str, tables: Tables) -> list[tuple[Any, ...]]:
    """All rows of an answer."""
    with answering(Query.parse(text), tables) as answer:
        return [tuple(one) for one in answer.rows]


def ask(home: Home, text: str, adjust: Adjust = Adjust.SPLITS) -> list[tuple[Any, ...]]:
    """What a home answers."""
    return rows(text, snapshot(home, Query.parse(text), adjust).make())


def ask_export(folder: Path, text: str) -> list[tuple[Any, ...]]:
    """What an export answers."""
    return rows(text, tables_of(folder, Query.parse(text)))
