"""How fast to go after a refusal: the rate as a function of the time in use since.

Not here: when something counts as a refusal (heeding). The curve is that of CUBIC congestion
control (RFC 9438, section 4.2), for a rate instead of a window: from a tenth below the rate that
was refused it comes back fast, stays around it for long, and leaves it fast where nothing refuses
any more. So a quota that stays as it is refuses seldom, and one that rose is found soon.
"""

CUT = 0.1
"""What is given up at once after a refusal."""
_FEWEST = 5
"""Fewer requests say nothing of a quota."""
_MOST = 4
"""One refusal makes the distance between requests so many times as long at most."""


def growth(age: int, plateau: int) -> float:
    """The rate as a share of the one that was refused: 0.9 at first, 1 after ``plateau``.

    1.1 after twice, 1.8 after three times, 3.7 after four times the plateau.

    Args:
        age: how long requests were sent since, in microseconds.
        plateau: after which time it is back at what was refused.
    """
    past = (age - plateau) / plateau
    return 1 + CUT * past * past * past


def spacing_at(ceiling: int, age: int, plateau: int) -> int:
    """The distance between requests; ``ceiling`` is the one at which they were refused."""
    return int(ceiling / growth(age, plateau))


def refused_at(spacing: int, granted: int, elapsed: int) -> int:
    """The distance between requests at which the quota would just have been kept.

    What was granted since the last refusal (the time to wait after it included), or since the
    last pause, fills the quota's window if that is not much longer; so where it is slower than
    the present spacing, it is the better guess. All in microseconds.
    """
    if granted < _FEWEST:
        return spacing
    measured = elapsed // granted
    return max(spacing, min(measured, _MOST * spacing)) if spacing else measured
