"""A catalog of any revision with rows in every table, and a home around it.

Not here: any test.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from marketdata_pipeline.database.engine import open_engine, writing
from marketdata_pipeline.database.folders import make_folders
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.database.metadata import chunks
from marketdata_pipeline.database.migrate import move_within
from marketdata_pipeline.database.rows import tables_at

FILE = "AAPL%7C1d/0123456789abcdef0123456789abcdef.parquet"
CONTENT = b"what a bar file holds; an upgrade does not look"
_FETCH = {
    "series_id": 1,
    "kind": "reply",
    "provider": "yahoo",
    "origin": "simulator:recorded",
    "window_start": -(10**15),
    "window_end": 10**15,
    "basis": "raw",
    "currency": None,
    "market_at": 10,
    "fetched_at": 2**53 + 1,
    "committed_at": 12,
    "rows": 1,
    "requests": 1,
    "dropped": '[[1, "dürr"]]',
    "base_version": None,
    "run_id": "run",
    "version": 1,
    "first_ts": 0,
    "last_ts": 5,
}
_CHUNK = {
    "series_id": 1,
    "fetch_id": 1,
    "part": "all",
    "seq": 1,
    "ts_min": 0,
    "ts_max": 5,
    "rows": 1,
    "schema": 1,
    "state": 0,
    "data": bytes(range(256)),
    "path": None,
    "checksum": sha256(bytes(range(256))).hexdigest(),
    "superseded_at": None,
}
_GOVERNOR = {
    "key": "yahoo",
    "tat": 1,
    "cooldown_until": 2,
    "interval": 3,  # before revision 0005, as tau
    "tau": 4,
    "spacing": 2**40 + 1,
    "epoch": 5,
    "refusals": 6,
    "refused_at": 7,
    "granted": 8,
    "granted_at": 2**53 + 1,
    "ceiling": 9,
    "age": 10,
    "failures": 11,
    "eased_at": 12,
    "opened_until": 13,
    "probe_until": 14,
}
_REQUEST = {
    "key": "fmp/second",
    "series": "AAPL|1d",
    "priority": "urgent",
    "attempt": 2,
    "run_id": "run",
    "ending": "timeout",
    "status": 0,
    "ended_at": 2**53 + 1,
    "took": 25_000_000,
}
_VALUES = {
    f"{when}_{name}": 0.1 + 0.2
    for when in ("old", "new")
    for name in ("open", "high", "low", "close", "volume")
}
_RESTATEMENT = {
    "series_id": 1,
    "ts": 5,
    "old_fetch_id": 1,
    "new_fetch_id": 2,
    "reason": "corrected",
    "recorded_at": 7,
    **_VALUES,
}
_SERIES = {
    "instrument_id": 1,
    "version": 3,
    "rows": 2,
    "first_ts": 0,
    "last_ts": 5,
    "updated_at": 9,
    "error_category": "timeout",
    "error_message": "Zürich antwortet nicht: “…”",
    "error_at": 8,
    "shown_version": 2,
    "history_from": 1,
    "tail": 1024,
}
NAME = "0f"
_TRANSACTION = {
    "external_id": "a", "portfolio": "main", "instrument": "AAPL", "side": "buy",
    "quantity": 1 / 3, "price": 0.1, "currency": "USD", "executed_at": 2**53 + 1,
    "recorded_at": 2**53 + 3, "voided_at": None, "processed_at": None, "rejected": None,
}  # fmt: skip
_BACKFILL = {
    "instrument": "AAPL", "timeframes": "1d,1wk", "start": None, "end": None,
    "status": "in_progress", "priority": 0, "retry_after": 0, "attempts": 1, "setbacks": 2,
    "launch": 3, "batch": "1:3", "asked_at": 4, "run_id": "f00", "lease_until": 2**53 + 1,
    "error_category": "timeout", "error_message": "it did not answer", "created_at": 5,
    "updated_at": 6, "completed_at": None,
}  # fmt: skip
_QUARANTINED = {
    "series_id": 1, "status": "held", "reason": "level_shift", "detail": "100 times as high",
    "evidence": '{"ratio": 100.0}', "fingerprint": "a1", "times": 2, "provider": "yahoo",
    "origin": "simulator:recorded", "window_start": 0, "window_end": 2**53 + 1,
    "currency": "GBp", "market_at": 1, "fetched_at": 2, "run_id": "run", "rows": 1,
    "first_ts": 3, "last_ts": 3, "data": bytes(range(256)), "checksum": "b2", "actions": "[]",
    "held_at": 4, "seen_at": 5, "decided_at": None, "decided_why": None,
}  # fmt: skip
_INCIDENT = {
    "kind": "outage", "status": "open", "calendar": "XNYS", "sessions": "2026-07-24,2026-07-28",
    "timeframes": "1h,1d", "affected": 500, "lacking": 499, "expected": 520,
    "detail": "two sessions", "opened_at": 2**53 + 1, "probed_at": None, "probe_at": 5,
    "changed_at": 6, "closed_at": None, "outcome": None,
}  # fmt: skip
_ACTION_CHANGE = {
    "instrument_id": 1, "kind": "split", "reason": "restated", "old_ex_date": "2020-08-28",
    "old_numerator": "4", "old_denominator": "1", "new_ex_date": "2020-08-31",
    "new_numerator": "4" * 40, "new_denominator": "1", "provider": "yahoo", "origin": "yahoo",
    "detail": "three days later", "recorded_at": 2**53 + 1,
}  # fmt: skip
_ALERT = {
    "key": "incident:1", "kind": "incident", "severity": "warning", "title": "XNYS", "body": "…",
    "weight": 1 / 3, "raised_at": 1, "seen_at": 2**53 + 1, "told_at": None, "ended_at": None,
    "ended_told_at": None, "attempts": 1, "retry_at": 7,
}  # fmt: skip
ROWS: dict[str, list[dict[str, Any]]] = {
    "home": [
        {"id": 1, "mode": "replay", "history": "recorded", "market_start": 10, "wall_start": 20}
        | {"created_at": 30, "seed": None, "catalog": NAME}
    ],
    "governor": [_GOVERNOR],
    "meters": [
        {"key": "yahoo", "window": 3_600_000_000, "tat": 2**53 + 1, "interval": 3, "tau": 4},
        {"key": "yahoo", "window": 1_000_000, "tat": 1, "interval": 7, "tau": 0},
    ],
    "budgets": [
        {"key": "fmp/second", "zone": "America/New_York", "credits": 250, "used": 3}
        | {"until": 2**53 + 1}
    ],
    "requests": [
        {"id": 1, **_REQUEST},
        {"id": 6, **_REQUEST, "series": None, "run_id": None, "ending": "answered", "status": 200},
    ],
    "flights": [
        {"instrument": "AAPL", "holder": "host:1:0f", "until": 2**53 + 1, "ended_at": 4},
        {"instrument": "BTC-USD", "holder": "", "until": 0, "ended_at": 5},
    ],
    "instruments": [
        {"id": 1, "key": "AAPL", "asset_class": "equity", "venue": "XNYS", "currency": "USD"}
        | {"first_trade": "1980-12-12"},
        {"id": 5, "key": "BTC-USD", "asset_class": "crypto", "venue": "24/7", "currency": None}
        | {"first_trade": None},
    ],
    "tracked_instruments": [
        {"instrument_id": 1, "timeframes": "1d,1wk", "since": 5, "tracked_at": 6}
        | {"untracked_at": None, "first_tracked_at": 6, "last_tracked_at": 6, "by_hand": True}
        | {"holders": 0, "released_at": None, "last_update": None}
    ],
    "transactions": [
        {"id": 1, **_TRANSACTION},
        {"id": 2, **_TRANSACTION, "external_id": "b", "price": None, "currency": None}
        | {"voided_at": 7, "processed_at": 8, "rejected": "it is none"},
    ],
    "holdings": [
        {"portfolio": "main", "instrument": "AAPL", "quantity": 0.1, "acquired_at": 2**53 + 1}
        | {"pair": None},
    ],
    "backfill_queue": [
        {"id": 1, **_BACKFILL},
        {"id": 4, **_BACKFILL, "status": "completed", "completed_at": 2**53 + 1, "start": 3}
        | {"lease_until": None, "end": 4},
    ],
    "series": [
        {"id": 1, "key": "AAPL|1d", "timeframe": "1d", **_SERIES},
        {"id": 3, "key": "BTC-USD|1m", "timeframe": "1m", **_SERIES, "instrument_id": 5},
    ],
    "fetches": [{"id": 1, **_FETCH}, {"id": 2, **_FETCH, "version": 2, "run_id": None}],
    "chunks": [
        {"id": 1, **_CHUNK},
        {"id": 2, **_CHUNK, "seq": 2, "superseded_at": 99},
        {"id": 4, **_CHUNK, "data": None, "path": FILE, "checksum": sha256(CONTENT).hexdigest()},
    ],
    "coverage": [
        {"series_id": 1, "start": 0, "end": 5, "kind": "hole", "recheck_at": 9, "tries": 1}
        | {"since": 2**53 + 1}
    ],
    "actions": [
        {"instrument_id": 1, "ex_date": "2020-08-31", "kind": "split", "numerator": "4" * 40}
        | {"denominator": "1", "fetch_id": 1}
    ],
    "action_coverage": [{"instrument_id": 1, "start": 0, "end": 5}],
    "quality": [
        {"series_id": 1, "rule": "completeness", "passed": True, "score": 1 / 3, "judged_at": 4}
        | {"detail": "2 of 6"},
        {"series_id": 3, "rule": "completeness", "passed": False, "score": 0.0, "judged_at": 4}
        | {"detail": ""},
    ],
    "restatements": [{"id": 1, **_RESTATEMENT}],
    "quarantine": [
        {"id": 1, **_QUARANTINED},
        {"id": 3, **_QUARANTINED, "fingerprint": "c3", "status": "dropped", "rows": 0}
        | {"first_ts": None, "last_ts": None, "data": None, "decided_at": 8, "decided_why": "no"},
    ],
    "incidents": [
        {"id": 1, **_INCIDENT},
        {"id": 2, **_INCIDENT, "status": "closed", "closed_at": 9, "outcome": "healed"},
    ],
    "closures": [
        {"calendar": "XHKG", "session": "2023-09-08", "opens": None, "closes": None}
        | {"reason": "typhoon", "evidence": "none of 40 series has it", "made_at": 2**53 + 1},
    ],
    "action_changes": [
        {"id": 1, **_ACTION_CHANGE},
        {"id": 4, **_ACTION_CHANGE, "old_ex_date": None, "old_numerator": None}
        | {"old_denominator": None, "reason": "late"},
    ],
    "reports": [
        {"id": 1, "series_id": 1, "judged_at": 4, "market_at": 2**53 + 1, "run_id": None}
        | {"is_valid": False, "score": 1 / 3, "report": '{"gaps": []}'},
    ],
    "alerts": [
        {"id": 1, **_ALERT},
        {"id": 2, **_ALERT, "ended_at": 8, "told_at": 3},
    ],
    "retired_files": [{"path": FILE, "retired_at": 3}],
}
"""Values that a copy could spoil: wide numbers, fractions, bytes, letters, gaps between ids."""
GIVEN = 9
"""The highest id that each table with counted ids gave; its row is gone again."""


def fill(connection: Connection, revision: str) -> None:
    """Put rows into the empty tables of a revision; in each the last id given is that of no row."""
    tables = tables_at(revision)
    for table in tables.all:
        rows = [{name: row[name] for name in table.c.keys()} for row in ROWS[table.name]]  # noqa: SIM118
        connection.execute(insert(table), rows)
        if table.name in tables.counted:
            named = {one: "GONE" for one in ("key", "external_id", "fingerprint") if one in table.c}
            gone = {**rows[-1], "id": GIVEN, **named}
            connection.execute(insert(table), [gone])
            if connection.dialect.name == "postgresql":
                raise_sequence = f"SELECT setval('{table.name}_id_seq', {GIVEN})"
                connection.exec_driver_sql(raise_sequence)
            connection.execute(delete(table).where(table.c.id == GIVEN))


def old_home(folder: Path, database_url: str | None, revision: str) -> None:
    """A home as an earlier version of the project left it, with one bar file."""
    make_folders(folder, [])
    (folder / "bars" / FILE).parent.mkdir()
    (folder / "bars" / FILE).write_bytes(CONTENT)
    engine = open_engine(database_url or f"sqlite:///{folder / 'catalog.sqlite'}")
    with writing(engine) as connection:
        move_within(connection, revision)
        fill(connection, revision)
    engine.dispose()


def as_earlier_versions_wrote(home: Home) -> None:
    """Have the catalog tell of its chunks what earlier versions would, which had one form only."""
    with writing(home.engine) as connection:
        for row in connection.execute(select(chunks)).all():
            data = row.data or (home.bars / row.path).read_bytes()
            told = {"schema": 1, "checksum": sha256(data).hexdigest()}
            connection.execute(update(chunks).where(chunks.c.id == row.id).values(told))
