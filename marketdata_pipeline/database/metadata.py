"""The catalog's tables. Instants are microseconds since 1970-01-01T00:00Z in 64 bits.

Not here: how a database gets from one revision of them to the next (migrations).
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
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

REVISIONS = ("0001", "0002", "0003", "0004", "0005")
"""Every revision, oldest first; the last is the one that this code works with."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[int]:
    # SQLite counts only INTEGER PRIMARY KEY by itself.
    wide = BigInteger().with_variant(Integer(), "sqlite")
    return Column("id", wide, primary_key=True, autoincrement=True)


def _ref(name: str, target: str, *, primary_key: bool = False) -> Column[int]:
    return Column(name, BigInteger, ForeignKey(target), primary_key=primary_key, nullable=False)


def _micros(name: str, *, nullable: bool = False, primary_key: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable, primary_key=primary_key)


def _text(name: str, *, nullable: bool = False, primary_key: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable, primary_key=primary_key)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


home = Table(
    "home",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _text("mode"),
    _text("history", nullable=True),
    _micros("market_start", nullable=True),
    _micros("wall_start", nullable=True),
    _micros("created_at"),
    Column("seed", BigInteger, nullable=True),
    _text("catalog", nullable=True),  # a name of its own, also in the folder of bar files
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
    _id(),
    Column("key", Text, nullable=False, unique=True),
    _text("asset_class"),
    _text("venue"),
    _text("currency", nullable=True),
    _text("first_trade", nullable=True),  # the listing's first day, 2001-12-31
    sqlite_autoincrement=True,
)

tracked_instruments = Table(
    "tracked_instruments",
    metadata,
    _ref("instrument_id", "instruments.id", primary_key=True),
    _text("timeframes"),  # spellings with commas between, in the order of the grid
    _micros("since", nullable=True),  # NULL: each timeframe's default depth
    _micros("tracked_at"),
    _micros("untracked_at", nullable=True),
)

series = Table(
    "series",
    metadata,
    _id(),
    Column("key", Text, nullable=False, unique=True),
    _ref("instrument_id", "instruments.id"),
    _text("timeframe"),
    Column("version", BigInteger, nullable=False, server_default="0"),
    Column("rows", BigInteger, nullable=False, server_default="0"),
    _micros("first_ts", nullable=True),
    _micros("last_ts", nullable=True),
    _micros("updated_at", nullable=True),
    _text("error_category", nullable=True),
    _text("error_message", nullable=True),
    _micros("error_at", nullable=True),
    Column("shown_version", BigInteger, nullable=False, server_default="0"),  # last told to Dagster
    _micros("history_from", nullable=True),  # superseded values before it are gone; NULL: none is
    Column("tail", BigInteger, nullable=False, server_default="0"),  # written since compaction
    CheckConstraint("first_ts <= last_ts", name="span"),
    CheckConstraint("rows >= 0 AND version >= 0", name="counts"),
    Index(None, "instrument_id"),
    sqlite_autoincrement=True,
)

fetches = Table(
    "fetches",
    metadata,
    _id(),
    _ref("series_id", "series.id"),
    _text("kind"),
    _text("provider"),
    _text("origin"),
    _micros("window_start"),
    _micros("window_end"),
    _text("basis"),
    _text("currency", nullable=True),
    _micros("market_at"),
    _micros("fetched_at"),
    _micros("committed_at"),
    _count("rows"),
    _count("requests"),
    _text("dropped"),  # JSON: [[ts in microseconds, rule], ...]
    Column("base_version", BigInteger, nullable=True),
    _text("run_id", nullable=True),
    Column("version", BigInteger, nullable=True),  # of the series, with its bars; NULL: it had none
    _micros("first_ts", nullable=True),
    _micros("last_ts", nullable=True),
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
    _id(),
    _ref("series_id", "series.id"),
    Column("fetch_id", BigInteger, ForeignKey("fetches.id"), nullable=True),  # NULL: in the file
    _text("part"),
    _count("seq"),
    _micros("ts_min"),
    _micros("ts_max"),
    _count("rows"),
    Column("schema", SmallInteger, nullable=False),
    Column("state", SmallInteger, nullable=True),  # NULL: in the file
    Column("data", LargeBinary, nullable=True),
    _text("path", nullable=True),  # relative to the folder of bars
    _text("checksum"),
    _micros("superseded_at", nullable=True),  # since when none of its bars counts
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
    _text("path", primary_key=True),
    _micros("retired_at"),
)

restatements = Table(
    "restatements",
    metadata,
    _id(),
    _ref("series_id", "series.id"),
    _micros("ts"),
    _ref("old_fetch_id", "fetches.id"),
    _ref("new_fetch_id", "fetches.id"),
    *(
        Column(f"{when}_{name}", Float, nullable=False)
        for when in ("old", "new")
        for name in ("open", "high", "low", "close", "volume")
    ),
    _text("reason"),
    _micros("recorded_at"),
    Index(None, "series_id", "ts"),
    Index(None, "old_fetch_id"),
    Index(None, "new_fetch_id"),
    sqlite_autoincrement=True,
)

coverage = Table(
    "coverage",
    metadata,
    _ref("series_id", "series.id", primary_key=True),
    _micros("start", primary_key=True),
    _micros("end"),
    _text("kind"),
    _micros("recheck_at", nullable=True),
    Column("tries", Integer, nullable=False, server_default="0"),
    CheckConstraint('start < "end"', name="span"),
    CheckConstraint("kind IN ('answered', 'hole', 'out_of_depth')", name="kind"),
    CheckConstraint("kind <> 'hole' OR recheck_at IS NOT NULL", name="recheck"),
)

actions = Table(
    "actions",
    metadata,
    _ref("instrument_id", "instruments.id", primary_key=True),
    _text("ex_date", primary_key=True),  # the exchange's date, 2020-08-31
    _text("kind", primary_key=True),
    _text("numerator"),  # text: an exact fraction of a float can need more than 64 bits
    _text("denominator"),
    Column("fetch_id", BigInteger, ForeignKey("fetches.id"), nullable=False),
    Index(None, "fetch_id"),
    CheckConstraint("kind IN ('split', 'dividend', 'capital_gain')", name="kind"),
)

action_coverage = Table(
    "action_coverage",
    metadata,
    _ref("instrument_id", "instruments.id", primary_key=True),
    _micros("start", primary_key=True),
    _micros("end"),
    CheckConstraint('start < "end"', name="span"),
)

quality = Table(
    "quality",
    metadata,
    _ref("series_id", "series.id", primary_key=True),
    _text("rule", primary_key=True),
    Column("passed", Boolean, nullable=False),
    Column("score", Float, nullable=False),
    _text("detail"),
    _micros("judged_at"),
    Index(None, "rule", "passed"),
)

governor = Table(
    "governor",
    metadata,
    _text("key", primary_key=True),  # a provider, or provider/credential
    _micros("tat"),  # the theoretical arrival time of the next request, by spacing alone
    _micros("spacing"),
    _count("epoch"),  # rises whenever all turns that were given ahead are void
    _micros("cooldown_until"),
    _count("refusals"),  # in a row, none served between
    _micros("refused_at"),  # since when `granted` counts
    _count("granted"),
    _micros("granted_at"),  # the last one
    _micros("ceiling"),  # the spacing at which it was refused; 0: never
    _micros("age"),  # how long it was in use since
    _count("failures"),  # in a row
    _micros("eased_at"),  # when failures last slowed it down
    _micros("opened_until"),  # 0: the breaker is closed
    _micros("probe_until"),
    CheckConstraint("spacing >= 0 AND ceiling >= 0 AND age >= 0", name="rate"),
    CheckConstraint("refusals >= 0 AND granted >= 0 AND failures >= 0", name="counts"),
)

meters = Table(
    "meters",
    metadata,
    _text("key", primary_key=True),
    _micros("window", primary_key=True),  # the length of what a limit looks back on
    _micros("tat"),
    _micros("interval"),
    _micros("tau"),
    CheckConstraint('"interval" > 0 AND tau >= 0', name="rate"),
)

budgets = Table(
    "budgets",
    metadata,
    _text("key", primary_key=True),
    _text("zone"),
    _count("credits"),
    _count("used"),
    _micros("until"),  # the end of the day that `used` counts
    CheckConstraint("credits > 0 AND used >= 0", name="counts"),
)

requests = Table(
    "requests",
    metadata,
    _id(),
    _text("key"),  # of the governor's row; names a credential, never its value
    _text("series", nullable=True),  # as it is spelled: it may be one that is not kept
    _text("priority"),
    Column("attempt", Integer, nullable=False),
    _text("run_id", nullable=True),
    _text("ending"),
    Column("status", Integer, nullable=False),  # of HTTP; 0: no reply
    _micros("ended_at"),
    _micros("took"),
    CheckConstraint("took >= 0 AND attempt >= 1", name="counts"),
    Index(None, "key", "id"),
    Index(None, "ended_at"),
    sqlite_autoincrement=True,
)

flights = Table(
    "flights",
    metadata,
    _text("instrument", primary_key=True),
    _text("holder"),  # empty: nobody
    _micros("until"),  # the holder is gone unless it says otherwise before
    _micros("ended_at"),  # when somebody last gave it up
)
