"""The entry point: commands, common options, and one line for every error.

Not here: any command's body.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from marketdata_pipeline.cli.alerts import alerts
from marketdata_pipeline.cli.calendar import calendar
from marketdata_pipeline.cli.doctor import doctor
from marketdata_pipeline.cli.exporting import export
from marketdata_pipeline.cli.gaps import gaps
from marketdata_pipeline.cli.importing import import_bars
from marketdata_pipeline.cli.keeping import backup, downgrade, restore
from marketdata_pipeline.cli.providers import providers
from marketdata_pipeline.cli.quality import quality
from marketdata_pipeline.cli.quarantine import quarantine
from marketdata_pipeline.cli.queue import queue
from marketdata_pipeline.cli.quickstart import init, quickstart
from marketdata_pipeline.cli.reading import bars
from marketdata_pipeline.cli.repairing import repair
from marketdata_pipeline.cli.running import backfill, refresh
from marketdata_pipeline.cli.simulating import simulate
from marketdata_pipeline.cli.sql import sql
from marketdata_pipeline.cli.state import State
from marketdata_pipeline.cli.status import status
from marketdata_pipeline.cli.tracking import track, untrack
from marketdata_pipeline.cli.trading import buy, sell, void
from marketdata_pipeline.cli.ui import ui
from marketdata_pipeline.cli.upkeep import compact, gc, info, verify
from marketdata_pipeline.cli.why import why
from marketdata_pipeline.cli.worker import daemon, worker
from marketdata_pipeline.errors import BadInput, MarketDataError

FAILED = 1
BAD_INPUT = 2
_INTERRUPTED = 130
_TERMINATED = 143
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What typer raises for a wrong command line; it gives no public name for it."""

_NO_INTEGER = "Input should be a valid integer, unable to parse string as an integer"
"""How typer, which has it from pydantic, says that a number was wanted."""

app = typer.Typer(
    name="marketdata",
    help="A true OHLCV history of the instruments that portfolios hold.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    init, quickstart, buy, sell, void, track, untrack, backfill, refresh, bars, status, export,
    sql, simulate, ui, worker, daemon, providers, doctor, info, verify, compact, gc, backup,
    restore, downgrade, why, gaps, repair, quality,
):  # fmt: skip
    app.command()(command)
app.command(name="import")(import_bars)
app.add_typer(queue, name="queue")
app.add_typer(alerts, name="alerts")
app.add_typer(calendar, name="calendar")
app.add_typer(quarantine, name="quarantine", help="What is kept apart until it is judged.")


@app.callback()
def common(
    context: typer.Context,
    *,
    home: Annotated[Path | None, typer.Option(help="The home; default MARKETDATA_HOME.")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Log every request.")] = False,
) -> None:
    """Keep what is common to all commands."""
    context.obj = State(home=home, debug=debug)


def main() -> None:
    """Run a command; exit code 0, 1 where it failed, 2 where the input cannot be right."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits none
    signal.signal(signal.SIGHUP, _end)
    sys.exit(run(sys.argv[1:]))


def _end(_signal: int, _frame: object) -> NoReturn:
    """Being told to end is no death: children are ended too."""
    sys.exit(_TERMINATED)


def run(arguments: list[str]) -> int:
    """Run a command and turn every error into one line on standard error."""
    try:
        return _called(arguments or ["--help"])
    except (_UsageError, BadInput) as error:
        return _say(_said(error), BAD_INPUT)
    except MarketDataError as error:
        return _say(str(error), FAILED)
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted", _INTERRUPTED)
    except BrokenPipeError:  # the reader had enough: `marketdata bars AAPL --csv | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        return _say(f"{error.strerror or error}: {error.filename or 'standard output'}", FAILED)


def _called(arguments: list[str]) -> int:
    code = app(arguments, standalone_mode=False)
    sys.stdout.flush()
    if code == _INTERRUPTED:  # typer has made a silent code of Ctrl-C
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _said(error: Exception) -> str:
    if isinstance(error, BadInput):
        return str(error)
    told = error.format_message() if isinstance(error, typer.BadParameter) else str(error)
    if _NO_INTEGER in told:
        shown = str(getattr(getattr(error, "param", None), "help", None) or "").rstrip(".")
        hint = f" ({shown[:1].lower()}{shown[1:]})" if shown else ""
        told = told.replace(_NO_INTEGER, f"it is a whole number{hint}")
    return f"{' '.join(told.split()).rstrip('.')}; see {_command_of(error)} --help"


def _command_of(error: Exception) -> str:
    """The command that was typed wrongly; typer's context names it by how it was started."""
    context, names = getattr(error, "ctx", None), list[str]()
    while context is not None and context.parent is not None:
        names.insert(0, str(context.info_name))
        context = context.parent
    return " ".join(["marketdata", *names])


def _say(text: str, code: int) -> int:
    from marketdata_pipeline.logs import redacted

    sys.stderr.write(f"marketdata: {redacted(text)}\n")
    return code
