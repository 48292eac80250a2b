"""What is kept apart, in the catalog of either database."""

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, update

from marketdata_pipeline.database.doubting import quarantine as table
from marketdata_pipeline.database.engine import writing
from marketdata_pipeline.database.home import open_home
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.bars import COLUMNS, empty, frame
from marketdata_pipeline.domain.quarantine import (
    ANSWERED_SINCE,
    Decision,
    QuarantineStatus,
    Suspect,
    same_bars,
)
from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.errors import StoreError
from marketdata_pipeline.store.backup import take_backup
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.quarantine import Quarantine
from marketdata_pipeline.store.release import Releaser
from marketdata_pipeline.store.restore import restore_backup
from marketdata_pipeline.store.tracking import Tracked, Tracking
from marketdata_pipeline.store.verify import Verifier
from marketdata_pipeline.store.write import Apart, Write
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.kept import Registered, filled_home
from marketdata_pipeline_tests.store.writes import (
    COIN,
    STOCK,
    bars_at,
    minutes,
    range_of,
    write_of,
)

ODD = bars_at(minutes(0, 3), 7)
PAID = Action(date(2024, 1, 2), ActionKind.DIVIDEND, Fraction(99, 4))
LEVEL = Finding("level_shift", range_of(ODD), "100 times what is stored", {"factor": 100.0})


@pytest.fixture
def quarantine(engine: Engine, clock: FrozenClock) -> Quarantine:
    return Quarantine(engine, clock)


def apart(*held: Suspect, decided: tuple[Decision, ...] = ()) -> Write:
    """A reply that brought nothing but what is kept apart."""
    write = write_of(empty(), COIN, window=range_of(ODD))
    return replace(write, apart=Apart(held, decided=decided), coverage=lambda before: before)


def hold(store: BarStore, *held: Suspect) -> None:
    store.commit(apart(*held), expected_version=None)


def test_what_is_held_comes_back_as_it_was(store: BarStore, quarantine: Quarantine) -> None:
    write = apart(Suspect(LEVEL, ODD, (PAID,), "GBp"))
    committed = store.commit(write, expected_version=None)
    assert (committed.brought, committed.rows, committed.version) == (False, 0, 0)
    (row,) = quarantine.rows()
    kept = quarantine.get(row.id)
    assert kept is not None
    assert kept.row == row
    pd.testing.assert_frame_equal(kept.bars, ODD, check_exact=True, check_freq=False)
    assert (row.series, row.status, row.reason) == (COIN, QuarantineStatus.HELD, "level_shift")
    assert (row.detail, row.evidence) == ("100 times what is stored", {"factor": 100.0})
    assert (row.times, row.rows, row.actions, row.currency) == (1, 3, (PAID,), "GBp")
    assert (row.first, row.last) == (ODD.index[0], ODD.index[-1])
    fetch = write.fetch
    assert (row.provider, row.origin, row.window) == (fetch.provider, fetch.origin, fetch.window)
    assert (row.market_at, row.fetched_at) == (fetch.market_at, fetch.fetched_at)
    assert (row.decided_at, row.decided_why) == (None, None)
    assert store.read(COIN).empty


def test_the_same_again_is_the_same_row_and_anything_else_another(
    store: BarStore, quarantine: Quarantine, clock: FrozenClock
) -> None:
    suspect = Suspect(LEVEL, ODD, (PAID,))
    hold(store, suspect)
    clock.advance(timedelta(hours=1))
    hold(store, suspect)
    (row,) = quarantine.rows()
    assert row.times == 2
    assert row.seen_at >= row.held_at
    for other in (
        replace(suspect, bars=ODD.iloc[:2]),
        replace(suspect, bars=ODD.assign(close=ODD["close"] + 0.01)),
        replace(suspect, actions=()),
        replace(suspect, finding=replace(LEVEL, rule="wrong_symbol")),
    ):
        hold(store, other)
    assert [one.times for one in quarantine.rows()] == [2, 1, 1, 1, 1]
    assert quarantine.held() == 5
    assert [one.row.id for one in store.quarantined(COIN)] == [one.id for one in quarantine.rows()]
    assert store.quarantined(STOCK) == []


def test_a_part_may_hold_actions_only(store: BarStore, quarantine: Quarantine) -> None:
    hold(store, Suspect(replace(LEVEL, rule="impossible_dividend"), actions=(PAID,)))
    (row,) = quarantine.rows()
    kept = quarantine.get(row.id)
    assert kept is not None
    assert kept.bars.empty
    assert (row.rows, row.first, row.last, row.actions) == (0, None, None, (PAID,))


def test_a_part_is_judged_once_but_what_was_dropped_may_be_released(
    store: BarStore, quarantine: Quarantine
) -> None:
    hold(store, Suspect(LEVEL, ODD))
    (row,) = quarantine.rows()
    drop = Decision(row.id, QuarantineStatus.DROPPED, "pence")
    release = Decision(row.id, QuarantineStatus.RELEASED, "right after all")
    assert quarantine.decide(drop)
    assert not quarantine.decide(drop)
    assert quarantine.rows() == []
    (gone,) = quarantine.rows(decided=True)
    assert (gone.status, gone.decided_why) == (QuarantineStatus.DROPPED, "pence")
    assert gone.decided_at is not None
    assert quarantine.decide(release)
    assert not quarantine.decide(drop)
    assert not quarantine.decide(replace(release, id=row.id + 1))
    assert quarantine.get(row.id + 1) is None


def test_what_nobody_judged_is_held_again_when_it_comes_again(
    store: BarStore, quarantine: Quarantine
) -> None:
    hold(store, Suspect(LEVEL, ODD))
    (row,) = quarantine.rows()
    closed = Decision(row.id, QuarantineStatus.DROPPED, ANSWERED_SINCE)
    store.commit(apart(decided=(closed,)), expected_version=None)
    assert quarantine.held() == 0
    hold(store, Suspect(LEVEL, ODD))
    (again,) = quarantine.rows()
    assert (again.id, again.times, again.decided_why) == (row.id, 2, None)
    assert quarantine.decide(replace(closed, why="pence"))
    hold(store, Suspect(LEVEL, ODD))
    assert quarantine.held() == 0, "a person has judged it"
    (gone,) = quarantine.rows(decided=True)
    assert (gone.times, gone.decided_why) == (3, "pence")


def test_a_write_that_fails_keeps_nothing_apart(store: BarStore, quarantine: Quarantine) -> None:
    def broken(_: object) -> object:
        raise ZeroDivisionError

    write = replace(apart(Suspect(LEVEL, ODD)), coverage=broken)  # type: ignore[arg-type]
    with pytest.raises(ZeroDivisionError):
        store.commit(write, expected_version=None)
    assert quarantine.rows(decided=True) == []


def test_damaged_bars_are_an_error_and_a_fault_of_the_store(
    store: BarStore, quarantine: Quarantine, engine: Engine, folder: Path, clock: FrozenClock
) -> None:
    hold(store, Suspect(LEVEL, ODD))
    (row,) = quarantine.rows()
    verifier = Verifier(engine, folder, clock)
    assert verifier.faults(COIN) == []
    with writing(engine) as connection:
        connection.execute(update(table).values(rows=2))
    (fault,) = verifier.faults(COIN)
    said = f"quarantine {row.id} holds other bars than the catalog says"
    assert (fault.kind, fault.text) == ("quarantine", said)
    with writing(engine) as connection:
        connection.execute(update(table).values(data=b"BAR1 and nothing more"))
    with pytest.raises(StoreError, match=f"quarantine {row.id} is damaged"):
        quarantine.get(row.id)
    (fault,) = verifier.faults(COIN)
    assert fault.kind == "quarantine"
    assert "is damaged" in fault.text


def test_with_an_instrument_that_is_long_untracked_its_quarantine_goes(
    store: BarStore, quarantine: Quarantine, engine: Engine, clock: FrozenClock
) -> None:
    tracking = Tracking(engine, clock)
    tracking.put(Tracked(COIN.instrument, (COIN.timeframe,)))
    hold(store, Suspect(LEVEL, ODD))
    store.commit(replace(apart(Suspect(LEVEL, ODD)), series=STOCK), expected_version=None)
    tracking.remove(COIN.instrument)
    assert Releaser(engine, clock, kept=timedelta(0)).remove(COIN.instrument)
    assert [one.series for one in quarantine.rows(decided=True)] == [STOCK]


def test_a_restored_home_has_the_same_in_quarantine(tmp_path: Path) -> None:
    home = filled_home(tmp_path / "home")
    held = Quarantine(home.engine, home.clock)
    hold(BarStore(home.engine, home.bars, home.clock), Suspect(LEVEL, ODD, (PAID,)))
    assert held.decide(Decision(held.rows()[0].id, QuarantineStatus.DROPPED, "pence"))
    take_backup(home, tmp_path / "backup")
    restore_backup(tmp_path / "backup", tmp_path / "again", register=Registered())
    restored = open_home(tmp_path / "again")
    again = Quarantine(restored.engine, restored.clock)
    assert again.rows(decided=True) == held.rows(decided=True)
    kept = again.get(again.rows(decided=True)[0].id)
    assert kept is not None
    pd.testing.assert_frame_equal(kept.bars, ODD, check_exact=True, check_freq=False)
    home.engine.dispose()
    restored.engine.dispose()


@given(
    st.lists(st.floats(1e-9, 1e15, allow_nan=False), min_size=1, max_size=30),
    st.sampled_from([0.1, 1.0, 1e-7]),
)
def test_bars_with_other_values_are_never_the_same_part(prices: list[float], more: float) -> None:
    bars = frame(minutes(0, len(prices)), dict.fromkeys(COLUMNS, prices))
    other = bars.assign(
        close=np.where(np.arange(len(bars)) == 0, bars["close"] + more, bars["close"])
    )
    one, two = Suspect(LEVEL, bars), Suspect(LEVEL, other)
    assert one.fingerprint(COIN) == Suspect(LEVEL, bars.copy()).fingerprint(COIN)
    assert one.fingerprint(COIN) != one.fingerprint(STOCK)
    changed = bool((other["close"] != bars["close"]).any())
    assert (one.fingerprint(COIN) != two.fingerprint(COIN)) is changed
    assert same_bars(bars, other).sum() == len(bars) - changed
    assert same_bars(bars, bars.iloc[:0]).sum() == 0
