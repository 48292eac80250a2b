"""The page of a home.

Not here: drawing it (page).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from marketdata_pipeline.reading.data import DataManager, Overview


def write_home_page(
    target: Path, data: DataManager, overviews: Sequence[Overview], requests: Mapping[str, int]
) -> None:
    """Write the page."""
    target.write_text("soon", encoding="utf-8")
