"""`doctor`: what is well and what is not, and what to do about it.

Not here: looking (checkup) and judging (reading.health).
"""

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from marketdata_pipeline.cli.checkup import examined
from marketdata_pipeline.cli.state import console, state_of
from marketdata_pipeline.errors import MarketDataError
from marketdata_pipeline.reading.health.finding import Finding, Mark

_COLOURS = {Mark.OK: "green", Mark.NOTE: "yellow", Mark.WRONG: "bold red"}


def doctor(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Look at settings, home, database, providers, clock, disk, memory and Dagster.

    Exit 1 where anything is wrong.
    """
    state = state_of(context)
    with Console(stderr=True).status("looking ..."), _quiet(unless=state.debug):
        findings = examined(state)
    if as_json:
        print(json.dumps([asdict(one) for one in findings]))
    else:
        console().print(findings_table(findings))
    marks = Counter(one.mark for one in findings)
    if marks[Mark.WRONG]:
        raise MarketDataError(f"{marks[Mark.WRONG]} of {len(findings)} findings are wrong")
    if not as_json:
        noted = marks[Mark.NOTE]
        console().print(f"nothing is wrong, {noted} to note" if noted else "all is well")


@contextmanager
def _quiet(*, unless: bool) -> Iterator[None]:
    """No warnings of libraries, such as Dagster's on a database that it cannot reach."""
    before = logging.root.manager.disable
    if not unless:
        logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def findings_table(findings: Sequence[Finding]) -> Table:
    """A line each: mark, topic, what was found, what to do."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name in ("mark", "topic"):
        table.add_column(name, no_wrap=True)
    table.add_column("says", overflow="fold")
    for one in findings:
        colour = _COLOURS[one.mark]
        says = Text(one.says)
        if one.advice:
            says.append(f" -> {one.advice}", "" if one.mark is Mark.OK else "cyan")
        table.add_row(Text(one.mark, colour), one.topic, says)
    return table
