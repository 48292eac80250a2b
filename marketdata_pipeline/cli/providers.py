"""`providers`: how each provider stands, and the newest requests.

Not here: reading it (reading.providers), drawing it (standing), asking a provider (doctor).
"""

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import ConsoleDimensions, Group, RenderableType
from rich.text import Text

from marketdata_pipeline.cli.standing import (
    requests_table,
    standings_page,
)
from marketdata_pipeline.cli.state import about, about_line, console, print_json, state_of
from marketdata_pipeline.cli.watching import HINT, Every, watched
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.providers.registry import PROVIDERS
from marketdata_pipeline.reading.providers import Standing, read_providers, read_requests

_MOST = 100_000


def providers(
    context: typer.Context,
    *,
    requests: Annotated[
        int, typer.Option(min=0, max=_MOST, help="List so many of the newest requests instead.")
    ] = 0,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
    every: Every = 2.0,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """How each provider stands: state, rate, cooldown, breaker, success, latency, turns."""
    state = state_of(context)
    with state.opened() as home:
        governor = Governor(home.engine, home.clock, state.settings.tuning)
        if as_json:
            print_json(_told(home, governor, requests))
        elif watch:
            watched(partial(_watched, home, governor, requests), home.clock, every)
        else:
            console().print(_drawn(governor, requests, console().width))


def _watched(
    home: Home, governor: Governor, requests: int, size: ConsoleDimensions | None
) -> RenderableType:
    drawn = _drawn(governor, requests, console().width if size is None else size.width)
    hint = [] if size is None else [Text(HINT, "dim")]
    return Group(Text(about_line(home), "bold"), drawn, *hint)


def _drawn(governor: Governor, requests: int, width: int) -> RenderableType:
    if requests:
        return requests_table(read_requests(governor, requests))
    return standings_page(read_providers(governor, PROVIDERS), width)


def _told(home: Home, governor: Governor, requests: int) -> dict[str, Any]:
    found = read_providers(governor, PROVIDERS)
    listed = [_standing_json(one) for one in found.all]
    told = {**about(home), "wall_now": found.at, "providers": listed}
    if requests:
        told["requests"] = [asdict(one) for one in read_requests(governor, requests)]
    return told


def _standing_json(one: Standing) -> dict[str, Any]:
    health = asdict(one.health)
    return {
        "provider": health.pop("key"),
        **health,
        "advice": one.health.condition.advice,
        "per_minute": one.per_minute,
        "turns": None if one.turns is None else asdict(one.turns),
    }
