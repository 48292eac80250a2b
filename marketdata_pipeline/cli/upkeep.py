"""`verify`, `compact`, `gc`, `info`: the store looked after by hand.

Not here: the weekly job that does the same (defs), and the work itself (store).
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Annotated, TypeVar

import typer
from rich.progress import track as progress
from rich.table import Table

from marketdata_pipeline.cli.reading import spelled
from marketdata_pipeline.cli.state import console, state_of
from marketdata_pipeline.cli.words import quarantine_line
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput, MarketDataError
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.compact import Compacted, Compactor
from marketdata_pipeline.store.faults import Fault
from marketdata_pipeline.store.gc import Collector
from marketdata_pipeline.store.inventory import Info, Inventory, Statistics
from marketdata_pipeline.store.release import Releaser
from marketdata_pipeline.store.verify import Verifier

_MEGABYTE = 1_000_000
_T = TypeVar("_T")
Chosen = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SERIES|INSTRUMENT]...", help="AAPL|1d or AAPL; none: all."),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def verify(context: typer.Context, chosen: Chosen = None, *, as_json: AsJson = False) -> None:
    """Read every bar and compare all that is stored; exit 1 and a list where anything is wrong."""
    with state_of(context).opened() as home:
        verifier = Verifier(home.engine, home.bars, home.clock)
        wanted = _chosen(chosen, verifier.series())
        found = [fault for one in _shown(wanted, "verifying") for fault in verifier.faults(one)]
        found += [] if chosen else [*verifier.everywhere(), *verifier.orphans()]
    if as_json:
        print(json.dumps({"series": len(wanted), "faults": [_said(one) for one in found]}))
    else:
        for one in found:
            console().print(f"{one.series or 'catalog'}: {one.kind}: {one.text}")
    if found:
        wrong = len({one.series for one in found})
        raise MarketDataError(
            f"{len(found)} faults in {wrong} of {len(wanted)} series; "
            "docs/recover.md says what to do"
        )
    if not as_json:
        console().print(f"{len(wanted)} series verified: no fault")


def compact(context: typer.Context, chosen: Chosen = None, *, as_json: AsJson = False) -> None:
    """Merge small chunks; no bar changes. Writing does it too, once a series has many."""
    state = state_of(context)
    with state.opened() as home:
        compactor = Compactor(home.engine, home.bars, home.clock, grace=state.settings.file_grace)
        known = Verifier(home.engine, home.bars, home.clock).series() if chosen else []
        wanted = _chosen(chosen, known) if chosen else compactor.pending()
        done = [compactor.compact(one) for one in _shown(wanted, "compacting")]
    total = _total(done)
    if as_json:
        print(json.dumps({"series": len(wanted), **asdict(total)}))
        return
    console().print(
        f"{len(wanted)} series: {total.merged:,} chunks became {total.made:,} "
        f"({total.rows:,} bars; {total.superseded:,} superseded ones kept beside them)"
    )


def gc(
    context: typer.Context,
    *,
    untracked: Annotated[
        bool,
        typer.Option("--untracked", help="Also remove the bars of what is long tracked no more."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove superseded bars past their time, and files that nothing names any more."""
    state = state_of(context)
    if dry_run and not untracked:
        raise BadInput("--dry-run says what --untracked would remove; give both")
    with state.opened() as home:
        releaser = Releaser(home.engine, home.clock, kept=state.settings.untracked_kept)
        due = releaser.due() if untracked else []
        if not dry_run:
            due = [one for one in due if releaser.remove(one.instrument)]
        collector = Collector(
            home.engine,
            home.bars,
            home.clock,
            kept=state.settings.superseded_kept,
            grace=state.settings.file_grace,
        )
        found = None if dry_run else collector.collect()
    gone = [{"instrument": str(one.instrument), "bars": one.bars} for one in due]
    if as_json:
        print(json.dumps({"untracked": gone, **(asdict(found) if found else {})}))
        return
    verb = "would be removed" if dry_run else "removed"
    for one in due:
        console().print(f"{one.instrument}: {one.bars:,} bars of {one.series} series {verb}")
    if dry_run and not due:
        console().print("nothing is tracked no more for long enough")
    if found is not None:
        console().print(
            f"{found.superseded:,} superseded chunks, {found.retired:,} retired and "
            f"{found.orphans:,} orphaned files removed ({found.size / _MEGABYTE:,.1f} MB)"
        )


def info(context: typer.Context, chosen: Chosen = None, *, as_json: AsJson = False) -> None:
    """What is stored: bars, bytes, years and providers of series, or of everything."""
    with state_of(context).opened() as home:
        inventory = Inventory(home.engine, home.bars, _store(home))
        if not chosen:
            _print_statistics(inventory.statistics(), as_json=as_json)
            return
        known = Verifier(home.engine, home.bars, home.clock).series()
        found = [inventory.info(one) for one in _chosen(chosen, known)]
    if as_json:
        print(
            json.dumps([{**asdict(one), "series": str(one.series)} for one in found], default=str)
        )
        return
    console().print(_table(found))


def _store(home: Home) -> BarStore:
    return BarStore(home.engine, home.bars, home.clock)


def _chosen(typed: Sequence[str] | None, known: Sequence[Series]) -> list[Series]:
    """The known series that are meant; all of them where nobody names any.

    Raises:
        BadInput: something that is no series or instrument, or of which nothing is stored.
    """
    if not typed:
        return list(known)
    found: dict[Series, None] = {}
    for text in typed:
        instrument, bar, frame = text.partition("|")
        of = Instrument.parse(instrument)
        frames = [Timeframe.parse(frame)] if bar else list(Timeframe)
        ours = [one for one in known if one.instrument == of and one.timeframe in frames]
        if not ours:
            raise BadInput(f"nothing is stored of {text}; see marketdata status")
        found |= dict.fromkeys(ours)
    return list(found)


def _shown(work: Sequence[_T], title: str) -> Iterator[_T] | Iterable[_T]:
    """The same one after the other, with a bar on a terminal."""
    out = console()
    return progress(work, description=title, console=out) if out.is_terminal else iter(work)


def _said(fault: Fault) -> dict[str, str | None]:
    series = None if fault.series is None else str(fault.series)
    return {"series": series, "kind": fault.kind, "text": fault.text}


def _total(done: Sequence[Compacted]) -> Compacted:
    return Compacted(
        sum(one.merged for one in done),
        sum(one.made for one in done),
        sum(one.rows for one in done),
        sum(one.superseded for one in done),
    )


def _print_statistics(found: Statistics, *, as_json: bool) -> None:
    if as_json:
        more = {"bytes_a_bar": found.bytes_a_bar, "compression": found.compression}
        print(json.dumps({**asdict(found), **more}))
        return
    size, lost = found.size / _MEGABYTE, found.superseded_size / _MEGABYTE
    lines = [
        f"{found.rows:,} bars in {found.series:,} series, from {found.fetches:,} fetches",
        f"{size:,.1f} MB in {found.chunks:,} chunks, {found.files:,} of them files",
        f"{found.bytes_a_bar:.1f} bytes a bar, {found.compression:.1f} times less than as numbers",
        f"{lost:,.1f} MB of superseded bars beside them",
        f"quarantine: {quarantine_line(found.quarantined)}",
    ]
    console().print("\n".join(lines))


def _table(found: Sequence[Info]) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column("series")
    for name in ("bars", "first", "last", "bytes a bar", "chunks", "superseded", "restated"):
        table.add_column(name, justify="right")
    table.add_column("providers")
    for one in found:
        table.add_row(
            str(one.series),
            f"{one.rows:,}",
            spelled(one.first, one.series) or "-",
            spelled(one.last, one.series) or "-",
            f"{one.size / one.rows:.1f}" if one.rows else "-",
            f"{one.chunks:,}",
            f"{one.superseded:,}",
            f"{one.restated:,}",
            ", ".join(f"{name} {count:,}" for name, count in one.providers.items()) or "-",
        )
    return table
