from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from marketdata_pipeline.database.engine import open_engine
from marketdata_pipeline.database.migrate import upgrade
from marketdata_pipeline.domain.bars import empty, labels_of
from marketdata_pipeline.store import chunks
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.write import Stale
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.writes import COIN, bars_at, minutes, range_of, write_of

FIRST = st.integers(0, 40)
COUNT = st.integers(1, 12)


class AgainstADict(RuleBasedStateMachine):
    """The store beside a plain dict of label to mark, through any order of writes and reads."""

    def __init__(self) -> None:
        super().__init__()
        self.place = TemporaryDirectory()
        self.engine = open_engine(f"sqlite:///{self.place.name}/catalog.sqlite")
        upgrade(self.engine)
        self.store = BarStore(self.engine, Path(self.place.name) / "bars", FrozenClock())
        self.model: dict[int, float] = {}
        self.version = 0
        self.mark = 0.0

    def teardown(self) -> None:
        self.engine.dispose()
        self.place.cleanup()

    @rule(first=FIRST, count=COUNT, behind=st.integers(0, 1))
    def overlay(self, first: int, count: int, behind: int) -> None:
        self.mark += 1
        labels = minutes(first, count)
        write = write_of(bars_at(labels, self.mark))
        if behind > self.version:
            return
        if behind:
            with pytest.raises(Stale):
                self.store.commit(write, expected_version=self.version - behind)
            return
        done = self.store.commit(write, expected_version=self.version)
        assert done.rows_new == len(set(labels.tolist()) - set(self.model))
        self.version += 1
        assert done.version == self.version
        self.model |= dict.fromkeys(labels.tolist(), self.mark)

    @rule(first=FIRST, count=COUNT)
    def blind(self, first: int, count: int) -> None:
        self.mark += 1
        labels = minutes(first, count)
        write = write_of(bars_at(labels, self.mark))
        if set(labels.tolist()) & set(self.model):
            with pytest.raises(Stale):
                self.store.commit(write, expected_version=None)
            return
        assert self.store.commit(write, expected_version=None).rows_new == count
        self.version += 1
        self.model |= dict.fromkeys(labels.tolist(), self.mark)

    @rule(first=FIRST, count=COUNT)
    def nothing_came(self, first: int, count: int) -> None:
        window = range_of(bars_at(minutes(first, count)))
        self.store.commit(write_of(empty(), window=window), expected_version=None)

    @rule(first=FIRST, count=COUNT)
    def read_a_range(self, first: int, count: int) -> None:
        labels = minutes(first, count).tolist()
        found = self.store.read(COIN, range_of(bars_at(labels)))
        expected = {one: self.model[one] for one in labels if one in self.model}
        assert self.as_dict(found) == expected

    @rule(rows=st.integers(0, 60))
    def read_the_tail(self, rows: int) -> None:
        kept = sorted(self.model)[max(0, len(self.model) - rows) :]
        assert self.as_dict(self.store.tail(COIN, rows)) == {one: self.model[one] for one in kept}

    @invariant()
    def all_is_there(self) -> None:
        found = self.store.read(COIN)
        assert self.as_dict(found) == self.model
        assert labels_of(found).tolist() == sorted(self.model)
        assert self.store.versions([COIN]) == {COIN: self.version}

    def as_dict(self, found: pd.DataFrame) -> dict[int, float]:
        return dict(zip(labels_of(found).tolist(), found["volume"].tolist(), strict=True))


@pytest.mark.parametrize("inline", [chunks.MOST_INLINE, 3])
def test_the_store_agrees_with_a_dict(monkeypatch: pytest.MonkeyPatch, inline: int) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    monkeypatch.setattr(chunks, "MOST_INLINE", inline)
    few = settings(max_examples=15, stateful_step_count=15)
    run_state_machine_as_test(AgainstADict, settings=few)
