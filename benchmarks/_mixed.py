"""The cases of a seed: every kind of defect, in every kind of series that can have it.

Not here: how a defect is made. ``FITS`` says which rules' findings are about which kind. Imports
nothing of marketdata_pipeline.quality.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from _absent import EXTENT
from _beyond import BEYOND
from _case import Case
from _defects import LEVELS, RUNS, Injector, scene_of
from _faults import FAULTS
from _truth import Subject

KINDS: tuple[Injector, ...] = (*LEVELS, *RUNS, *EXTENT, *FAULTS, *BEYOND)
EACH = 4
"""Cases of a kind and seed."""
_TRIES = 400
_FEWEST = 24
_LEVEL = {"level_shift", "split_like", "split_contradicted", "level_shifts", "split_jumps"}
_SPIKE = {"spikes"}
_CONTRACT = {"contract", "bars_contract", "columns", "order"}
_GRID = {"grid", "timestamps"}
_ABSENT = {"completeness", "gaps"}
FITS = {
    "ohlc_relations": {"low_high", "ohlc_relations"},
    "price": {"positive_prices", "finite", "low_high", "ohlc_relations"},
    "volume": {"volume"},
    "off_grid": _GRID,
    "outside_hours": _GRID,
    "out_of_order": _CONTRACT,
    "duplicate": _CONTRACT,
    "missing_column": _CONTRACT,
    "wrong_dtype": _CONTRACT,
    "wrong_zone": _GRID | {"wrong_symbol", "stale_repeat", "stale_repeats"},
    "x100": _LEVEL | _SPIKE | {"low_high"},
    "1/100": _LEVEL | _SPIKE | {"low_high"},
    "split_like": _LEVEL,
    "split_misapplied": _LEVEL,
    "spike": _SPIKE | _LEVEL,
    "wrong_symbol": _LEVEL | {"wrong_symbol"},
    "wrong_currency": _LEVEL | {"wrong_symbol", "currency"},
    "flat_run": {"flat_runs", "stale_repeats", "zero_volume"},
    "zero_volume_run": {"zero_volume"},
    "stale_repeat": {"stale_repeat", "stale_repeats"},
    "shrunken": {"shrunken"},
    "missing_bars": _ABSENT,
    "long_gap": _ABSENT,
    "late": {"freshness"},
    "impossible_dividend": {"impossible_dividend"},
    "disagreement": {"agreement"},
    "contract_month": {"contract_month"},
    "expiry": {"expiry"},
    "rollover": _LEVEL | _SPIKE | {"rollover"},
}


def cases(
    seed: int, subjects: Sequence[Subject], kinds: Sequence[Injector] = KINDS
) -> Iterator[Case]:
    """All cases of a seed."""
    for injector in kinds:
        yield from _of_kind(
            injector, np.random.default_rng((seed, KINDS.index(injector))), subjects
        )


def _of_kind(
    injector: Injector, dice: np.random.Generator, subjects: Sequence[Subject]
) -> Iterator[Case]:
    """Some cases: the kinds of series are equally likely, so are the series of a kind."""
    made = 0
    groups: dict[object, list[Subject]] = {}
    for one in subjects:
        kind = one.series.instrument.asset_class, one.series.timeframe
        groups.setdefault(kind, []).append(one)
    for _ in range(_TRIES):
        group = list(groups.values())[int(dice.integers(len(groups)))]
        scene = scene_of(group[int(dice.integers(len(group)))], dice, subjects)
        case = injector(scene) if len(scene.asked) >= _FEWEST else None
        if case is not None:
            made += 1
            yield case
        if made == EACH:
            return
