"""The catalog's tables of events: transactions, what portfolios hold by them, backfills to do.

Not here: what the rows mean (store, ingest), all other tables (metadata, governing).
Instruments are named by their keys here: a row outlasts what is known of its instrument, and the
key of a transaction is whatever was written.
"""

from sqlalchemy import CheckConstraint, Column, Float, Index, Integer, SmallInteger, Table, text

from marketdata_pipeline.database.columns import micros, row_id, string
from marketdata_pipeline.database.governing import metadata

_NEW = text("processed_at IS NULL")
transactions = Table(
    "transactions",
    metadata,
    row_id(),
    string("external_id"),  # of whoever sends it
    string("portfolio"),
    string("instrument"),  # as it was written
    string("side"),
    Column("quantity", Float, nullable=False),
    Column("price", Float, nullable=True),
    string("currency", nullable=True),  # of the price
    micros("executed_at"),
    micros("recorded_at"),
    micros("voided_at", nullable=True),
    micros("processed_at", nullable=True),  # NULL: what follows from it is still to be done
    string("rejected", nullable=True),  # why nothing follows from it
    CheckConstraint("side IN ('buy', 'sell', 'transfer_in', 'transfer_out')", name="side"),
    # Postgres takes NaN for the largest number.
    CheckConstraint("quantity > 0 AND quantity < 1e18", name="quantity"),
    CheckConstraint("price >= 0 AND price < 1e18", name="price"),
    # Seconds and milliseconds since 1970 are smaller than that for any instant after April 1970.
    CheckConstraint("abs(executed_at) > 10000000000000", name="executed_at"),
    CheckConstraint(
        "length(external_id) BETWEEN 1 AND 200 AND length(portfolio) BETWEEN 1 AND 200 "
        "AND length(instrument) BETWEEN 1 AND 200",
        name="names",
    ),
    CheckConstraint("length(currency) = 3", name="currency"),
    Index("uq_transactions_external_id", "portfolio", "external_id", unique=True),
    Index("ix_transactions_instrument", "instrument"),
    Index("ix_transactions_new", "id", sqlite_where=_NEW, postgresql_where=_NEW),
    sqlite_autoincrement=True,
)

holdings = Table(
    "holdings",
    metadata,
    string("portfolio", primary_key=True),
    string("instrument", primary_key=True),
    Column("quantity", Float, nullable=False),  # in today's shares; below 0: sold short
    micros("acquired_at"),  # first of all
    string("pair", nullable=True),  # the instrument that turns its currency into the portfolio's
    Index("ix_holdings_instrument", "instrument"),
    Index("ix_holdings_pair", "pair"),
)

backfill_queue = Table(
    "backfill_queue",
    metadata,
    row_id(),
    string("instrument"),
    string("timeframes"),  # spellings with commas between, in the order of the grid
    micros("start", nullable=True),  # NULL: as the instrument is tracked
    micros("end", nullable=True),  # NULL: up to the last closed bar
    string("status"),
    Column("priority", SmallInteger, nullable=False),  # 0: the most urgent
    micros("retry_after"),  # not before
    Column("attempts", Integer, nullable=False),  # that failed by its own fault
    Column("setbacks", Integer, nullable=False),  # in a row, by nobody's
    Column("launch", Integer, nullable=False),  # rises whenever it is to be launched anew
    string("batch", nullable=True),  # those that were asked of one run
    micros("asked_at", nullable=True),  # when a run was; NULL: none was, for this launch
    string("run_id", nullable=True),
    micros("lease_until", nullable=True),
    string("error_category", nullable=True),
    string("error_message", nullable=True),
    micros("created_at"),
    micros("updated_at"),
    micros("completed_at", nullable=True),
    CheckConstraint(
        "status IN ('pending', 'in_progress', 'rate_limited', 'completed', 'failed')",
        name="status",
    ),
    CheckConstraint('start < "end"', name="span"),
    CheckConstraint("priority BETWEEN 0 AND 3", name="priority"),
    CheckConstraint("attempts >= 0 AND setbacks >= 0 AND launch >= 0", name="counts"),
    CheckConstraint("(status = 'in_progress') = (lease_until IS NOT NULL)", name="lease"),
    CheckConstraint("(status = 'completed') = (completed_at IS NOT NULL)", name="completed"),
    Index("ix_backfill_queue_status", "status", "retry_after"),
    Index("ix_backfill_queue_instrument", "instrument", "status"),
    Index("ix_backfill_queue_batch", "batch"),
    Index("ix_backfill_queue_run_id", "run_id"),
    sqlite_autoincrement=True,
)
