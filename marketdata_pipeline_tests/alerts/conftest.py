from collections.abc import Iterator

import pytest

from marketdata_pipeline_tests.alerts.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on loopback."""
    with receiving() as made:
        yield made
