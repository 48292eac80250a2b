"""No bad reply harms what is stored, and each is explained: an error, a rule or a reason."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from hashlib import sha256

import numpy as np
import pytest
from sqlalchemy import select

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import fetches
from marketdata_pipeline.domain.bars import COLUMNS, labels_of
from marketdata_pipeline.domain.quarantine import Quarantined, same_bars
from marketdata_pipeline.domain.reply import Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import MarketDataError
from marketdata_pipeline.ingest.raw import to_raw
from marketdata_pipeline.ingest.settle import Listing, settle
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.quarantine import Quarantine
from marketdata_pipeline.store.verify import Verifier
from marketdata_pipeline.store.write import Committed, State, Write
from marketdata_pipeline_tests.ingest.bad_replies import Bad, every, transport
from marketdata_pipeline_tests.ingest.world import World, days, walk

DAILY, HOURLY = Series.parse("AAPL|1d"), Series.parse("AAPL|1h")
STORED = days("2024-01-02", "2024-03-09")
WHOLE = days("2024-01-02", "2024-03-16")
ASKED = days("2024-02-20", "2024-03-16")
"""Three weeks that are stored and final, and one that nobody has seen."""
QUICK = 16
"""So many quick tests would try them all; two of these are enough between two proofs."""


@dataclass
class Scene:
    """A world with final bars of a series, and what is known of it before a reply comes."""

    world: World
    series: Series

    def __post_init__(self) -> None:
        truth = {one: walk(one, WHOLE) for one in (DAILY, HOURLY)}
        self.world.provider.truth = truth
        self.world.provider.first_trade = date(2024, 1, 2)
        assert self.world.updater.update(self.series, STORED).error is None
        found = self.world.store.read_with_fetches(self.series)
        self.finals = found.index[found["state"] == State.FINAL]
        assert len(self.finals) > 40
        self.before = self.hash()

    def hash(self) -> str:
        """Of every final bar there was: labels, values, fetches and states, to the last bit."""
        found = self.world.store.read_with_fetches(self.series).loc[self.finals]
        digest = sha256(labels_of(found).tobytes())
        for name in (*COLUMNS, "fetch_id", "state"):
            digest.update(np.ascontiguousarray(found[name].to_numpy()).tobytes())
        return digest.hexdigest()

    def reply(self) -> Reply:
        """A good one."""
        self.world.clock.advance(timedelta(seconds=1))
        return self.world.provider.fetch(self.series, ASKED)

    def is_no_news(self, reply: Reply) -> bool:
        """Whether all bars of a reply are stored as they are: then nothing of it is rejected."""
        return bool(same_bars(to_raw(reply, ()).bars, self.world.store.read(self.series)).all())

    def currency(self) -> str | None:
        """What is known of the instrument."""
        instrument = self.series.instrument
        return self.world.catalog.facts([instrument])[instrument].currency

    def quarantine(self) -> dict[int, Quarantined]:
        rows = Quarantine(self.world.home.engine, self.world.clock).rows(decided=True)
        return {one.id: one for one in rows}

    def dropped(self) -> int:
        """How many rows were left out of replies, each with its rule."""
        with reading(self.world.home.engine) as connection:
            told = connection.execute(select(fetches.c.dropped)).scalars().all()
        return sum(one.count('"') // 2 for one in told)

    def explained(self, attempt: Callable[[], object]) -> list[str]:
        """What is said of an attempt: the error, dropped rows, reasons of the quarantine."""
        dropped, apart = self.dropped(), self.quarantine()
        said = []
        try:
            attempt()
        except MarketDataError as error:
            said += [f"error {error.category}: {one}" for one in str(error).splitlines()]
        more = self.dropped() - dropped
        said += [f"{more} rows dropped"] if more else []
        for number, row in self.quarantine().items():
            if number not in apart or row.times > apart[number].times:
                assert row.reason
                assert row.detail
                said.append(f"quarantine {row.reason}: {row.detail}")
        return said

    def sound(self) -> None:
        """The store agrees with itself, and a good reply mends what was lacking."""
        home = self.world.home
        verifier = Verifier(home.engine, home.bars, self.world.clock)
        assert verifier.faults(self.series) == []
        settle(self.world.store, self.reply(), [ASKED], (), Listing(currency="USD"))
        assert self.hash() == self.before
        truth = self.world.provider.truth[self.series]
        assert labels_of(self.world.store.read(self.series)).tolist() == labels_of(truth).tolist()
        assert self.world.store.coverage([self.series])[self.series].holes() == []
        assert verifier.faults(self.series) == []


class Raced(BarStore):
    """Another writer comes first, once."""

    first: Callable[[], object] | None = None

    def commit(self, write: Write, *, expected_version: int | None) -> Committed:
        if self.first is not None:
            first, self.first = self.first, None
            first()
        return super().commit(write, expected_version=expected_version)


def endure(scene: Scene, cases: Sequence[Bad], *, raced: bool = False) -> None:
    """Each of these replies is explained and leaves every final bar as it was."""
    for case in cases:
        good = scene.reply()
        bad = case.of(good)
        store = Raced(scene.world.home.engine, scene.world.home.bars, scene.world.clock)
        if raced:
            store.first = lambda good=good: settle(
                scene.world.store, good, [ASKED], (), Listing(currency="USD")
            )

        def attempt(store: BarStore = store, bad: Reply = bad) -> Committed:
            return settle(store, bad, [ASKED], (), Listing(currency="USD"))

        said = scene.explained(attempt)
        assert said or scene.is_no_news(bad), str(case)
        assert scene.hash() == scene.before, str(case)
        assert scene.currency() == "USD", str(case)
    scene.sound()


def test_there_are_enough_of_them_of_each_stage() -> None:
    stages = [one.stage for one in every()]
    assert {"hard", "gate"} == set(stages)
    assert 2 * len(stages) + 2 * len(transport()) >= 200
    assert len({str(one) for one in every()}) == len(stages)


@pytest.mark.parametrize("first", [1, 9])
def test_a_bad_reply_is_explained_and_harms_no_final_bar(world: World, first: int) -> None:
    endure(Scene(world, DAILY), every()[first::QUICK])


@pytest.mark.proof
@pytest.mark.parametrize("series", [DAILY, HOURLY], ids=str)
def test_every_bad_reply_is_explained_and_harms_no_final_bar(world: World, series: Series) -> None:
    endure(Scene(world, series), every())


def test_a_bad_reply_that_another_writer_outran_harms_no_final_bar(world: World) -> None:
    endure(Scene(world, DAILY), every()[::41], raced=True)


@pytest.mark.proof
def test_no_bad_reply_that_another_writer_outran_harms_a_final_bar(world: World) -> None:
    endure(Scene(world, DAILY), every(), raced=True)


@pytest.mark.parametrize("half", [0, 1])
def test_what_fails_on_its_way_is_explained_and_harms_no_final_bar(world: World, half: int) -> None:
    scene = Scene(world, DAILY)
    updater = replace(world.updater, retry_waits=())
    for name, error in list(transport().items())[half::2]:
        world.provider.failures = [error] * 9
        outcome = updater.update(DAILY, WHOLE)
        assert outcome.error is error, name
        (stored,) = world.catalog.summaries([DAILY])
        assert (stored.error_category, stored.error_message) == (error.category, str(error))
        assert scene.hash() == scene.before
    world.provider.failures = []
    assert updater.update(DAILY, WHOLE).error is None
    scene.sound()
