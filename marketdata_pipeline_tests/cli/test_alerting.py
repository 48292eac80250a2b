"""Looks beside a worker: again and again, until it ends, whatever goes wrong with one."""

import threading
from dataclasses import dataclass, field
from time import monotonic
from typing import cast

from marketdata_pipeline.cli.alerting import alerting_beside
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.alerting import Alerting
from marketdata_pipeline_tests.fakes import Lines


@dataclass
class Looking:
    """Counts looks; each fails for the reason that a person has to mend."""

    third: threading.Event = field(default_factory=threading.Event)
    looks: int = 0

    def look(self) -> None:
        self.looks += 1
        if self.looks == 3:
            self.third.set()
        raise BadInput("receiver 1 json is none")


def test_it_looks_again_whatever_went_wrong_and_ends_with_the_worker(log_lines: Lines) -> None:
    looking = Looking()
    with alerting_beside(cast("Alerting", looking), every=0.01):
        assert looking.third.wait(10)
    looks = looking.looks
    assert {one["error"] for one in log_lines("alerts are looked at again")} == {
        "receiver 1 json is none"
    }
    assert not [one for one in threading.enumerate() if "look" in one.name]
    assert looking.looks == looks


def test_a_look_that_hangs_keeps_nobody_waiting() -> None:
    released = threading.Event()

    class Hanging(Looking):
        def look(self) -> None:
            released.wait(20)

    began = monotonic()
    with alerting_beside(cast("Alerting", Hanging()), longest=0.05):
        entered = monotonic() - began
    assert entered < 1
    assert monotonic() - began < 2
    released.set()
