"""What one more list of actions changes of those that are known: late, restated, withdrawn.

Not here: what an action is (actions), and where changes are journalled (store.action_changes).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from fractions import Fraction

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.ranges import TimeRange

_MOVED = timedelta(days=7)
"""A payment or split that comes again less than a week away is the same one with another date."""
_EDGE = timedelta(days=2)
"""At the ends of its range a list may lack what it lists elsewhere: zones, days not yet begun."""
_FEW = 0.1
"""A list that lacks a larger share of what is known, and more than one, is cut short: it withdraws
nothing."""
_ROUNDING = Fraction(1, 20_000)
"""A payment that came divided by later splits is exact to a sixth decimal times their ratio."""


class ChangeReason(StrEnum):
    """Why an action is not what it was.

    Late: it took effect in a range that was listed before, without it. Restated: with another date
    or value. Withdrawn: a later list of the same provider has others, but not this one any more.
    Contradicted: a split that is listed no more and that the prices disagree with.
    """

    LATE = "late"
    RESTATED = "restated"
    WITHDRAWN = "withdrawn"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True, slots=True)
class ActionChange:
    """One change; ``old`` or ``new`` is None where there was none, or is none any more."""

    reason: ChangeReason
    old: Action | None
    new: Action | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of actions that a provider gave; ``within`` is where it is complete, None: nowhere."""

    actions: tuple[Action, ...]
    within: TimeRange | None


def changes(
    known: Sequence[Action], covered: Sequence[TimeRange], told: Listed
) -> list[ActionChange]:
    """What a list changes of the known actions of the same provider, which are sorted.

    ``covered``: where earlier lists were complete. What is new where nobody looked before is no
    change of what was said, and is not among them. A split is never withdrawn here: prices have to
    say so too, see ``disowned``.
    """
    found = []
    moved: set[Action] = set()
    for new in told.actions:
        old = _counterpart(new, known, told.actions)
        if old is None:
            if _inside(new.ex_date, covered):
                found.append(ActionChange(ChangeReason.LATE, None, new))
        elif not same(old, new):
            moved.add(old)
            found.append(ActionChange(ChangeReason.RESTATED, old, new))
    gone = [one for one in _unlisted(known, told) if one not in moved]
    cash = [one for one in gone if one.kind is not ActionKind.SPLIT]
    if len(cash) > max(1, _FEW * len(_inside_of(known, told))):  # the list is cut short
        return found
    return [*found, *(ActionChange(ChangeReason.WITHDRAWN, one, None) for one in cash)]


def same(old: Action, new: Action) -> bool:
    """Whether two say the same but for rounding."""
    if (old.ex_date, old.kind) != (new.ex_date, new.kind):
        return False
    exact = old.kind is ActionKind.SPLIT
    return old.value == new.value if exact else abs(old.value - new.value) <= _ROUNDING


def disowned(known: Iterable[Action], told: Listed) -> list[Action]:
    """The known splits that a list has no more, though it is complete where they took effect."""
    return [one for one in _unlisted(tuple(known), told) if one.kind is ActionKind.SPLIT]


def _counterpart(new: Action, known: Sequence[Action], told: Sequence[Action]) -> Action | None:
    """The known action that a listed one is, with the same date or a moved one."""
    for old in known:
        if (old.ex_date, old.kind) == (new.ex_date, new.kind):
            return old
    listed = {(one.ex_date, one.kind) for one in told}
    near = [
        old
        for old in known
        if old.kind is new.kind
        and old.value == new.value
        and abs(old.ex_date - new.ex_date) < _MOVED
        and (old.ex_date, old.kind) not in listed
    ]
    return min(near, key=lambda old: abs(old.ex_date - new.ex_date), default=None)


def _unlisted(known: Sequence[Action], told: Listed) -> list[Action]:
    """Known actions inside a complete list that has others, but not these."""
    if told.within is None or not told.actions:  # without any it is a reply without its actions
        return []
    listed = {(one.ex_date, one.kind) for one in told.actions}
    return [one for one in _inside_of(known, told) if (one.ex_date, one.kind) not in listed]


def _inside_of(known: Sequence[Action], told: Listed) -> list[Action]:
    """The known actions where a list is complete."""
    if told.within is None:
        return []
    start, end = told.within.start + _EDGE, told.within.end - _EDGE
    return [one for one in known if start <= _midnight(one.ex_date) < end]


def _inside(day: date, ranges: Iterable[TimeRange]) -> bool:
    at = _midnight(day)
    return any(one.start + _EDGE <= at < one.end - _EDGE for one in ranges)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)
