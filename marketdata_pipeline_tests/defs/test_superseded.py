"""Which events are superseded: only those that a later one of the same partition makes needless."""

from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.defs.superseded import MATERIALIZED, PLANNED, Entry, Newest

OBSERVED = "ASSET_OBSERVATION"


def _log(*told: tuple[str, str | None], asset: str = '["thing"]') -> list[Entry]:
    """Events numbered from one: kind and partition."""
    return [Entry(number, kind, asset, part) for number, (kind, part) in enumerate(told, start=1)]


def _newest(log: list[Entry]) -> Newest:
    last = {(one.asset, one.kind, one.partition): one for one in log}
    return Newest.of(list(last.values()))


def _stay(log: list[Entry]) -> list[int]:
    newest = _newest(log)
    return [one.number for one in log if newest.successor(one) is None]


def test_a_later_event_of_the_same_kind_and_partition_supersedes() -> None:
    told = [(MATERIALIZED, "a"), (MATERIALIZED, "b"), (OBSERVED, "a"), (MATERIALIZED, "a")]
    log = _log(*told)
    assert _newest(log).successor(log[0]) == 4
    assert _stay(log) == [2, 3, 4]


def test_events_without_partition_supersede_each_other_only() -> None:
    assert _stay(_log((MATERIALIZED, None), (MATERIALIZED, "a"), (MATERIALIZED, None))) == [2, 3]


def test_another_asset_supersedes_nothing() -> None:
    log = [*_log((MATERIALIZED, "a")), Entry(2, MATERIALIZED, '["other"]', "a")]
    assert _stay(log) == [1, 2]


def test_what_was_planned_and_then_done_is_superseded_unless_it_was_planned_last() -> None:
    log = _log((PLANNED, "a"), (PLANNED, "b"), (MATERIALIZED, "a"), (MATERIALIZED, "b"))
    assert _newest(log).successor(log[0]) == 3
    assert _stay(log) == [2, 3, 4]


def test_what_was_planned_and_not_done_since_is_needed() -> None:
    assert _stay(_log((MATERIALIZED, "a"), (PLANNED, "a"), (PLANNED, "b"))) == [1, 2, 3]


PARTS = st.sampled_from([None, "a", "b", "c"])
LOGS = st.lists(st.tuples(st.sampled_from([PLANNED, MATERIALIZED, OBSERVED]), PARTS), max_size=30)


def _said(log: list[Entry]) -> object:
    """What Dagster reads: newest by kind and partition; planned and not done; the last planned."""
    newest = {(one.kind, one.partition): one.number for one in log}
    planned = {part: number for (kind, part), number in newest.items() if kind == PLANNED}
    open_ = {
        part: number
        for part, number in planned.items()
        if number > newest.get((MATERIALIZED, part), 0)
    }
    others = {key: number for key, number in newest.items() if key[0] != PLANNED}
    return others, open_, max(planned.values(), default=None)


@given(LOGS, st.sets(st.integers(min_value=1, max_value=30)))
def test_whichever_superseded_ones_go_the_same_is_said(
    told: list[tuple[str, str | None]], some: set[int]
) -> None:
    log = _log(*told)
    stay = _stay(log)
    assert _said([one for one in log if one.number in stay]) == _said(log)
    assert _said([one for one in log if one.number in stay or one.number in some]) == _said(log)


@given(LOGS)
def test_a_second_look_finds_nothing(told: list[tuple[str, str | None]]) -> None:
    log = _log(*told)
    left = [one for one in log if one.number in _stay(log)]
    assert _stay(left) == [one.number for one in left]
