import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, select, text

from marketdata_pipeline.database.engine import open_engine, reading, writing
from marketdata_pipeline.database.metadata import fetches
from marketdata_pipeline.database.migrate import upgrade
from marketdata_pipeline.domain.bars import empty, labels_of
from marketdata_pipeline.domain.ranges import TimeRange, from_micros
from marketdata_pipeline.errors import ContractViolation
from marketdata_pipeline.store import chunks
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.compact import Compactor
from marketdata_pipeline.store.gc import Collector
from marketdata_pipeline.store.write import Committed, Stale, State
from marketdata_pipeline_tests.databases import lay_catalog
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.writes import COIN, bars_at, minutes, range_of, write_of

FIRST = st.integers(0, 30)
COUNT = st.integers(1, 12)
STATE = st.sampled_from(State)
HOUSE = settings(
    stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@dataclass(frozen=True)
class Value:
    """What a label was from an instant on."""

    since: datetime
    mark: float
    state: State


class AgainstADict(RuleBasedStateMachine):
    """The store beside a plain dict of label to values, through any order of all it can do."""

    open_empty: Callable[[str], Engine]
    kept = timedelta(days=7)

    def __init__(self) -> None:
        super().__init__()
        self.place = TemporaryDirectory()
        self.engine = type(self).open_empty(self.place.name)
        self.clock = FrozenClock()
        folder = Path(self.place.name) / "bars"
        self.store = BarStore(self.engine, folder, self.clock)
        self.compactor = Compactor(self.engine, folder, self.clock)
        self.collector = Collector(self.engine, folder, self.clock, kept=self.kept)
        self.model: dict[int, list[Value]] = {}
        self.version = 0
        self.mark = 0.0
        self.instants: list[datetime] = []

    def teardown(self) -> None:
        self.engine.dispose()
        self.place.cleanup()

    @initialize(first=FIRST, count=COUNT)
    def begin(self, first: int, count: int) -> None:
        self.blind(first, count, State.PROVISIONAL)

    @rule(windows=st.lists(st.tuples(FIRST, COUNT), min_size=1, max_size=6))
    def overlay_provisional_bars(self, windows: list[tuple[int, int]]) -> None:
        for first, count in windows:
            self.overlay(first, count, State.PROVISIONAL, None)

    @rule(windows=st.lists(st.tuples(FIRST, COUNT), min_size=1, max_size=3))
    def settle(self, windows: list[tuple[int, int]]) -> None:
        for first, count in windows:
            self.overlay(first, count, State.FINAL, "settled")

    @rule(first=FIRST, count=COUNT, state=st.sampled_from(State))
    def overlay_without_a_reason(self, first: int, count: int, state: State) -> None:
        self.overlay(first, count, state, None)

    def overlay(self, first: int, count: int, state: State, reason: str | None) -> None:
        self.mark += 1
        labels = minutes(first, count)
        if state is State.PROVISIONAL and reason is None and self.mark % 3:
            labels = np.array([one for one in labels.tolist() if not self.is_final(one)])
            if not len(labels):
                return
        write = replace(write_of(bars_at(labels, self.mark)), state=state, reason=reason)
        finals = {one for one in labels.tolist() if self.is_final(one)}
        if finals and (state is State.PROVISIONAL or reason is None):
            with pytest.raises(ContractViolation):
                self.store.commit(write, expected_version=self.version)
            return
        done = self.store.commit(write, expected_version=self.version)
        assert done.rows_new == len(set(labels.tolist()) - set(self.model))
        self.enter(done, dict.fromkeys(labels.tolist(), self.mark), state)

    @rule(first=FIRST, count=COUNT, behind=st.integers(1, 2))
    def overlay_what_has_changed_since(self, first: int, count: int, behind: int) -> None:
        write = write_of(bars_at(minutes(first, count), 0))
        if behind > self.version:
            return
        with pytest.raises(Stale):
            self.store.commit(write, expected_version=self.version - behind)

    @rule(first=FIRST, count=COUNT, state=STATE)
    def blind(self, first: int, count: int, state: State) -> None:
        self.mark += 1
        labels = minutes(first, count)
        write = replace(write_of(bars_at(labels, self.mark)), state=state)
        if set(labels.tolist()) & set(self.model):
            with pytest.raises(Stale):
                self.store.commit(write, expected_version=None)
            return
        done = self.store.commit(write, expected_version=None)
        assert done.rows_new == count
        self.enter(done, dict.fromkeys(labels.tolist(), self.mark), state)

    @rule(first=FIRST, count=COUNT)
    def nothing_came(self, first: int, count: int) -> None:
        window = range_of(bars_at(minutes(first, count)))
        self.store.commit(write_of(empty(), window=window), expected_version=None)

    @rule()
    def give_the_final_bars_again(self) -> None:
        """They stay with their fetch; no version is made."""
        found = self.store.read_with_fetches(COIN)
        finals = found[found["state"] == State.FINAL]
        if finals.empty:
            return
        bars = finals.drop(columns=["fetch_id", "state"])
        write = replace(write_of(bars), state=State.FINAL)
        assert self.store.commit(write, expected_version=self.version).version == self.version

    @rule()
    def compact(self) -> None:
        self.compactor.compact(COIN)

    @rule(days=st.sampled_from([0.0, 0.01, 3.0, 8.0]))
    def collect(self, days: float) -> None:
        self.clock.advance(timedelta(days=days))
        self.collector.collect()

    @rule(first=FIRST, count=COUNT)
    def read_a_range(self, first: int, count: int) -> None:
        labels = minutes(first, count).tolist()
        found = self.store.read(COIN, range_of(bars_at(labels)))
        now = self.now()
        assert as_dict(found) == {one: now[one] for one in labels if one in now}

    @rule(rows=st.integers(0, 60))
    def read_the_tail(self, rows: int) -> None:
        now = self.now()
        kept = sorted(now)[max(0, len(now) - rows) :]
        assert as_dict(self.store.tail(COIN, rows)) == {one: now[one] for one in kept}

    @rule(at=st.integers(0, 30), first=FIRST, count=COUNT, ranged=st.booleans())
    def read_as_of(self, at: int, first: int, count: int, *, ranged: bool) -> None:
        instant = self.instants[at % len(self.instants)]
        within = range_of(bars_at(minutes(first, count))) if ranged else None
        found = self.store.read(COIN, within, as_of=instant)
        then = {label: value for label, value in self.then(instant).items() if _in(label, within)}
        told = found.attrs["superseded_since"]
        if told is None or instant >= datetime.fromisoformat(told):
            assert as_dict(found) == {label: value.mark for label, value in then.items()}
            return
        read = as_dict(found)
        assert read.items() <= {label: value.mark for label, value in then.items()}.items()
        for label, value in then.items():
            if value.state is State.FINAL or value is self.model[label][-1]:
                assert label in read

    @invariant()
    def all_is_there(self) -> None:
        found = self.store.read_with_fetches(COIN)
        assert as_dict(found) == self.now()
        assert labels_of(found).tolist() == sorted(self.model)
        states = dict(zip(labels_of(found).tolist(), found["state"].tolist(), strict=True))
        assert states == {label: values[-1].state for label, values in self.model.items()}
        assert self.store.versions([COIN]) == {COIN: self.version}

    @invariant()
    def the_journal_has_each_change_of_a_final_bar(self) -> None:
        journal = [
            (one.ts, one.old[-1], one.new[-1], one.reason) for one in self.store.restatements(COIN)
        ]
        changes = [
            (from_micros(label), old.mark, new.mark, "settled")
            for label, values in self.model.items()
            for old, new in itertools.pairwise(values)
            if old.state is State.FINAL
        ]
        assert sorted(journal) == sorted(changes)

    def enter(self, done: Committed, marks: dict[int, float], state: State) -> None:
        self.version += 1
        assert done.version == self.version
        with reading(self.engine) as connection:
            at = select(fetches.c.committed_at).where(fetches.c.id == done.fetch_id)
            since = from_micros(connection.execute(at).scalar_one())
        self.instants.append(since)
        for label, mark in marks.items():
            self.model.setdefault(label, []).append(Value(since, mark, state))
        self.clock.advance(timedelta(minutes=1))

    def is_final(self, label: int) -> bool:
        return label in self.model and self.model[label][-1].state is State.FINAL

    def now(self) -> dict[int, float]:
        return {label: values[-1].mark for label, values in self.model.items()}

    def then(self, at: datetime) -> dict[int, Value]:
        by_then = {
            label: [one for one in values if one.since <= at]
            for label, values in self.model.items()
        }
        return {label: values[-1] for label, values in by_then.items() if values}


def _in(label: int, within: TimeRange | None) -> bool:
    return within is None or within.start <= from_micros(label) < within.end


def as_dict(found: pd.DataFrame) -> dict[int, float]:
    return dict(zip(labels_of(found).tolist(), found["volume"].tolist(), strict=True))


def on_sqlite(monkeypatch: pytest.MonkeyPatch, inline: int, examples: int) -> None:
    def open_empty(place: str) -> Engine:
        lay_catalog(Path(place) / "catalog.sqlite")
        return open_engine(f"sqlite:///{place}/catalog.sqlite")

    monkeypatch.setattr(chunks, "MOST_INLINE", inline)
    monkeypatch.setattr(AgainstADict, "open_empty", staticmethod(open_empty), raising=False)
    run_state_machine_as_test(AgainstADict, settings=settings(HOUSE, max_examples=examples))


def on_postgres(monkeypatch: pytest.MonkeyPatch, url: str, examples: int) -> None:
    class OnTheServersClock(AgainstADict):
        kept = timedelta(0)  # nobody sets the server's clock: superseded bars go at once

    def open_empty(_place: str) -> Engine:
        engine = open_engine(url)
        with writing(engine) as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        upgrade(engine)
        return engine

    monkeypatch.setattr(chunks, "MOST_INLINE", 8)
    monkeypatch.setattr(OnTheServersClock, "open_empty", staticmethod(open_empty), raising=False)
    run_state_machine_as_test(OnTheServersClock, settings=settings(HOUSE, max_examples=examples))


@pytest.mark.parametrize("inline", [chunks.MOST_INLINE, 3, 8])
def test_the_store_agrees_with_a_dict(monkeypatch: pytest.MonkeyPatch, inline: int) -> None:
    on_sqlite(monkeypatch, inline, examples=5)


def test_the_store_agrees_with_a_dict_on_postgres(
    monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    on_postgres(monkeypatch, postgres_url, examples=3)


@pytest.mark.proof
@pytest.mark.parametrize("inline", [chunks.MOST_INLINE, 3, 8])
def test_the_store_agrees_with_a_dict_over_many_orders(
    monkeypatch: pytest.MonkeyPatch, inline: int
) -> None:
    on_sqlite(monkeypatch, inline, examples=80)


@pytest.mark.proof
def test_the_store_agrees_with_a_dict_over_many_orders_on_postgres(
    monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    on_postgres(monkeypatch, postgres_url, examples=30)
