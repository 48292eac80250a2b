"""What one more list of actions changes."""

from datetime import UTC, date, datetime
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from marketdata_pipeline.domain.action_change import (
    ActionChange,
    ChangeReason,
    Listed,
    changes,
    disowned,
)
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.ranges import TimeRange

YEARS = TimeRange(datetime(2020, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC))
SPLIT = Action(date(2020, 8, 31), ActionKind.SPLIT, Fraction(4))


def paid(day: str, cash: str) -> Action:
    return Action(date.fromisoformat(day), ActionKind.DIVIDEND, Fraction(cash))


MAY, AUGUST = paid("2023-05-12", "0.24"), paid("2023-08-11", "0.24")
KNOWN = (SPLIT, MAY, AUGUST)


def told(*actions: Action, within: TimeRange | None = YEARS) -> Listed:
    return Listed(actions, within)


def test_the_same_list_again_changes_nothing() -> None:
    assert changes(KNOWN, [YEARS], told(*KNOWN)) == []


def test_what_nobody_listed_before_is_no_change() -> None:
    assert changes((), [], told(*KNOWN)) == []


def test_an_action_of_a_time_that_was_listed_without_it_is_late() -> None:
    assert changes((SPLIT, MAY), [YEARS], told(*KNOWN)) == [
        ActionChange(ChangeReason.LATE, None, AUGUST)
    ]


def test_another_value_or_another_date_restates() -> None:
    more, later = paid("2023-08-11", "0.26"), paid("2023-05-15", "0.24")
    assert changes(KNOWN, [YEARS], told(SPLIT, later, more)) == [
        ActionChange(ChangeReason.RESTATED, MAY, later),
        ActionChange(ChangeReason.RESTATED, AUGUST, more),
    ]


def test_quarterly_payments_of_the_same_amount_are_not_taken_for_each_other() -> None:
    november = paid("2023-11-10", "0.24")
    assert changes(KNOWN, [], told(*KNOWN, november)) == []


def test_rounding_restates_nothing() -> None:
    assert changes(KNOWN, [YEARS], told(SPLIT, MAY, paid("2023-08-11", "0.240004"))) == []


def test_a_payment_that_others_of_the_time_are_listed_without_is_withdrawn() -> None:
    assert changes(KNOWN, [YEARS], told(SPLIT, MAY)) == [
        ActionChange(ChangeReason.WITHDRAWN, AUGUST, None)
    ]


def test_a_list_of_nothing_or_of_another_time_withdraws_nothing() -> None:
    assert changes(KNOWN, [YEARS], told()) == []
    assert changes(KNOWN, [YEARS], told(SPLIT, MAY, within=None)) == []
    early = TimeRange(YEARS.start, datetime(2023, 8, 12, tzinfo=UTC))
    assert changes(KNOWN, [YEARS], told(SPLIT, MAY, within=early)) == []


def test_a_list_that_is_cut_short_withdraws_nothing() -> None:
    quarters = tuple(
        paid(f"{year}-{month:02}-15", "0.24") for year in (2021, 2022) for month in (2, 5, 8, 11)
    )
    assert changes(quarters, [YEARS], told(*quarters[-2:])) == []
    assert len(changes(quarters, [YEARS], told(*quarters[1:]))) == 1


def test_a_split_is_never_withdrawn_by_a_list_alone_but_disowned() -> None:
    lacking = told(MAY, AUGUST)
    assert changes(KNOWN, [YEARS], lacking) == []
    assert disowned(KNOWN, lacking) == [SPLIT]
    assert disowned(KNOWN, told(*KNOWN)) == []
    assert disowned(KNOWN, told()) == []


_DAYS = st.dates(date(2020, 1, 4), date(2023, 12, 20))
_PAID = st.builds(
    Action, _DAYS, st.just(ActionKind.DIVIDEND), st.sampled_from([Fraction(1, 4), Fraction(3, 10)])
)
_LISTS = st.lists(_PAID, max_size=8, unique_by=lambda one: one.ex_date)


@given(known=_LISTS, listed=_LISTS)
def test_a_list_that_was_taken_changes_nothing_the_second_time(
    known: list[Action], listed: list[Action]
) -> None:
    lists = Listed(tuple(listed), YEARS)
    found = changes(sorted(known), [YEARS], lists)
    gone = {one.old for one in found}
    kept = [one for one in known if one not in gone]
    taken = {(one.ex_date, one.kind): one for one in (*kept, *listed)}
    assert changes(sorted(taken.values()), [YEARS], lists) == []
