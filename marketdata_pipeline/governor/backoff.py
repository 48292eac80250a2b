"""How long to wait after the nth failure in a row: curves, by name.

Not here: what counts as a failure, and waiting.
"""

from collections.abc import Callable, Mapping

Curve = Callable[[int, int, int], int]
"""From the first wait, the number of failures in a row (1 or more) and the longest wait to a wait;
waits are microseconds."""


def exponential(first: int, failures: int, longest: int) -> int:
    """``first``, then twice as long each time.

    >>> [exponential(30, n, 300) for n in (1, 2, 3, 4, 5, 6)]
    [30, 60, 120, 240, 300, 300]
    """
    return min(longest, first << min(failures - 1, 62))


def linear(first: int, failures: int, longest: int) -> int:
    """``first``, then that much longer each time.

    >>> [linear(30, n, 100) for n in (1, 2, 3, 4)]
    [30, 60, 90, 100]
    """
    return min(longest, first * failures)


CURVES: Mapping[str, Curve] = {"exponential": exponential, "linear": linear}
