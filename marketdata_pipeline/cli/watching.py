"""Drawing something again and again in place, as `--watch` does.

Not here: what is drawn.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import typer
from rich.console import Console, ConsoleDimensions, RenderableType
from rich.live import Live

from marketdata_pipeline.cli.state import console
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.errors import StoreError

HINT = "Ctrl-C ends this"
Every = Annotated[float, typer.Option(min=0.1, help="Seconds between two looks with --watch.")]


def watched(
    look: Callable[[ConsoleDimensions | None], RenderableType], clock: Clock, every: float
) -> None:
    """Draw what ``look`` tells until Ctrl-C on a terminal, whose size it is given; else once."""
    if not sys.stdout.isatty():
        console().print(look(None))
        return
    out = Console(highlight=False, markup=False, emoji=False)
    with suppress(KeyboardInterrupt), Live(console=out, screen=True, auto_refresh=False) as live:
        live.update("looking ...", refresh=True)  # calendars and Dagster take their second
        while True:
            try:
                live.update(look(out.size), refresh=True)
            except StoreError as error:  # busy for once, or gone: it is looked at again
                live.update(f"{error}\nlooking again ... ({HINT})", refresh=True)
            clock.sleep(every)
