"""Homes with some series in them, for tests of what is made of stored bars.

Not here: how bars get there (ingest).
"""

from datetime import date
from fractions import Fraction
from pathlib import Path

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline_tests.ingest.world import World, days, make_world, walk

SPLIT = Action(date(2024, 1, 10), ActionKind.SPLIT, Fraction(4))
PAID = Action(date(2024, 2, 9), ActionKind.DIVIDEND, Fraction("0.24"))
SPELLINGS = ("EURUSD=X", "^GSPC", "BTC-USD", "AZN.L", "ES=F")
"""Instruments whose names no file system and no URL takes as they are."""


def stocked(folder: Path, database_url: str, *keys: str, since: str = "2023-11-01") -> World:
    """A home with these series from a day on; each instrument has a split and a dividend.

    Derived ones are made of their bases, which have to be named too.
    """
    world = make_world(folder, database_url)
    series = [Series.parse(key) for key in keys]
    world.provider.truth = {
        one: walk(one, days(since, "2024-03-16"), SPLIT) for one in series if one.base is None
    }
    world.provider.actions = (SPLIT, PAID)
    world.provider.first_trade = date.fromisoformat(since)
    failed = [one.error for one in world.updater.update_many(series) if one.error]
    assert not failed, failed
    return world
