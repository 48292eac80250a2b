"""DataManager: bars and overviews of what is stored, without ever asking a provider.

Not here: drawing (candles, page) and anything that writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pandas as pd

from marketdata_pipeline.domain.actions import Action, Adjust, adjusted
from marketdata_pipeline.domain.clock import Clock
from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.domain.ranges import TimeRange, parse_instant
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog, SeriesSummary
from marketdata_pipeline.store.tracking import Tracked, Tracking
from marketdata_pipeline.store.verdicts import Verdicts


@dataclass(frozen=True, slots=True)
class Overview:
    """One kept series: what is stored, its class, how complete it is (0 to 1; None: not judged)."""

    summary: SeriesSummary
    asset_class: AssetClass
    completeness: float | None


@dataclass(frozen=True, slots=True, eq=False)
class DataManager:
    """Reads a home; every method is one or a few queries, none sends a request."""

    store: BarStore
    catalog: Catalog
    tracking: Tracking
    verdicts: Verdicts
    clock: Clock

    def bars(
        self,
        series: Series,
        within: TimeRange | None = None,
        adjust: Adjust = Adjust.SPLITS,
        *,
        last: int | None = None,
        as_of: datetime | None = None,
    ) -> pd.DataFrame:
        """Bars of a series, labels as the contract says (UTC, left edge), newest last.

        ``attrs`` name the series, the basis (``raw``, ``splits``, ``all``), the currency as the
        provider writes it, and the market instant of the read. Empty: kept, but no bar there.

        Args:
            series: which one.
            within: label range; None for all.
            adjust: which actions are taken out; of splits and dividends the ones known now.
            last: only that many of the newest bars.
            as_of: wall instant: only what was committed by then, with the raw values that it had
                (``BarStore.read`` says more; its attrs ``as_of`` and ``superseded_since`` are
                kept). Actions are those known now.

        Raises:
            BadInput: the series is not kept in this home.
            StoreError: the catalog or a file is unreadable.
        """
        if last is not None and within is None and as_of is None:
            raw = self.store.tail(series, last)
        else:
            raw = self.store.read(series, within, as_of=as_of)
        if raw.empty:
            self._refuse_unknown(series)
        raw = raw if last is None else raw.tail(last)
        found = self._adjusted(raw, series, adjust)
        facts = self.catalog.facts([series.instrument])[series.instrument]
        found.attrs = {
            **raw.attrs,
            "series": str(series),
            "basis": adjust.basis,
            "currency": facts.currency,
            "market_now": self.clock.market_now().isoformat(),
        }
        return found

    def actions(self, instrument: Instrument) -> tuple[Action, ...]:
        """Splits, dividends and capital gains that are known, oldest first."""
        return tuple(sorted(self.catalog.known_actions([instrument])[instrument].actions))

    def overviews(self, series: Sequence[Series] | None = None) -> list[Overview]:
        """What is stored of these series, or of every tracked one (and its stored others)."""
        if series is not None:
            return self._overviews(self.catalog.summaries(series))
        stored = {one.series: one for one in self.catalog.summaries()}
        tracked = (
            Series(one.instrument, frame) for one in self.tracking.all() for frame in one.timeframes
        )
        wanted = dict.fromkeys([*tracked, *(one.series for one in stored.values() if one.rows)])
        return self._overviews([stored.get(one) or SeriesSummary(one) for one in wanted])

    def overviews_of(self, instruments: Sequence[Instrument]) -> list[Overview]:
        """The same of these instruments' series only, in the order given and of the grid.

        Raises:
            BadInput: nothing of one of them is kept.
        """
        series = [Series(one, frame) for one in dict.fromkeys(instruments) for frame in Timeframe]
        tracked = {one.instrument: one.timeframes for one in self.tracking.all()}
        kept = [
            one
            for one in self.catalog.summaries(series)
            if one.rows or one.series.timeframe in tracked.get(one.series.instrument, ())
        ]
        unknown = set(instruments) - {one.series.instrument for one in kept}
        if unknown:
            names = " ".join(map(str, sorted(unknown)))
            raise BadInput(f"not kept here: {names}; run: marketdata track {names}")
        return self._overviews(kept)

    def _overviews(self, stored: Sequence[SeriesSummary]) -> list[Overview]:
        complete = self.verdicts.all("completeness", [one.series for one in stored])
        facts = self.catalog.facts({one.series.instrument for one in stored})
        return [
            Overview(
                one,
                facts[one.series.instrument].asset_class or one.series.instrument.asset_class,
                complete[one.series].score if one.series in complete else None,
            )
            for one in stored
        ]

    def tracked(self) -> list[Tracked]:
        """Every tracked instrument, in the order of tracking."""
        return self.tracking.all()

    def _refuse_unknown(self, series: Series) -> None:
        kept = {
            Series(one.instrument, frame) for one in self.tracking.all() for frame in one.timeframes
        }
        if series in kept or self.catalog.summaries([series])[0].updated_at is not None:
            return
        raise not_kept(series)

    def _adjusted(self, raw: pd.DataFrame, series: Series, adjust: Adjust) -> pd.DataFrame:
        if adjust is Adjust.NONE or raw.empty:
            return raw.copy()
        daily = Series(series.instrument, Timeframe.D1)
        actions = self.actions(series.instrument)
        return adjusted(raw, series, adjust, actions, lambda: self.store.read(daily)["close"])


def not_kept(series: Series) -> BadInput:
    """The error of a series that nothing is known of, which says how to keep it."""
    return BadInput(
        f"{series} is not kept here; run: marketdata track {series.instrument} "
        f"--timeframes {series.timeframe} && marketdata backfill {series.instrument}"
    )


_FAR = datetime(2200, 1, 1, tzinfo=UTC)


def label_range(
    start: datetime | date | str | None, end: datetime | date | str | None
) -> TimeRange | None:
    """A half-open label range of ISO dates or instants (no zone: UTC); both None: all.

    Raises:
        BadInput: not a date, or an end that is not after the start.
    """
    if start is None and end is None:
        return None
    first = parse_instant(start or "1800-01-01")
    last = parse_instant(end) if end else max(_FAR, first + timedelta(days=1))
    return TimeRange(first, last)


def parse_adjust(text: str) -> Adjust:
    """The basis of ``none``, ``splits`` or ``all``.

    Raises:
        BadInput: anything else.
    """
    try:
        return Adjust(text)
    except ValueError as error:
        raise BadInput(f"adjust is '{text[:20]}', it must be none, splits or all") from error
