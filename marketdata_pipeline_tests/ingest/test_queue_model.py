"""Whatever happens to the queue in whichever order, each row is done once, and by one run at once.

The database is a real SQLite file; a run is what holds claims, and may die at any moment.
"""

import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from marketdata_pipeline import errors
from marketdata_pipeline.database.engine import open_engine
from marketdata_pipeline.domain.backfill import Backfill, Status
from marketdata_pipeline.domain.errand import Priority
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import MarketDataError
from marketdata_pipeline.ingest.queue import Batch, Queue, Room
from marketdata_pipeline.store.backfills import Wanted
from marketdata_pipeline_tests.databases import lay_catalog
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.queued import all_rows, day

_ENDED = {Status.COMPLETED, Status.FAILED}
_WISHES = st.builds(
    Wanted,
    st.sampled_from([Instrument(name) for name in "ABC"]),
    st.sampled_from([(Timeframe.D1,), (Timeframe.H1, Timeframe.D1)]),
    st.sampled_from([None, day(1), day(5)]),
    st.sampled_from([None, day(8)]),
    st.sampled_from(list(Priority)),
)
_ERRORS = st.sampled_from(
    [
        (),
        (errors.NotDone("ended"),),
        (errors.Unavailable("refused", provider="yahoo"),),
        (errors.UnknownSymbol("who", provider="yahoo"),),
        (errors.MalformedReply("cut off", provider="yahoo"),),
        (errors.MalformedReply("cut off", provider="yahoo"), errors.StoreError("full")),
    ]
)


class QueueLife(RuleBasedStateMachine):
    """Runs by their name, each with the rows that it was told are its own."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        file = Path(self.folder.name) / "catalog.sqlite"
        lay_catalog(file)
        self.engine = open_engine(f"sqlite:///{file}")
        self.clock = FrozenClock()
        self.queue = Queue(self.engine, self.clock, size=3)
        self.asked: list[Batch] = []
        self.runs: dict[str, list[Backfill]] = {}
        self.launches: dict[int, int] = {}
        self.count = 0

    def teardown(self) -> None:
        self.finish()
        self.engine.dispose()
        self.folder.cleanup()

    @rule(wanted=st.lists(_WISHES, min_size=1, max_size=4))
    def enqueue(self, wanted: list[Wanted]) -> None:
        ids = self.queue.enqueue_all(wanted)
        for one, number in zip(wanted, ids, strict=True):
            row = self.queue.task(number)
            assert row is not None
            assert row.instrument == one.instrument
            assert set(one.timeframes) <= set(row.timeframes)
            assert one.start is None or row.start is None or row.start <= one.start
            assert row.end is None or (one.end is not None and one.end <= row.end)

    @rule(urgent=st.integers(0, 2), mass=st.integers(0, 2))
    def ask(self, urgent: int, mass: int) -> None:
        known = {one.name for one in self.asked}
        found = self.queue.ask(Room(urgent, mass))
        assert len([one for one in found if one.name not in known]) <= urgent + mass
        self.asked += found

    @rule(most=st.integers(1, 4))
    def take(self, most: int) -> None:
        self.count += 1
        name = f"run {self.count}"
        self.runs[name] = self.queue.take(most, name)

    @rule(which=st.integers(0))
    def start(self, which: int) -> None:
        """Any batch that was ever asked for, stale ones too."""
        if self.asked:
            self.count += 1
            name = f"run {self.count}"
            rows = self.queue.start(self.asked[which % len(self.asked)].claims, name)
            self.runs[name] = list(rows)

    @rule(which=st.integers(0), told=_ERRORS)
    def conclude(self, which: int, told: Sequence[MarketDataError]) -> None:
        """Any row that any run ever began and has said nothing of, its own still or not."""
        begun = [(name, row) for name, rows in self.runs.items() for row in rows]
        if begun:
            name, row = begun[which % len(begun)]
            before = self.queue.task(row.id)
            self.queue.conclude(row, told)
            self.runs[name].remove(row)
            if before is not None and before.launch != row.launch:
                assert self.queue.task(row.id) == before

    @rule(which=st.integers(0), claims=st.booleans())
    def die(self, which: int, *, claims: bool) -> None:
        if self.runs:
            name = list(self.runs)[which % len(self.runs)]
            self.queue.run_died(name, [one.claim for one in self.runs[name]] if claims else ())
            if which % 2:  # it may also live on, and not know
                self.runs[name] = []

    @rule(minutes=st.sampled_from([0.5, 2, 45, 1500]))
    def wait(self, minutes: float) -> None:
        self.clock.advance(timedelta(minutes=minutes))

    @rule(which=st.integers(0))
    def renew(self, which: int) -> None:
        if self.runs:
            self.queue.renew(list(self.runs)[which % len(self.runs)])

    @rule()
    def free_lost(self) -> None:
        self.queue.free_lost()

    @rule()
    def retry(self) -> None:
        self.queue.retry()

    @invariant()
    def launches_only_rise(self) -> None:
        for one in all_rows(self.engine) if hasattr(self, "engine") else []:
            assert one.launch >= self.launches.get(one.id, 0)
            self.launches[one.id] = one.launch

    @invariant()
    def no_row_is_at_two_runs(self) -> None:
        """Of all runs that believe to have a row, one at most has its present launch."""
        if not hasattr(self, "engine"):
            return
        at = [row.claim for rows in self.runs.values() for row in rows]
        now = {one.claim for one in all_rows(self.engine)}
        held = [one for one in at if one in now]
        assert len(held) == len(set(held))

    def finish(self) -> None:
        """Workers that do what is due, as time passes: every row ends."""
        for _ in range(100):
            if all(one.status in _ENDED for one in all_rows(self.engine)):
                return
            self.queue.free_lost()
            while rows := self.queue.take(10, "the last"):
                for row in rows:
                    self.queue.conclude(row, [])
            self.clock.advance(timedelta(minutes=30))
        raise AssertionError(all_rows(self.engine))


QueueLife.TestCase.settings = hypothesis.settings(
    max_examples=10, stateful_step_count=25, deadline=None
)
TestQueueLife = QueueLife.TestCase
