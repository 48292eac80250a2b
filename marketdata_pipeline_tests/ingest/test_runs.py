"""A long list becomes runs of a hundred instruments."""

import pytest

from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.ingest.runs import BATCH, MASS, batches
from marketdata_pipeline_tests.conftest import ROOT


def test_many_instruments_become_runs_of_a_hundred() -> None:
    series = [
        Series.parse(f"A{number}|{frame}") for frame in ("1d", "1wk") for number in range(250)
    ]
    found = list(batches(series))
    assert [len({one.instrument for one in batch}) for batch in found] == [BATCH, BATCH, 50]
    assert sorted(map(str, series)) == sorted(str(one) for batch in found for one in batch)
    assert [str(one) for one in found[0][:2]] == ["A0|1d", "A0|1wk"]


@pytest.mark.parametrize(("instruments", "runs"), [(0, 0), (1, 1), (BATCH, 1), (BATCH + 1, 2)])
def test_only_what_is_more_than_a_hundred_needs_another_run(instruments: int, runs: int) -> None:
    series = [Series.parse(f"A{number}|1d") for number in range(instruments)]
    assert len(list(batches(series))) == runs


def test_the_tag_of_mass_work_is_the_one_that_the_instance_bounds() -> None:
    settings = (ROOT / "dagster.yaml").read_text("utf-8")
    ((key, value),) = MASS.items()
    assert f"key: {key}\n        value: {value}\n" in settings
