"""What the catalog knows of instruments that positions in them depend on: splits and currencies.

Not here: all else that is known of them (catalog).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, select

from marketdata_pipeline.database.dialect import one_of
from marketdata_pipeline.database.metadata import actions, instruments
from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.store.actions import action_of


def splits(
    connection: Connection, wanted: Iterable[Instrument]
) -> Mapping[Instrument, Sequence[Action]]:
    """The known splits of these instruments; those without any are left out."""
    ours = one_of(connection, instruments.c.key, [one.key for one in wanted])
    found = select(instruments.c.key, actions).join_from(actions, instruments)
    found = found.where(ours, actions.c.kind == ActionKind.SPLIT.value)
    listed: dict[Instrument, list[Action]] = defaultdict(list)
    for row in connection.execute(found):
        listed[Instrument(row.key)].append(action_of(row))
    return listed


def currencies(connection: Connection, wanted: Iterable[Instrument]) -> Mapping[Instrument, str]:
    """The currencies that providers told for these instruments; others are left out."""
    ours = one_of(connection, instruments.c.key, [one.key for one in wanted])
    found = select(instruments.c.key, instruments.c.currency)
    found = found.where(ours, instruments.c.currency.is_not(None))
    return {Instrument(row.key): row.currency for row in connection.execute(found)}
