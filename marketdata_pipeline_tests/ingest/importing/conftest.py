"""An importer over the world of ingest."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from marketdata_pipeline.ingest.importing.frames import importer_of
from marketdata_pipeline.ingest.importing.importer import Importer
from marketdata_pipeline_tests.ingest.world import World

Make = Callable[..., Importer]
"""An importer of the world's home, with the options of ``importer_of``."""


@pytest.fixture
def importing(world: World) -> Make:
    def make(*, over: bool = False, dry_run: bool = False) -> Importer:
        made = importer_of(world.home, over=over, dry_run=dry_run)
        judge = replace(made.judge, store=world.store, clock=world.clock)
        return replace(made, store=world.store, clock=world.clock, judge=judge)

    return make
