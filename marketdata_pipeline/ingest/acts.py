"""What is known of an instrument's actions while it is worked on, growing with every reply.

Not here: asking for them (work), and what the catalog keeps of them (store.actions).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from marketdata_pipeline.domain.action_change import Listed, disowned
from marketdata_pipeline.domain.actions import Action, as_paid, restated, splits_of
from marketdata_pipeline.domain.ranges import TimeRange, merge, subtract
from marketdata_pipeline.domain.reply import Basis, Reply
from marketdata_pipeline.ingest.raw import splits_in_effect


@dataclass(frozen=True, slots=True)
class Acts:
    """Actions of an instrument, and the ranges ``within`` which they are all that there are."""

    actions: tuple[Action, ...] = ()
    within: tuple[TimeRange, ...] = ()

    def learned(self, reply: Reply) -> "Acts":
        """With the splits that a reply lists, and where its list is complete."""
        found = self._with(splits_of(reply.actions))
        if reply.actions_within is None:
            return found
        return replace(found, within=tuple(merge([*self.within, reply.actions_within])))

    def paid(self, reply: Reply) -> tuple["Acts", Reply]:
        """The reply with payments as they were paid; every later split is known by now."""
        if reply.basis is not Basis.SPLIT_ADJUSTED:
            return self, reply
        paid = as_paid(reply.actions, splits_in_effect(reply, self.actions))
        return self._with(paid), replace(reply, actions=paid)

    def lacks(self, needed: TimeRange) -> bool:
        """Whether there may be actions in a range that are not known."""
        return bool(subtract([needed], self.within))

    def disowned(self, reply: Reply) -> tuple[Action, ...]:
        """The known splits that a reply lists no more."""
        return tuple(disowned(self.actions, Listed(reply.actions, reply.actions_within)))

    def without(self, gone: Collection[Action]) -> "Acts":
        """Without some of them."""
        return replace(self, actions=tuple(one for one in self.actions if one not in gone))

    def _with(self, actions: Iterable[Action]) -> "Acts":
        told = list(actions)
        gone = restated(self.actions, told)
        kept = [one for one in self.actions if one not in gone]
        latest = {(one.ex_date, one.kind): one for one in (*kept, *told)}
        return replace(self, actions=tuple(latest.values()))
