"""What every command shares: the settings, the opened home, and how to print.

Not here: any command.
"""

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from marketdata_pipeline.config import Settings, load_settings
from marketdata_pipeline.database.home import Home, open_home
from marketdata_pipeline.logs import redact, setup_logging
from marketdata_pipeline.store.closures import heed

_WIDE = 200


@dataclass
class State:
    """What was given before the command's name."""

    home: Path | None = None
    debug: bool = False

    @cached_property
    def settings(self) -> Settings:
        """The settings, logging set up by them."""
        level = "debug" if self.debug else None
        settings = load_settings(home=self.home, log_level=level)
        setup_logging(settings.log_level, settings.log_levels, settings.log_format)
        redact(settings.secrets())
        return settings

    @contextmanager
    def opened(self) -> Iterator[Home]:
        """The configured home, closed again at the end."""
        home = open_home(self.settings.home, database_url=self.settings.database)
        try:
            heed(home.engine)
            yield home
        finally:
            home.engine.dispose()


def state_of(context: typer.Context) -> State:
    """The state that the main callback left."""
    found = context.find_object(State)
    return State() if found is None else found


def taken(port: int) -> bool:
    """Whether something listens on that port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def console() -> Console:
    """Where people read: standard output, plain and as wide as it takes where it is no terminal.

    Nothing is markup: a path or an error may hold square brackets.
    """
    width = None if sys.stdout.isatty() else _WIDE
    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False, width=width)


def about(home: Home) -> dict[str, str]:
    """Which home it is, by its folder's name, and how late it is there: for what is passed on."""
    history = f" of {home.history} bars" if home.history else ""
    return {
        "home": home.folder.resolve().name,
        "mode": f"{home.mode}{history}",
        "market_now": home.clock.market_now().strftime("%Y-%m-%d %H:%M UTC"),
    }


def about_line(home: Home) -> str:
    """The same in one line, with the whole path: for whoever sits here."""
    told = about(home)
    return f"home {home.folder} ({told['mode']}), market time {told['market_now']}"


def print_json(told: dict[str, Any]) -> None:
    """One object: instants in ISO 8601, stretches of time in seconds, the rest as it is spelled."""
    print(json.dumps(told, default=_plain))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else str(value)
