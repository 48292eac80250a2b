"""Actions as the catalog keeps them, and the journal of what changed."""

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pytest
from sqlalchemy import Engine, select

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.metadata import actions
from marketdata_pipeline.domain.action_change import ChangeReason
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.bars import empty
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.store.actions import ActionJournal
from marketdata_pipeline.store.bars import BarStore
from marketdata_pipeline.store.catalog import Catalog
from marketdata_pipeline_tests.fakes import FrozenClock
from marketdata_pipeline_tests.store.writes import START, STOCK, write_of

APPLE = STOCK.instrument
WITHIN = TimeRange(START - timedelta(days=2000), START)
SPLIT = Action(date(2020, 8, 31), ActionKind.SPLIT, Fraction(4))
MAY = Action(date(2023, 5, 12), ActionKind.DIVIDEND, Fraction(24, 100))
AUGUST = Action(date(2023, 8, 11), ActionKind.DIVIDEND, Fraction(24, 100))


@pytest.fixture
def catalog(engine: Engine) -> Catalog:
    return Catalog(engine, FrozenClock())


@pytest.fixture
def journal(engine: Engine) -> ActionJournal:
    return ActionJournal(engine)


def _tell(
    store: BarStore, *told: Action, provider: str = "yahoo", gone: tuple[Action, ...] = ()
) -> int:
    write = write_of(empty(), STOCK, window=WITHIN)
    write = replace(
        write,
        fetch=replace(write.fetch, provider=provider),
        actions=told,
        actions_within=WITHIN,
        disowned=gone,
        aside=True,
    )
    return store.commit(write, expected_version=None).fetch_id


def _known(catalog: Catalog) -> tuple[Action, ...]:
    return catalog.known_actions([APPLE])[APPLE].actions


def test_an_action_stays_with_the_fetch_that_told_it_first(
    engine: Engine, store: BarStore, journal: ActionJournal
) -> None:
    first = _tell(store, SPLIT, MAY)
    _tell(store, SPLIT, MAY)
    with reading(engine) as connection:
        assert set(connection.execute(select(actions.c.fetch_id)).scalars()) == {first}
    assert journal.of(APPLE) == []


def test_what_comes_late_is_kept_and_journalled(
    store: BarStore, catalog: Catalog, journal: ActionJournal
) -> None:
    _tell(store, MAY)
    _tell(store, SPLIT, MAY)
    assert _known(catalog) == (SPLIT, MAY)
    (one,) = journal.of(APPLE)
    assert (one.change.reason, one.change.old, one.change.new) == (ChangeReason.LATE, None, SPLIT)
    assert one.detail == (
        "the split 4:1 on 2020-08-31 was told only after its day had been listed without it"
    )


def test_what_is_restated_replaces_the_old_and_both_are_journalled(
    store: BarStore, catalog: Catalog, journal: ActionJournal
) -> None:
    _tell(store, SPLIT, MAY)
    moved, more = replace(SPLIT, ex_date=date(2020, 8, 28)), replace(MAY, value=Fraction(1, 4))
    _tell(store, moved, more)
    assert _known(catalog) == (moved, more)
    assert [(one.change.old, one.change.new) for one in journal.of(APPLE)] == [
        (SPLIT, moved),
        (MAY, more),
    ]


def test_only_who_told_a_payment_withdraws_it(
    store: BarStore, catalog: Catalog, journal: ActionJournal
) -> None:
    _tell(store, SPLIT, MAY, AUGUST)
    _tell(store, SPLIT, MAY, provider="another")
    assert _known(catalog) == (SPLIT, MAY, AUGUST)
    _tell(store, SPLIT, MAY)
    assert _known(catalog) == (SPLIT, MAY)
    assert [one.change.reason for one in journal.of(APPLE)] == [ChangeReason.WITHDRAWN]


def test_a_split_goes_only_where_a_write_disowns_it(
    store: BarStore, catalog: Catalog, journal: ActionJournal
) -> None:
    _tell(store, SPLIT, MAY)
    _tell(store, MAY)
    assert _known(catalog) == (SPLIT, MAY)
    _tell(store, MAY, gone=(SPLIT,))
    _tell(store, MAY, gone=(SPLIT,))
    assert _known(catalog) == (MAY,)
    (one,) = journal.of(APPLE)
    assert (one.change.reason, one.change.old) == (ChangeReason.CONTRADICTED, SPLIT)
