"""Work beside other work is waited for only so long."""

import threading
from time import monotonic

import pytest

from marketdata_pipeline.cli.beside import Beside


def test_what_ends_in_time_is_told_and_told_again() -> None:
    work = Beside(lambda: 7)
    assert work.told(until=monotonic() + 2) == 7
    assert work.told(until=0) == 7


def test_what_hangs_is_waited_for_no_longer_than_was_said() -> None:
    end = threading.Event()
    began = monotonic()
    work = Beside(lambda: end.wait(10))
    assert work.told(until=began + 0.1) is None
    assert monotonic() - began < 2
    end.set()
    assert work.told(until=began + 10) is True


def test_what_breaks_is_not_waited_for_and_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: told.set())

    def broken() -> int:
        raise RuntimeError

    began = monotonic()
    assert Beside(broken).told(until=began + 10) is None
    assert monotonic() - began < 5
    assert told.wait(5)
