"""The catalog's tables of doubt: quarantine, incidents, closures, changed actions, reports, alerts.

Not here: what the rows mean (store, ingest, alerts), all other tables (metadata, happening).
"""

from sqlalchemy import Boolean, CheckConstraint, Column, Float, Index, LargeBinary, Table, text

from marketdata_pipeline.database.columns import count, micros, ref, row_id, string
from marketdata_pipeline.database.happening import transactions

metadata = transactions.metadata

_HELD = text("status = 'held'")
quarantine = Table(
    "quarantine",
    metadata,
    row_id(),
    ref("series_id", "series.id"),
    string("status"),
    string("reason"),  # a word: level_shift, wrong_symbol, shrunken, ...
    string("detail"),  # a sentence for a person
    string("evidence"),  # JSON: the numbers behind it
    string("fingerprint"),  # of series, reason and values: the same reply again is the same row
    count("times"),  # that it came
    string("provider"),
    string("origin"),
    micros("window_start"),
    micros("window_end"),
    string("currency", nullable=True),
    micros("market_at"),
    micros("fetched_at"),
    string("run_id", nullable=True),
    count("rows"),
    micros("first_ts", nullable=True),  # NULL: it holds actions only
    micros("last_ts", nullable=True),
    Column("data", LargeBinary, nullable=True),  # the raw bars, as a chunk has them
    string("checksum", nullable=True),
    string("actions"),  # JSON: those that came with it
    micros("held_at"),
    micros("seen_at"),  # the last time that it came
    micros("decided_at", nullable=True),
    string("decided_why", nullable=True),
    CheckConstraint("status IN ('held', 'released', 'dropped')", name="status"),
    CheckConstraint("(status = 'held') = (decided_at IS NULL)", name="decided"),
    CheckConstraint("window_start < window_end", name="window"),
    CheckConstraint("rows >= 0 AND times > 0", name="counts"),
    CheckConstraint("(rows > 0) = (data IS NOT NULL)", name="data"),
    CheckConstraint("first_ts <= last_ts", name="span"),
    Index("uq_quarantine_fingerprint", "fingerprint", unique=True),
    Index("ix_quarantine_series_id", "series_id", "status"),
    Index("ix_quarantine_held", "id", sqlite_where=_HELD, postgresql_where=_HELD),
    sqlite_autoincrement=True,
)

_OPEN = text("closed_at IS NULL")
incidents = Table(
    "incidents",
    metadata,
    row_id(),
    string("kind"),  # outage: some have the sessions; question: nobody has, was it closed?
    string("status"),
    string("calendar"),  # as domain.venues names it
    string("sessions"),  # ISO dates with commas between, sorted
    string("timeframes"),  # spellings with commas between, in the order of the grid
    count("affected"),  # series that lacked a session when it was largest
    count("lacking"),  # series that lack one now
    count("expected"),  # series of the calendar that were looked at
    string("detail"),
    micros("opened_at"),  # market time, as all instants here
    micros("probed_at", nullable=True),
    micros("probe_at", nullable=True),  # when the next few are asked
    micros("changed_at"),
    micros("closed_at", nullable=True),
    string("outcome", nullable=True),  # healed, closed_market, given_up
    CheckConstraint("kind IN ('outage', 'question')", name="kind"),
    CheckConstraint("status IN ('open', 'healing', 'closed')", name="status"),
    CheckConstraint("(status = 'closed') = (closed_at IS NOT NULL)", name="closed"),
    CheckConstraint("(status = 'closed') = (outcome IS NOT NULL)", name="outcome"),
    CheckConstraint("affected >= lacking AND lacking >= 0", name="counts"),
    Index("ix_incidents_open", "calendar", sqlite_where=_OPEN, postgresql_where=_OPEN),
    sqlite_autoincrement=True,
)

closures = Table(
    "closures",
    metadata,
    string("calendar", primary_key=True),
    string("session", primary_key=True),  # the exchange's date, 2023-09-08
    micros("opens", nullable=True),  # both NULL: closed all day
    micros("closes", nullable=True),
    string("reason"),
    string("evidence"),
    micros("made_at"),
    CheckConstraint("(opens IS NULL) = (closes IS NULL)", name="hours"),
    CheckConstraint("opens < closes", name="span"),
)
"""What a person says of single days, in place of the calendar."""

action_changes = Table(
    "action_changes",
    metadata,
    row_id(),
    ref("instrument_id", "instruments.id"),
    string("kind"),
    string("reason"),  # late, restated, withdrawn, contradicted
    string("old_ex_date", nullable=True),  # NULL: there was none
    string("old_numerator", nullable=True),
    string("old_denominator", nullable=True),
    string("new_ex_date", nullable=True),  # NULL: there is none any more
    string("new_numerator", nullable=True),
    string("new_denominator", nullable=True),
    string("provider"),
    string("origin"),
    string("detail"),
    micros("recorded_at"),
    CheckConstraint("kind IN ('split', 'dividend', 'capital_gain')", name="kind"),
    CheckConstraint("reason IN ('late', 'restated', 'withdrawn', 'contradicted')", name="reason"),
    Index("ix_action_changes_instrument_id", "instrument_id", "id"),
    sqlite_autoincrement=True,
)

reports = Table(
    "reports",
    metadata,
    row_id(),
    ref("series_id", "series.id"),
    micros("judged_at"),
    micros("market_at"),
    string("run_id", nullable=True),
    Column("is_valid", Boolean, nullable=False),
    Column("score", Float, nullable=False),
    string("report"),  # JSON: errors, gaps, duplicates, missing columns, ...
    CheckConstraint("score >= 0 AND score <= 1", name="score"),
    Index("ix_reports_series_id", "series_id", "id"),
    Index("ix_reports_judged_at", "judged_at"),
    sqlite_autoincrement=True,
)
"""A series' report, whenever it differs from the one before."""

alerts = Table(
    "alerts",
    metadata,
    row_id(),
    string("key"),  # what it is about, such as incident:12 or check:completeness
    string("kind"),
    string("severity"),
    string("title"),
    string("body"),
    Column("weight", Float, nullable=False),  # money at risk times sessions late
    micros("raised_at"),
    micros("seen_at"),  # the last time that it was still so
    micros("told_at", nullable=True),
    micros("ended_at", nullable=True),
    micros("ended_told_at", nullable=True),
    count("attempts"),  # to send what is due next, that failed
    micros("retry_at", nullable=True),
    CheckConstraint("severity IN ('info', 'warning', 'critical')", name="severity"),
    CheckConstraint("attempts >= 0", name="counts"),
    Index(
        "uq_alerts_key",
        "key",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index("ix_alerts_raised_at", "raised_at"),
    sqlite_autoincrement=True,
)
