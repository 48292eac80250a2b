from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import fetches
from marketdata_pipeline.domain.ranges import MICROSECOND, from_micros
from marketdata_pipeline.errors import ContractViolation
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.compact import Compactor
from marketdata_pipeline.store.gc import Collector
from marketdata_pipeline.store.write import Committed, State
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.writes import COIN, bars_at, minutes, range_of, write_of

LABELS = minutes(0, 3)


def put(
    store: BarStore, mark: float, state: State = State.PROVISIONAL, reason: str | None = None
) -> Committed:
    version = store.versions([COIN])[COIN]
    write = replace(write_of(bars_at(LABELS, mark)), state=state, reason=reason)
    return store.commit(write, expected_version=version)


def committed_at(engine: Engine, done: Committed) -> datetime:
    with reading(engine) as connection:
        wanted = select(fetches.c.committed_at).where(fetches.c.id == done.fetch_id)
        return from_micros(connection.execute(wanted).scalar_one())


def marks(store: BarStore, as_of: datetime) -> list[float]:
    found = store.read(COIN, as_of=as_of)
    return [float(one) for one in found["volume"]]


def test_as_of_an_instant_a_series_has_what_was_committed_by_then(
    store: BarStore, engine: Engine, clock: FrozenClock
) -> None:
    instants = []
    for mark in (1, 2, 3):
        instants.append(committed_at(engine, put(store, mark)))
        clock.advance(timedelta(minutes=1))
    assert [marks(store, at) for at in instants] == [[1] * 3, [2] * 3, [3] * 3]
    assert marks(store, instants[0] - MICROSECOND) == []
    assert marks(store, instants[1] - MICROSECOND) == [1] * 3
    some = store.read(COIN, range_of(bars_at(LABELS[1:2])), as_of=instants[1])
    assert some["volume"].tolist() == [2]
    assert some.attrs == {"as_of": instants[1].isoformat(), "superseded_since": None}


def test_after_merging_superseded_bars_are_there_until_their_time_is_over(
    store: BarStore, engine: Engine, folder: Path, clock: FrozenClock
) -> None:
    instants = []
    for mark in (1, 2):
        instants.append(committed_at(engine, put(store, mark)))
        clock.advance(timedelta(minutes=1))
    Compactor(engine, folder, clock).compact(COIN)
    assert [marks(store, at) for at in instants] == [[1] * 3, [2] * 3]
    Collector(engine, folder, clock, kept=timedelta(0)).collect()
    assert marks(store, instants[1]) == [2] * 3
    found = store.read(COIN, as_of=instants[0])
    assert found.empty
    since = datetime.fromisoformat(found.attrs["superseded_since"])
    assert since >= instants[1], "it says from when on nothing is lacking"


def test_a_final_bar_has_the_value_that_it_had_even_after_merging_and_collecting(
    store: BarStore, engine: Engine, folder: Path, clock: FrozenClock
) -> None:
    put(store, 1)
    clock.advance(timedelta(minutes=1))
    instants = []
    for mark, reason in ((2, None), (3, "the exchange corrected it"), (4, "and again")):
        instants.append(committed_at(engine, put(store, mark, State.FINAL, reason)))
        clock.advance(timedelta(minutes=1))
    Compactor(engine, folder, clock).compact(COIN)
    Collector(engine, folder, clock, kept=timedelta(0)).collect()
    assert [marks(store, at) for at in instants] == [[2] * 3, [3] * 3, [4] * 3]


def test_a_change_of_final_bars_is_journalled_with_both_values_and_fetches(
    store: BarStore, engine: Engine
) -> None:
    first = put(store, 1, State.FINAL)
    second = put(store, 2, State.FINAL, "the exchange corrected it")
    journal = store.restatements(COIN)
    assert [one.ts for one in journal] == [from_micros(int(label)) for label in LABELS]
    before, after = (bars_at(LABELS, mark) for mark in (1, 2))
    assert [one.old for one in journal] == list(before.itertuples(index=False, name=None))
    assert [one.new for one in journal] == list(after.itertuples(index=False, name=None))
    assert {(one.old_fetch, one.new_fetch) for one in journal} == {
        (first.fetch_id, second.fetch_id)
    }
    assert {one.reason for one in journal} == {"the exchange corrected it"}
    assert {one.recorded_at for one in journal} == {committed_at(engine, second)}
    within = range_of(bars_at(LABELS[1:2]))
    assert [one.ts for one in store.restatements(COIN, within)] == [journal[1].ts]


def test_only_what_differs_is_journalled_and_written(store: BarStore) -> None:
    first = put(store, 1, State.FINAL)
    bars = bars_at(LABELS, 1)
    changed = bars.assign(close=[*bars["close"][:2], 99.0], high=[*bars["high"][:2], 99.0])
    write = replace(write_of(changed), state=State.FINAL, reason="a late trade")
    done = store.commit(write, expected_version=1)
    assert [one.new[3] for one in store.restatements(COIN)] == [99.0]
    ids = store.read_with_fetches(COIN)["fetch_id"].tolist()
    assert ids == [first.fetch_id, first.fetch_id, done.fetch_id]


def test_a_final_bar_changes_for_a_reason_only_and_never_back_to_provisional(
    store: BarStore,
) -> None:
    put(store, 1, State.FINAL)
    with pytest.raises(ContractViolation, match=r"3 final bars would change, .* needs a reason"):
        put(store, 2, State.FINAL)
    with pytest.raises(ContractViolation, match="never becomes provisional"):
        put(store, 1)
    assert store.read(COIN)["volume"].tolist() == [1] * 3
    assert store.versions([COIN]) == {COIN: 1}
    assert store.restatements(COIN) == []


def test_of_an_unknown_series_nothing_was_ever_known(store: BarStore) -> None:
    assert store.read(COIN, as_of=datetime(2024, 1, 1, tzinfo=UTC)).empty
    assert store.restatements(COIN) == []


def test_a_clock_that_was_set_back_makes_no_answer_wrong(
    store: BarStore, engine: Engine, folder: Path, clock: FrozenClock
) -> None:
    first = committed_at(engine, put(store, 1))
    clock.advance(timedelta(hours=2))
    second = committed_at(engine, put(store, 2))
    clock.advance(-timedelta(hours=1))
    Compactor(engine, folder, clock).compact(COIN)
    Collector(engine, folder, clock, kept=-timedelta(hours=3)).collect()
    found = store.read(COIN, as_of=second - timedelta(minutes=30))
    since = datetime.fromisoformat(found.attrs["superseded_since"])
    assert found.empty
    assert first < second <= since, "it says that what was replaced is lacking"
