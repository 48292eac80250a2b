"""What Dagster shows of the asset and of each partition.

Not here: the picture's drawing (reading.candles).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import dagster as dg

from marketdata_pipeline.domain.bars import INDEX_DTYPE, PRICES
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.outcome import Outcome
from marketdata_pipeline.ingest.update import Updater
from marketdata_pipeline.reading.candles import candles_svg, data_uri
from marketdata_pipeline.store.bars import BarStore

_PICTURE_ROWS = 60


def describe() -> str:
    """The asset's description, with the table of timeframes."""
    rows = "\n".join(f"| `{one.key}` | {_source(one)} | {_depth(one.depth)} |" for one in Timeframe)
    return (
        "Raw OHLCV bars of every instrument and timeframe. One partition is one series, spelled "
        "`AAPL|1d`; time is no dimension, since the coverage ledger knows what was asked and "
        "answered. Materializing a partition asks for what is missing, so doing it again is free."
        f"\n\n| timeframe | source | kept back to |\n|---|---|---|\n{rows}\n"
    )


def about() -> dict[str, dg.TableSchema | dg.MetadataValue]:
    """Metadata of the asset itself: its columns, the code behind it, the pages to read."""
    label = dg.TableColumn(
        "ts",
        INDEX_DTYPE,
        description="the bar's open; the session's date at 00:00 UTC for 1d, its Monday for 1wk",
        constraints=dg.TableColumnConstraints(nullable=False, unique=True),
    )
    prices = [
        dg.TableColumn(name, "float64", description="as traded, in the quote currency")
        for name in PRICES
    ]
    volume = dg.TableColumn("volume", "float64", description="units traded")
    return {
        "dagster/column_schema": dg.TableSchema([label, *prices, volume]),
        "code": dg.MetadataValue.python_artifact(Updater),
        "docs": dg.MetadataValue.md(
            "- what the bars are: `docs/bars.md`\n"
            "- runs, doors, the schedule: `docs/run.md`\n"
            "- why a bar is absent: `docs/understand-a-gap.md`\n"
            "- what to do about an error: `docs/errors.md`\n"
        ),
    }


def _source(timeframe: Timeframe) -> str:
    return "fetched" if timeframe.base is None else f"derived from `{timeframe.base}`"


def _depth(depth: timedelta | None) -> str:
    return "all there is" if depth is None else f"{depth.days} days"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table; what is in a cell stays in it."""
    lines = [head, ["---"] * len(head), *([_cell(one) for one in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "&#124;").split())


def materialization(
    key: dg.AssetKey, outcome: Outcome, store: BarStore | None
) -> dg.AssetMaterialization:
    """The event of one updated series; with ``store`` given, also a picture of its last bars."""
    metadata: dict[str, dg.MetadataValue] = {
        "dagster/row_count": dg.MetadataValue.int(outcome.rows),
        "new_bars": dg.MetadataValue.int(outcome.rows_new),
        "provider": dg.MetadataValue.text(_provider(outcome)),
        "requests": dg.MetadataValue.int(outcome.requests),
        "seconds": dg.MetadataValue.float(round(outcome.seconds, 3)),
    }
    if outcome.first is not None and outcome.last is not None:
        metadata["first"] = _label(outcome.first, outcome.series.timeframe)
        metadata["last"] = _label(outcome.last, outcome.series.timeframe)
    if outcome.judgement is not None:
        percent = round(100 * outcome.judgement.coverage, 3)
        metadata["coverage_percent"] = dg.MetadataValue.float(percent)
        metadata["quality_score"] = dg.MetadataValue.float(round(outcome.judgement.score, 4))
    if store is not None and outcome.rows:
        metadata["candles"] = dg.MetadataValue.md(_picture(outcome, store))
    return dg.AssetMaterialization(key, partition=str(outcome.series), metadata=metadata)


def _label(label: datetime, timeframe: Timeframe) -> dg.MetadataValue:
    """A session's date as text: as an instant it would be the day before in New York's browsers."""
    if timeframe.intraday:
        return dg.MetadataValue.timestamp(label)
    return dg.MetadataValue.text(f"{label:%Y-%m-%d}")


def _provider(outcome: Outcome) -> str:
    same = outcome.origin in {"", outcome.provider}
    return outcome.provider if same else f"{outcome.provider} ({outcome.origin})"


def _picture(outcome: Outcome, store: BarStore) -> str:
    """A markdown image below 10 kB: it is kept in the event row."""
    bars = store.tail(outcome.series, _PICTURE_ROWS)
    svg = candles_svg(bars, title=str(outcome.series), most=_PICTURE_ROWS)
    return f"![the last {len(bars)} bars of {outcome.series.instrument}]({data_uri(svg)})"
