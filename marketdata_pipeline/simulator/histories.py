"""The histories by name, and where a new replay of each starts.

Not here: what is in them (recorded, synthetic).
"""

from datetime import datetime

from marketdata_pipeline.database.home import History as Kind
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.simulator.history import History
from marketdata_pipeline.simulator.recorded import recorded_history, replay_start
from marketdata_pipeline.simulator.synthetic import MixedHistory, SyntheticHistory


def history_of(kind: Kind, seed: int | None) -> History:
    """The history that a home replays.

    Raises:
        BadInput: made-up history without a seed, or the recorded bars are not installed.
    """
    if kind is Kind.RECORDED:
        return recorded_history()
    if seed is None:
        raise BadInput(f"{kind} history needs a seed")
    synthetic = SyntheticHistory(seed)
    return synthetic if kind is Kind.SYNTHETIC else MixedHistory(recorded_history(), synthetic)


def start_of(kind: Kind, wall_now: datetime) -> datetime:
    """The market instant at which a new replay starts: now, or near the end of recorded bars.

    Raises:
        BadInput: the recorded bars are not installed.
    """
    return wall_now if kind is Kind.SYNTHETIC else replay_start(recorded_history())
