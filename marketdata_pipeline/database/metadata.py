"""The catalog's tables. Instants are microseconds since 1970-01-01T00:00Z in 64 bits.

Not here: those of requests and turns (governing), of events (happening), of doubt (doubting), and
how a database gets from one revision of them to the next (migrations).
Ids are AUTOINCREMENT: SQLite gives the id of a deleted last row to the next one otherwise, and
whoever remembered the old id would then change a stranger's row. Each reference has an index: both
databases look for those who refer to a row before it is deleted, one row at a time.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    text,
)

from marketdata_pipeline.database import doubting
from marketdata_pipeline.database.columns import count, micros, ref, row_id, string

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
"""Every revision, oldest first; the last is the one that this code works with."""

metadata = doubting.quarantine.metadata
"""With the tables of all four modules."""

home = Table(
    "home",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    string("mode"),
    string("history", nullable=True),
    micros("market_start", nullable=True),
    micros("wall_start", nullable=True),
    micros("created_at"),
    Column("seed", BigInteger, nullable=True),
    string("catalog", nullable=True),  # a name of its own, also in the folder of bar files
    CheckConstraint("id = 1", name="one_row"),
    CheckConstraint(
        "(mode = 'live' AND history IS NULL AND market_start IS NULL AND wall_start IS NULL) OR "
        "(mode = 'replay' AND history IN ('recorded', 'synthetic', 'mixed') "
        "AND market_start IS NOT NULL AND wall_start IS NOT NULL)",
        name="mode",
    ),
    CheckConstraint(
        "(seed IS NOT NULL) = (history IS NOT NULL AND history <> 'recorded')", name="seed"
    ),
)

instruments = Table(
    "instruments",
    metadata,
    row_id(),
    Column("key", Text, nullable=False, unique=True),
    string("asset_class"),
    string("venue"),
    string("currency", nullable=True),
    string("first_trade", nullable=True),  # the listing's first day, 2001-12-31
    sqlite_autoincrement=True,
)

_HELD = text("holders > 0")
tracked_instruments = Table(
    "tracked_instruments",
    metadata,
    ref("instrument_id", "instruments.id", primary_key=True),
    string("timeframes"),  # spellings with commas between, in the order of the grid
    micros("since", nullable=True),  # NULL: each timeframe's default depth
    micros("first_tracked_at"),
    micros("last_tracked_at"),
    micros("untracked_at", nullable=True),
    Column("by_hand", Boolean, nullable=False),  # somebody said so, whether it is held or not
    count("holders"),  # portfolios that hold it, or what needs it
    micros("released_at", nullable=True),  # since when it was held and is not any more
    micros("last_update", nullable=True),
    CheckConstraint("holders >= 0", name="holders"),
    Index(
        "ix_tracked_instruments_held", "instrument_id", sqlite_where=_HELD, postgresql_where=_HELD
    ),
)

series = Table(
    "series",
    metadata,
    row_id(),
    Column("key", Text, nullable=False, unique=True),
    ref("instrument_id", "instruments.id"),
    string("timeframe"),
    Column("version", BigInteger, nullable=False, server_default="0"),
    Column("rows", BigInteger, nullable=False, server_default="0"),
    micros("first_ts", nullable=True),
    micros("last_ts", nullable=True),
    micros("updated_at", nullable=True),
    string("error_category", nullable=True),
    string("error_message", nullable=True),
    micros("error_at", nullable=True),
    Column("shown_version", BigInteger, nullable=False, server_default="0"),  # last told to Dagster
    micros("history_from", nullable=True),  # superseded values before it are gone; NULL: none is
    Column("tail", BigInteger, nullable=False, server_default="0"),  # written since compaction
    CheckConstraint("first_ts <= last_ts", name="span"),
    CheckConstraint("rows >= 0 AND version >= 0", name="counts"),
    Index(None, "instrument_id"),
    sqlite_autoincrement=True,
)

fetches = Table(
    "fetches",
    metadata,
    row_id(),
    ref("series_id", "series.id"),
    string("kind"),
    string("provider"),
    string("origin"),
    micros("window_start"),
    micros("window_end"),
    string("basis"),
    string("currency", nullable=True),
    micros("market_at"),
    micros("fetched_at"),
    micros("committed_at"),
    count("rows"),
    count("requests"),
    string("dropped"),  # JSON: [[ts in microseconds, rule], ...]
    Column("base_version", BigInteger, nullable=True),
    string("run_id", nullable=True),
    Column("version", BigInteger, nullable=True),  # of the series, with its bars; NULL: it had none
    micros("first_ts", nullable=True),
    micros("last_ts", nullable=True),
    CheckConstraint("kind IN ('reply', 'derived')", name="kind"),
    CheckConstraint("(kind = 'derived') = (base_version IS NOT NULL)", name="base"),
    CheckConstraint("window_start < window_end", name="window"),
    CheckConstraint("rows >= 0 AND requests >= 0", name="counts"),
    Index(None, "series_id", "id"),
    Index(None, "series_id", "version"),
    sqlite_autoincrement=True,
)

_LIVE = text("superseded_at IS NULL")
chunks = Table(
    "chunks",
    metadata,
    row_id(),
    ref("series_id", "series.id"),
    Column("fetch_id", BigInteger, ForeignKey("fetches.id"), nullable=True),  # NULL: in the file
    string("part"),
    count("seq"),
    micros("ts_min"),
    micros("ts_max"),
    count("rows"),
    Column("schema", SmallInteger, nullable=False),
    Column("state", SmallInteger, nullable=True),  # NULL: in the file
    Column("data", LargeBinary, nullable=True),
    string("path", nullable=True),  # relative to the folder of bars
    string("checksum"),
    micros("superseded_at", nullable=True),  # since when none of its bars counts
    CheckConstraint("ts_min <= ts_max", name="span"),
    CheckConstraint("rows > 0", name="rows"),
    CheckConstraint("(data IS NULL) <> (path IS NULL)", name="place"),
    Index(None, "series_id", "ts_max", sqlite_where=_LIVE, postgresql_where=_LIVE),
    Index(None, "series_id", "seq"),
    Index(None, "fetch_id"),
    sqlite_autoincrement=True,
)

retired_files = Table(
    "retired_files",
    metadata,
    string("path", primary_key=True),
    micros("retired_at"),
)

restatements = Table(
    "restatements",
    metadata,
    row_id(),
    ref("series_id", "series.id"),
    micros("ts"),
    ref("old_fetch_id", "fetches.id"),
    ref("new_fetch_id", "fetches.id"),
    *(
        Column(f"{when}_{name}", Float, nullable=False)
        for when in ("old", "new")
        for name in ("open", "high", "low", "close", "volume")
    ),
    string("reason"),
    micros("recorded_at"),
    Index(None, "series_id", "ts"),
    Index(None, "old_fetch_id"),
    Index(None, "new_fetch_id"),
    sqlite_autoincrement=True,
)

_HOLE = text("kind = 'hole'")
coverage = Table(
    "coverage",
    metadata,
    ref("series_id", "series.id", primary_key=True),
    micros("start", primary_key=True),
    micros("end"),
    string("kind"),
    micros("recheck_at", nullable=True),
    Column("tries", Integer, nullable=False, server_default="0"),
    micros("since", nullable=True),  # market time at which a hole was first seen
    CheckConstraint('start < "end"', name="span"),
    CheckConstraint(
        "kind IN ('answered', 'provisional', 'hole', 'no_trade', 'out_of_depth')", name="kind"
    ),
    CheckConstraint(
        "kind NOT IN ('hole', 'provisional') OR recheck_at IS NOT NULL", name="recheck"
    ),
    Index("ix_coverage_due", "recheck_at", sqlite_where=_HOLE, postgresql_where=_HOLE),
)

actions = Table(
    "actions",
    metadata,
    ref("instrument_id", "instruments.id", primary_key=True),
    string("ex_date", primary_key=True),  # the exchange's date, 2020-08-31
    string("kind", primary_key=True),
    string("numerator"),  # text: an exact fraction of a float can need more than 64 bits
    string("denominator"),
    Column("fetch_id", BigInteger, ForeignKey("fetches.id"), nullable=False),
    Index(None, "fetch_id"),
    CheckConstraint("kind IN ('split', 'dividend', 'capital_gain')", name="kind"),
)

action_coverage = Table(
    "action_coverage",
    metadata,
    ref("instrument_id", "instruments.id", primary_key=True),
    micros("start", primary_key=True),
    micros("end"),
    CheckConstraint('start < "end"', name="span"),
)

quality = Table(
    "quality",
    metadata,
    ref("series_id", "series.id", primary_key=True),
    string("rule", primary_key=True),
    Column("passed", Boolean, nullable=False),
    Column("score", Float, nullable=False),
    string("detail"),
    micros("judged_at"),
    Index(None, "rule", "passed"),
)
