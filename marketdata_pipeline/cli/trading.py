"""`buy`, `sell`, `void`: transactions of a portfolio, and what follows from them.

Not here: what follows (ingest.events), and fetching it (running).
"""

import uuid
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from marketdata_pipeline.assembly import events_of
from marketdata_pipeline.cli.state import State, console, print_json, state_of
from marketdata_pipeline.config import Settings
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import parse_instant
from marketdata_pipeline.domain.transaction import Side, Transaction, refusal, refuse_unstorable
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.events import Events, Processed
from marketdata_pipeline.orchestrator import register_instruments
from marketdata_pipeline.store.tracking import Standing, Tracking

_DONE = {Side.BUY: "bought", Side.SELL: "sold"}

_Name = Annotated[str, typer.Argument(metavar="INSTRUMENT", help="Yahoo's spelling, e.g. AAPL")]
_Quantity = Annotated[float, typer.Argument(help="Shares or units, as traded then.")]
_At = Annotated[str, typer.Option(help="When, e.g. 2021-03-01; now unless given.")]
_Price = Annotated[float | None, typer.Option(help="Of one of them.", show_default=False)]
_Currency = Annotated[str, typer.Option(help="Of the price, e.g. EUR.")]
_Portfolio = Annotated[str, typer.Option(help="Whose it is.")]
_Id = Annotated[str, typer.Option("--id", help="The same one twice is one; else one is made up.")]
_Json = Annotated[bool, typer.Option("--json", help="What follows, as JSON.")]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What followed from a transaction; ``told`` says it for people."""

    transaction: Transaction
    told: str
    done: Processed
    standing: Standing | None

    @property
    def fields(self) -> dict[str, Any]:
        """The same for programs."""
        one, kept = self.transaction, self.standing
        return {
            "id": one.external_id,
            "portfolio": one.portfolio,
            "instrument": one.instrument,
            "side": str(one.side),
            "quantity": one.quantity,
            "executed_at": one.executed_at,
            "told": self.told,
            "holders": kept.holders if kept else 0,
            "since": kept.since if kept else None,
            "released_at": kept.released_at if kept else None,
            "tracked": [str(each) for each in self.done.tracked],
            "queued": list(self.done.queued),
        }


def buy(
    context: typer.Context,
    instrument: _Name,
    quantity: _Quantity,
    *,
    at: _At = "",
    price: _Price = None,
    currency: _Currency = "",
    portfolio: _Portfolio = "main",
    external_id: _Id = "",
    as_json: _Json = False,
) -> None:
    """Record a purchase; its history is queued, a year before it included."""
    told = _Told(Side.BUY, instrument, quantity, at, price, currency, portfolio, external_id)
    _traded(state_of(context), told, as_json=as_json)


def sell(
    context: typer.Context,
    instrument: _Name,
    quantity: _Quantity,
    *,
    at: _At = "",
    price: _Price = None,
    currency: _Currency = "",
    portfolio: _Portfolio = "main",
    external_id: _Id = "",
    as_json: _Json = False,
) -> None:
    """Record a sale; what nobody holds any more is kept up to date for a while."""
    told = _Told(Side.SELL, instrument, quantity, at, price, currency, portfolio, external_id)
    _traded(state_of(context), told, as_json=as_json)


def void(
    context: typer.Context,
    external_id: Annotated[str, typer.Argument(metavar="ID", help="As buy or sell printed it.")],
    portfolio: _Portfolio = "main",
    *,
    as_json: _Json = False,
) -> None:
    """Have a transaction count as never made."""
    state = state_of(context)
    with state.opened() as home:
        events = events_of(state.settings, home)
        one = events.get(portfolio, external_id)
        if one is None:
            raise BadInput(f"portfolio {portfolio!r} has no transaction {external_id!r}")
        events.void(portfolio, external_id)
        done = _processed(events, home)
        kept = _standing(home, one)
    _say(_Outcome(one, f"void: {external_id}", done, kept), state.settings, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Told:
    """What was typed."""

    side: Side
    instrument: str
    quantity: float
    at: str
    price: float | None
    currency: str
    portfolio: str
    external_id: str

    def transaction(self, home: Home) -> Transaction:
        """What it means, a moment and an id made up where they are missing.

        Raises:
            BadInput: nothing can follow from it.
        """
        found = Transaction(
            self.external_id or uuid.uuid4().hex[:12],
            self.portfolio,
            Instrument.parse(self.instrument).key,
            self.side,
            self.quantity,
            parse_instant(self.at) if self.at else home.clock.market_now(),
            self.price,
            self.currency.upper() or None,
        )
        refuse_unstorable(found)
        why = refusal(found, home.clock.market_now())
        if why is not None:
            raise BadInput(why)
        return found


def _traded(state: State, told: _Told, *, as_json: bool) -> None:
    with state.opened() as home:
        one = told.transaction(home)
        # Dagster first: a key without bars does no harm, a tracked series without a key would.
        register_instruments(home.dagster, [Instrument.parse(one.instrument)])
        events = events_of(state.settings, home)
        new = events.record([one])
        done = _processed(events, home)
        kept = _standing(home, one)
    said = f"{_DONE[one.side]} {one.quantity:.15g} {one.instrument}, id {one.external_id}"
    if not new:
        said = f"id {one.external_id} is known already, nothing changed"
    _say(_Outcome(one, said, done, kept), state.settings, as_json=as_json)


def _standing(home: Home, one: Transaction) -> Standing | None:
    """How its instrument is tracked; None: it is not, or was written as none can be."""
    try:
        instrument = Instrument.parse(one.instrument)
    except BadInput:
        return None
    return Tracking(home.engine, home.clock).standing(instrument)


def _processed(events: Events, home: Home) -> Processed:
    """What follows from all that waits, of other programs too; Dagster knows what is new."""
    seen, rejected, left = 0, 0, 0
    tracked: list[Instrument] = []
    queued: list[int] = []
    while (done := events.process()).seen:
        seen, rejected, left = seen + done.seen, rejected + done.rejected, done.left
        tracked += done.tracked
        queued += done.queued
        register_instruments(home.dagster, done.tracked)
        if not left:
            break
    return Processed(seen, rejected, tuple(tracked), tuple(dict.fromkeys(queued)), left)


def _say(outcome: _Outcome, settings: Settings, *, as_json: bool) -> None:
    if as_json:
        print_json(outcome.fields)
        return
    instrument, kept = outcome.transaction.instrument, outcome.standing
    console().print(f"{outcome.told}; {_follows(instrument, kept, settings)}")
    if outcome.done.queued:
        rows = ", ".join(map(str, outcome.done.queued))
        console().print(
            f"queued: {rows}; next: marketdata worker --once, or leave it to marketdata ui"
        )


def _follows(instrument: str, kept: Standing | None, settings: Settings) -> str:
    """How an instrument is tracked now, in words."""
    if kept is None or kept.untracked_at is not None:
        return f"{instrument} is not tracked"
    back = (
        f"tracked since {kept.since:%Y-%m-%d}" if kept.since else "tracked as far back as there is"
    )
    if kept.holders or kept.released_at is None or kept.by_hand:
        by = f", held in {kept.holders} portfolio{'s' * (kept.holders != 1)}"
        return f"{instrument} is {back}{by}"
    until = kept.released_at + settings.grace_after_sale
    return f"{instrument} is held no more, and kept up to date until {until:%Y-%m-%d}"
