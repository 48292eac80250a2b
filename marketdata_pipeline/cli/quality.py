"""`quality`: the scorecard of what is stored, worst first, also as JSON and as a page.

Not here: reading it (reading.quality), drawing the page (reading.scorecard_page), judging (ingest).
"""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from marketdata_pipeline.assembly import assemble
from marketdata_pipeline.cli.state import State, about, console, print_json, state_of
from marketdata_pipeline.cli.tracking import parse_timeframes
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput, MarketDataError
from marketdata_pipeline.quality.rules import refuse_unknown
from marketdata_pipeline.reading.quality import Graded, Scorecard, read_reports, read_scorecard
from marketdata_pipeline.reading.scorecard_page import Told, write_scorecard
from marketdata_pipeline.reading.worst import pictured

_MOST = 100_000


def quality(
    context: typer.Context,
    instruments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[INSTRUMENT]...", help="Only these; default: everything."),
    ] = None,
    *,
    timeframe: Annotated[
        str, typer.Option("--timeframe", "-t", help="Comma-separated; default: all.")
    ] = "",
    worst: Annotated[
        int, typer.Option(min=0, max=_MOST, help="List so many series; 0: all of them.")
    ] = 20,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one page with pictures, too.")
    ] = None,
    recheck: Annotated[
        bool, typer.Option("--recheck", help="Judge every stored bar anew before; asks nobody.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """How good what is stored is: a score and what fails, the worst series first."""
    state, asked = state_of(context), [Instrument.parse(one) for one in instruments or []]
    frames = parse_timeframes(timeframe)
    if html is not None and not html.absolute().parent.is_dir():
        raise BadInput(f"{html} is in no folder that exists; make the folder or name another file")
    thresholds = refuse_unknown(state.settings.thresholds)
    with state.opened() as home:
        unread = _recheck(state, home, asked, frames) if recheck else []
        card = read_scorecard(home, thresholds, asked, frames)
        some = card.graded[:worst] if worst else card.graded
        if html is not None:
            where = about(home)
            told = Told(f"{where['home']} ({where['mode']})", home.clock.wall_now())
            write_scorecard(html, card, pictured(home, card), told)
        if as_json:
            print_json(_told(home, card, some))
        else:
            _show(card, some, html)
    if unread:
        raise MarketDataError(f"{len(unread)} series cannot be read, first: {unread[0]}")


def _recheck(
    state: State, home: Home, asked: list[Instrument], frames: list[Timeframe]
) -> list[str]:
    """Judge anew; what could not be read, in words."""
    use_case = assemble(state.settings, home).recheck
    wanted = [one for one in use_case.series(asked) if not frames or one.timeframe in frames]
    return [str(one.error) for one in use_case.run(wanted) if one.error is not None]


def _show(card: Scorecard, some: tuple[Graded, ...] | list[Graded], html: Path | None) -> None:
    out = console()
    if not card.graded:
        out.print(Text("nothing is kept here; marketdata track names what is to be"))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("series", "score", "valid", "fails"):
        table.add_column(name, justify="right" if name == "score" else "left", no_wrap=True)
    table.add_column("why")
    for one in some:
        table.add_row(*_row(one))
    out.print(table)
    more = len(card.graded) - len(some)
    lowest = f", the lowest {card.scores[0]:.4f}" if card.scores else ""
    listed = f"; {more:,} better ones are not listed" if more else ""
    judged = len(card.scores)
    out.print(
        Text(f"{card.valid:,} of {judged:,} judged series are valid, mean {card.mean:.4f}"
             f"{lowest}{listed}")
    )  # fmt: skip
    if html is not None:
        out.print(Text(f"wrote {html}"))


def _row(one: Graded) -> list[str]:
    if one.score is None:
        return [str(one.series), "-", "-", "", "never judged; it is with its next update"]
    failing = one.failing
    why = one.verdicts[failing[0]].detail if failing else ""
    return [
        str(one.series),
        f"{one.score:.4f}",
        "yes" if one.is_valid else "no",
        ", ".join(failing),
        why,
    ]


def _told(home: Home, card: Scorecard, some: tuple[Graded, ...] | list[Graded]) -> dict[str, Any]:
    reports = read_reports(home, [one.series for one in some])
    return {
        **about(home),
        "judged": len(card.scores),
        "valid": card.valid,
        "mean_score": card.mean,
        "lowest_score": card.scores[0] if card.scores else None,
        "rules": {
            name: {
                "series": one.series,
                "failing": one.failing,
                "mean_score": one.mean,
                "lowest_score": one.lowest,
            }
            for name, one in card.rules().items()
        },
        "series": [
            {
                "series": str(one.series),
                "asset_class": str(one.asset_class),
                "score": one.score,
                "is_valid": one.is_valid,
                "verdicts": {
                    name: {"passed": each.passed, "score": each.score, "detail": each.detail}
                    for name, each in one.verdicts.items()
                },
                "report": reports[one.series].as_json() if one.series in reports else None,
            }
            for one in some
        ],
    }
