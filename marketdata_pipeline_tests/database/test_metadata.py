from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Engine, ForeignKey, Table, delete, insert, text

from marketdata_pipeline.database.doubting import (
    action_changes,
    alerts,
    closures,
    incidents,
    quarantine,
    reports,
)
from marketdata_pipeline.database.engine import open_engine, writing
from marketdata_pipeline.database.governing import budgets, flights, governor, meters, requests
from marketdata_pipeline.database.happening import backfill_queue, transactions
from marketdata_pipeline.database.metadata import (
    actions,
    chunks,
    coverage,
    fetches,
    home,
    instruments,
    metadata,
    restatements,
    series,
)
from marketdata_pipeline.domain.bars import COLUMNS
from marketdata_pipeline.errors import StoreError

INSTRUMENT = {"id": 1, "key": "AAPL", "asset_class": "equity", "venue": "XNYS"}
SERIES = {"id": 1, "key": "AAPL|1d", "instrument_id": 1, "timeframe": "1d"}
FETCH = {
    "id": 1,
    "series_id": 1,
    "kind": "reply",
    "provider": "yahoo",
    "origin": "yahoo",
    "window_start": 0,
    "window_end": 10,
    "basis": "raw",
    "market_at": 10,
    "fetched_at": 10,
    "committed_at": 10,
    "rows": 1,
    "requests": 1,
    "dropped": "[]",
}
CHUNK = {
    "series_id": 1,
    "fetch_id": 1,
    "part": "all",
    "seq": 1,
    "ts_min": 0,
    "ts_max": 0,
    "rows": 1,
    "schema": 1,
    "state": 0,
    "data": b"x",
    "checksum": "c",
}
SPAN = {"series_id": 1, "start": 0, "end": 10, "kind": "answered"}
LIVE = {"id": 1, "mode": "live", "created_at": 0}
ACTION = {
    "instrument_id": 1,
    "ex_date": "2020-08-31",
    "kind": "split",
    "numerator": "4",
    "denominator": "1",
    "fetch_id": 1,
}
RESTATEMENT = {
    "series_id": 1,
    "ts": 0,
    "old_fetch_id": 1,
    "new_fetch_id": 1,
    **{f"{when}_{name}": 1.0 for when in ("old", "new") for name in COLUMNS},
    "reason": "settled",
    "recorded_at": 10,
}
GOVERNOR = {"key": "yahoo"} | {one.name: 0 for one in governor.columns if one.name != "key"}
METER = {"key": "yahoo", "window": 60, "tat": 0, "interval": 1, "tau": 0}
BUDGET = {"key": "fmp/second", "zone": "UTC", "credits": 1, "used": 0, "until": 0}
REQUEST = {
    "key": "yahoo",
    "priority": "held",
    "attempt": 1,
    "ending": "answered",
    "status": 200,
    "ended_at": 10,
    "took": 0,
}
FLIGHT = {"instrument": "AAPL", "holder": "", "until": 0, "ended_at": 0}

TRANSACTION = {
    "external_id": "a", "portfolio": "main", "instrument": "AAPL", "side": "buy", "quantity": 2.5,
    "executed_at": 10**15, "recorded_at": 10**15,
}  # fmt: skip
BACKFILL = {
    "instrument": "AAPL", "timeframes": "1d", "status": "pending", "priority": 0,
    "retry_after": 0, "attempts": 0, "setbacks": 0, "launch": 0, "created_at": 1, "updated_at": 1,
}  # fmt: skip
QUARANTINED = {
    "series_id": 1, "status": "held", "reason": "level_shift", "detail": "x", "evidence": "{}",
    "fingerprint": "a", "times": 1, "provider": "yahoo", "origin": "yahoo", "window_start": 0,
    "window_end": 1, "market_at": 1, "fetched_at": 1, "rows": 1, "first_ts": 0, "last_ts": 0,
    "data": b"x", "checksum": "c", "actions": "[]", "held_at": 1, "seen_at": 1,
}  # fmt: skip
INCIDENT = {
    "kind": "outage", "status": "open", "calendar": "XNYS", "sessions": "2026-07-24",
    "timeframes": "1d", "affected": 5, "lacking": 5, "expected": 9, "detail": "x",
    "opened_at": 1, "changed_at": 1,
}  # fmt: skip
CLOSURE = {
    "calendar": "XHKG", "session": "2023-09-08", "reason": "typhoon", "evidence": "x",
    "made_at": 1,
}  # fmt: skip
CHANGE = {
    "instrument_id": 1, "kind": "split", "reason": "late", "new_ex_date": "2020-08-31",
    "new_numerator": "4", "new_denominator": "1", "provider": "yahoo", "origin": "yahoo",
    "detail": "x", "recorded_at": 1,
}  # fmt: skip
REPORT = {
    "series_id": 1, "judged_at": 1, "market_at": 1, "is_valid": True, "score": 1.0,
    "report": "{}",
}  # fmt: skip
ALERT = {
    "key": "daemon", "kind": "health", "severity": "critical", "title": "x", "body": "x",
    "weight": 0.0, "raised_at": 1, "seen_at": 1, "attempts": 0,
}  # fmt: skip
CANNOT_BE: list[tuple[Table, Mapping[str, Any], Mapping[str, Any]]] = [
    (home, LIVE, {"id": 2}),
    (home, LIVE, {"mode": "both"}),
    (home, LIVE, {"mode": "replay"}),
    (home, LIVE, {"history": "recorded"}),
    (instruments, {**INSTRUMENT, "id": 2, "key": "MSFT"}, {"key": "AAPL"}),
    (series, {**SERIES, "id": 2, "key": "AAPL|1h"}, {"key": "AAPL|1d"}),
    (series, {**SERIES, "id": 2, "key": "AAPL|1h"}, {"instrument_id": 99}),
    (series, {**SERIES, "id": 2, "key": "AAPL|1h"}, {"first_ts": 2, "last_ts": 1}),
    (series, {**SERIES, "id": 2, "key": "AAPL|1h"}, {"rows": -1}),
    (fetches, {**FETCH, "id": 2}, {"kind": "guess"}),
    (fetches, {**FETCH, "id": 2}, {"kind": "derived"}),
    (fetches, {**FETCH, "id": 2}, {"base_version": 1}),
    (fetches, {**FETCH, "id": 2}, {"window_end": 0}),
    (fetches, {**FETCH, "id": 2}, {"requests": -1}),
    (chunks, CHUNK, {"ts_max": -1}),
    (chunks, CHUNK, {"rows": 0}),
    (chunks, CHUNK, {"path": "both"}),
    (chunks, CHUNK, {"data": None}),
    (chunks, CHUNK, {"fetch_id": 99}),
    (coverage, SPAN, {"end": 0}),
    (coverage, SPAN, {"kind": "maybe"}),
    (coverage, SPAN, {"kind": "hole"}),
    (restatements, RESTATEMENT, {"new_fetch_id": 99}),
    (actions, ACTION, {"kind": "merger"}),
    (actions, ACTION, {"fetch_id": 99}),
    *(
        (governor, GOVERNOR, {name: -1})
        for name in ("spacing", "ceiling", "age", "refusals", "granted", "failures")
    ),
    (governor, GOVERNOR, {"tat": None}),
    (meters, METER, {"interval": 0}),
    (meters, METER, {"tau": -1}),
    (budgets, BUDGET, {"credits": 0}),
    (budgets, BUDGET, {"used": -1}),
    (requests, REQUEST, {"took": -1}),
    (requests, REQUEST, {"attempt": 0}),
    (requests, REQUEST, {"ending": None}),
    (flights, FLIGHT, {"holder": None}),
    (transactions, TRANSACTION, {"side": "gift"}),
    (transactions, TRANSACTION, {"quantity": 0}),
    (transactions, TRANSACTION, {"quantity": float("inf")}),
    (transactions, TRANSACTION, {"price": -1}),
    (transactions, TRANSACTION, {"executed_at": 1_600_000_000}),
    (transactions, TRANSACTION, {"executed_at": 1_600_000_000_000}),
    (transactions, TRANSACTION, {"external_id": ""}),
    (transactions, TRANSACTION, {"portfolio": None}),
    (transactions, TRANSACTION, {"instrument": "A" * 201}),
    (transactions, TRANSACTION, {"currency": "US dollars"}),
    (backfill_queue, BACKFILL, {"status": "done"}),
    (backfill_queue, BACKFILL, {"status": "completed"}),
    (backfill_queue, BACKFILL, {"status": "in_progress"}),
    (backfill_queue, BACKFILL, {"start": 5, "end": 5}),
    (backfill_queue, BACKFILL, {"priority": 4}),
    (backfill_queue, BACKFILL, {"attempts": -1}),
    (coverage, SPAN, {"kind": "provisional"}),
    (quarantine, QUARANTINED, {"status": "forgotten"}),
    (quarantine, QUARANTINED, {"status": "dropped"}),
    (quarantine, QUARANTINED, {"data": None}),
    (quarantine, QUARANTINED, {"times": 0}),
    (quarantine, QUARANTINED, {"window_end": 0}),
    (incidents, INCIDENT, {"kind": "rumour"}),
    (incidents, INCIDENT, {"status": "closed"}),
    (incidents, INCIDENT, {"lacking": 6}),
    (closures, CLOSURE, {"opens": 5}),
    (closures, CLOSURE, {"opens": 5, "closes": 5}),
    (action_changes, CHANGE, {"reason": "mood"}),
    (action_changes, CHANGE, {"kind": "merger"}),
    (reports, REPORT, {"score": 1.5}),
    (alerts, ALERT, {"severity": "loud"}),
    (alerts, ALERT, {"attempts": -1}),
]
"""A table, a row that it takes, and what turns that row into one that it refuses."""


@pytest.fixture
def filled(engine: Engine) -> Engine:
    with writing(engine) as connection:
        for table, row in ((instruments, INSTRUMENT), (series, SERIES), (fetches, FETCH)):
            connection.execute(insert(table).values(row))
    return engine


def test_the_database_refuses_rows_that_cannot_be(filled: Engine) -> None:
    taken = []
    for table, good, wrong in CANNOT_BE:
        try:
            with writing(filled) as connection:
                connection.execute(insert(table).values({**good, **wrong}))
        except StoreError:
            continue
        taken.append((table.name, wrong))
    assert taken == []


def test_the_same_rows_without_the_fault_are_taken(filled: Engine) -> None:
    for table, good, _ in CANNOT_BE:
        with pytest.raises(ZeroDivisionError), writing(filled) as connection:  # noqa: PT012
            connection.execute(insert(table).values(dict(good)))
            raise ZeroDivisionError  # rolled back, so that the next is not a duplicate


@pytest.mark.parametrize(
    "table", [one for one in metadata.sorted_tables if "id" in one.c and one is not home]
)
def test_the_id_of_a_deleted_row_is_never_given_again(
    catalog_url: str, engine: Engine, table: Table
) -> None:
    rows: dict[str, list[dict[str, Any]]] = {
        "instruments": [INSTRUMENT, {**INSTRUMENT, "key": "MSFT"}],
        "series": [SERIES, {**SERIES, "key": "AAPL|1h"}],
        "fetches": [FETCH, FETCH],
        "chunks": [CHUNK, CHUNK],
        "restatements": [RESTATEMENT, RESTATEMENT],
        "requests": [REQUEST, REQUEST],
        "transactions": [TRANSACTION, {**TRANSACTION, "external_id": "b"}],
        "backfill_queue": [BACKFILL, BACKFILL],
        "quarantine": [QUARANTINED, {**QUARANTINED, "fingerprint": "b"}],
        "incidents": [INCIDENT, INCIDENT],
        "action_changes": [CHANGE, CHANGE],
        "reports": [REPORT, REPORT],
        "alerts": [ALERT, {**ALERT, "key": "disk"}],
    }
    first, second = ({**row} for row in rows[table.name])
    first.pop("id", None)
    second.pop("id", None)
    with writing(engine) as connection:
        if catalog_url.startswith("sqlite"):
            connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        for parent, row in ((instruments, INSTRUMENT), (series, SERIES), (fetches, FETCH)):
            if parent is table:
                break
            connection.execute(insert(parent).values(row))
        old = connection.execute(insert(table).values(first).returning(table.c.id)).scalar_one()
        connection.execute(delete(table).where(table.c.id == old))
        new = connection.execute(insert(table).values(second).returning(table.c.id)).scalar_one()
    assert new > old


def test_a_url_of_any_engine_knows_all_tables(database_url: str) -> None:
    engine = open_engine(database_url)
    with writing(engine) as connection:
        metadata.create_all(connection)
        metadata.drop_all(connection)
    engine.dispose()


@pytest.mark.parametrize(
    "reference",
    [one for table in metadata.sorted_tables for one in sorted(table.foreign_keys, key=str)],
    ids=lambda one: str(one.parent),
)
def test_deleting_a_row_finds_those_that_refer_to_it_by_an_index(reference: ForeignKey) -> None:
    table = reference.parent.table
    leading = [next(iter(index.columns)) for index in table.indexes]
    assert reference.parent in [*leading, next(iter(table.primary_key.columns))]
