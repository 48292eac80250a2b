"""Long lists of cases, of which `make test` runs a sample and `make proof` the rest.

Not here: which tests are slow as a whole; those bear the mark `proof` themselves.
"""

from collections.abc import Iterable
from typing import Any

import pytest


def sampled(cases: Iterable[Any], every: int) -> list[Any]:
    """Cases for ``parametrize``: the first and each ``every``-th after it in `make test`.

    A tuple is the values of one case, as where they are written out.
    """
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            marks=[pytest.mark.proof] if number % every else [],
        )
        for number, case in enumerate(cases)
    ]
