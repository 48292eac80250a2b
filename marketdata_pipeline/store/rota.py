"""Whose turn it is to be verified: a share of the series each week, all of them in time.

Not here: verifying (verify).
"""

from collections.abc import Sequence
from datetime import datetime
from zlib import crc32

from marketdata_pipeline.domain.series import Series

A_WEEK = 500
"""Series that are verified in one week while there are few; reading one takes 10 to 50 ms."""
LONGEST = 32
"""Weeks within which every series has its turn, however many there are."""


def turn(series: Sequence[Series], now: datetime) -> list[Series]:
    """The series whose turn it is in the ISO week of ``now``, in the given order.

    A series' place is a checksum of its key, so new ones do not move the others. The number of
    places is a power of two: where growth doubles it, a series' next turn comes at its old place or
    at the other one that this has become, within the new number of weeks either way.
    """
    places = 1
    while places < LONGEST and len(series) > A_WEEK * places:
        places *= 2
    week = (now.toordinal() - 1) // 7  # day 1 was a Monday
    return [one for one in series if crc32(str(one).encode()) % places == week % places]
