"""Importing: from the rows of a series to stored bars, one transaction for each series.

Not here: finding and reading files (folders, files), and each of the steps.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from marketdata_pipeline.domain.bars import BadRow
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.reply import Basis
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import BadInput, MarketDataError
from marketdata_pipeline.ingest.importing.cleaning import Cleaned, cleaned, still_good
from marketdata_pipeline.ingest.importing.filling import (
    Compared,
    Load,
    compared,
    fill,
    near,
    nothing,
)
from marketdata_pipeline.ingest.importing.meaning import meaning_of
from marketdata_pipeline.ingest.importing.outcome import Counts, Imported
from marketdata_pipeline.ingest.importing.placing import placed
from marketdata_pipeline.ingest.importing.said import Said
from marketdata_pipeline.ingest.importing.tables import Table
from marketdata_pipeline.ingest.importing.terms import Prices, Terms
from marketdata_pipeline.ingest.importing.times import stamps_of
from marketdata_pipeline.ingest.importing.told import told_by
from marketdata_pipeline.ingest.importing.traded import Priced
from marketdata_pipeline.ingest.judge import Judge, Known
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline.store.tracking import Tracked, Tracking
from marketdata_pipeline.store.write import Committed, Fetch, FetchKind

PROVIDER = "import"
"""Who made the bars, where nobody says."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of one series, and where they come from.

    Attributes:
        stated: what the person says of them.
        said: what their files do.
        origin: what their fetch names: names of files only, since folders are a person's own.
    """

    series: Series
    table: Table
    stated: Terms
    said: Said
    origin: str
    files: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    """Rows that have become bars to store."""

    rows: Rows
    terms: Terms
    clean: Cleaned
    moved: int
    splits_known: bool
    load: Load


@dataclass(frozen=True, slots=True, eq=False)
class Importer:
    """Stores what is new of the rows of one series.

    ``over``: provisional bars that are stored with other values are replaced; else what is
    stored wins. ``dry_run``: everything is done but the commit. A ``live`` home takes no bars of
    a simulator.
    """

    store: BarStore
    catalog: Catalog
    tracking: Tracking
    judge: Judge
    clock: Clock
    live: bool = True
    over: bool = False
    dry_run: bool = False

    def take(self, rows: Rows) -> Imported:
        """Import one series; the same rows again change nothing.

        Raises:
            BadInput: what the rows mean is not known, or they cannot be right.
            WriteConflict: other writers kept changing the series.
            StoreError: the catalog or a file refused.
        """
        if self.live and rows.said.simulated:
            raise BadInput(
                f"{rows.table.places[0]} holds simulated bars, which a live home refuses; import "
                "it into a replay home"
            )
        made = self._made(rows)
        currency = self._currency(rows.series, made.terms)
        if made.load.bars.empty:
            return self._outcome(made, nothing(), None)
        if self.dry_run:
            stored = self.store.snapshot(rows.series, near(made.load.bars))
            return self._outcome(made, compared(made.load, stored), None)
        beside, committed = fill(self.store, made.load, self._fetch(made, currency))
        return self._outcome(made, beside, committed)

    def _made(self, rows: Rows) -> _Made:
        """The bars as traded, good ones only."""
        series, market_now = rows.series, self.clock.market_now()
        stamps = stamps_of(rows.table)
        meaning = meaning_of(rows.stated, rows.said.terms, rows.table, stamps, series)
        where = placed(stamps, meaning.side, meaning.zone, series)
        extended = bool(meaning.terms.extended)
        clean = cleaned(rows.table, where, series, market_now, extended=extended)
        told = replace(told_by(rows.table, where, series), paid=rows.said.paid)
        known = self.catalog.known_actions([series.instrument])[series.instrument]
        found = Priced(clean.bars, series, meaning.terms, told, known, market_now).traded()
        clean = still_good(clean, found.bars, series, market_now)
        load = Load(series, clean.bars, found.splits, found.news, self.over)
        return _Made(rows, meaning.terms, clean, where.moved, found.splits_known, load)

    def _currency(self, series: Series, terms: Terms) -> str | None:
        """That of the instrument, or the one that is stated for it."""
        known = self.catalog.facts([series.instrument])[series.instrument].currency
        if known and terms.currency and known != terms.currency:
            raise BadInput(
                f"{series} is kept in {known}, not {terms.currency}; convert the prices first"
            )
        return known or terms.currency

    def _fetch(self, made: _Made, currency: str | None) -> Fetch:
        """What is kept of where the bars come from."""
        split = made.terms.basis is Prices.SPLITS
        return Fetch(
            kind=FetchKind.REPLY,
            provider=made.terms.provider or PROVIDER,
            origin=made.rows.origin,
            window=made.load.span,
            basis=Basis.SPLIT_ADJUSTED if split else Basis.RAW,
            currency=currency,
            market_at=self.clock.market_now(),
            fetched_at=self.clock.wall_now(),
            requests=0,
            dropped=tuple(BadRow(one.ts, one.rule) for one in made.clean.dropped if one.ts),
        )

    def _outcome(self, made: _Made, beside: Compared, committed: Committed | None) -> Imported:
        series, span = made.rows.series, made.load.span if len(made.load.bars) else None
        tracked = self.tracking.get(series.instrument)
        kept = tracked if tracked and series.timeframe in tracked.timeframes else None
        error: MarketDataError | None = None
        if committed is not None and committed.brought and kept is not None:
            error = self._judged(made.load, committed, kept)
        return Imported(
            files=made.rows.files,
            series=series,
            counts=_counts(made, beside),
            dropped=made.clean.dropped,
            differences=beside.differences,
            span=span,
            tracked=kept is not None,
            splits_known=made.splits_known,
            stored=committed is not None,
            error=error,
        )

    def _judged(self, load: Load, committed: Committed, tracked: Tracked) -> MarketDataError | None:
        """Judge a series that is kept; a derived one is, once it is derived."""
        series = load.series
        if series.timeframe.derived:
            return None
        facts = self.catalog.facts([series.instrument])[series.instrument]
        known = Known(
            since=tracked.since,
            first_trade=facts.first_trade,
            last=committed.last,
            coverage=committed.coverage,
            kept=self.judge.verdicts.of(series),
            actions=self.catalog.known_actions([series.instrument])[series.instrument].actions,
        )
        try:
            self.judge.judge(series, known=known, written=load.span)
        except MarketDataError as error:
            return error
        return None


def _counts(made: _Made, beside: Compared) -> Counts:
    clean = made.clean
    return Counts(
        read=clean.read,
        empty=clean.empty,
        outside=clean.outside,
        merged=clean.merged,
        moved=made.moved,
        new=int(beside.new.sum()),
        known=int((~beside.new).sum()),
        differing=int(beside.differing.sum()),
        replaced=int(beside.replaced.sum()),
        actions=len(made.load.news),
    )
