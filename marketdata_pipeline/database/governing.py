"""The catalog's tables of requests: turns, limits, what became of requests, who is at what.

Not here: what the rows mean (governor), all other tables (metadata).
"""

from sqlalchemy import CheckConstraint, Column, Index, Integer, MetaData, Table

from marketdata_pipeline.database.columns import NAMES, count, micros, row_id, string

metadata = MetaData(naming_convention=NAMES)

governor = Table(
    "governor",
    metadata,
    string("key", primary_key=True),  # a provider, or provider/credential
    micros("tat"),  # the theoretical arrival time of the next request, by spacing alone
    micros("spacing"),
    count("epoch"),  # rises whenever all turns that were given ahead are void
    micros("cooldown_until"),
    count("refusals"),  # in a row, none served between
    micros("refused_at"),  # since when `granted` counts
    count("granted"),
    micros("granted_at"),  # the last one
    micros("ceiling"),  # the spacing at which it was refused; 0: never
    micros("age"),  # how long it was in use since
    count("failures"),  # in a row
    micros("eased_at"),  # when failures last slowed it down
    micros("opened_until"),  # 0: the breaker is closed
    micros("probe_until"),
    CheckConstraint("spacing >= 0 AND ceiling >= 0 AND age >= 0", name="rate"),
    CheckConstraint("refusals >= 0 AND granted >= 0 AND failures >= 0", name="counts"),
)

meters = Table(
    "meters",
    metadata,
    string("key", primary_key=True),
    micros("window", primary_key=True),  # the length of what a limit looks back on
    micros("tat"),
    micros("interval"),
    micros("tau"),
    CheckConstraint('"interval" > 0 AND tau >= 0', name="rate"),
)

budgets = Table(
    "budgets",
    metadata,
    string("key", primary_key=True),
    string("zone"),
    count("credits"),
    count("used"),
    micros("until"),  # the end of the day that `used` counts
    CheckConstraint("credits > 0 AND used >= 0", name="counts"),
)

requests = Table(
    "requests",
    metadata,
    row_id(),
    string("key"),  # of the governor's row; names a credential, never its value
    string("series", nullable=True),  # as it is spelled: it may be one that is not kept
    string("priority"),
    Column("attempt", Integer, nullable=False),
    string("run_id", nullable=True),
    string("ending"),
    Column("status", Integer, nullable=False),  # of HTTP; 0: no reply
    micros("ended_at"),
    micros("took"),
    CheckConstraint("took >= 0 AND attempt >= 1", name="counts"),
    Index(None, "key", "id"),
    Index(None, "ended_at"),
    sqlite_autoincrement=True,
)

flights = Table(
    "flights",
    metadata,
    string("instrument", primary_key=True),
    string("holder"),  # empty: nobody
    micros("until"),  # the holder is gone unless it says otherwise before
    micros("ended_at"),  # when somebody last gave it up
)
