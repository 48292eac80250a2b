"""The asset: three doors, one body."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from marketdata_pipeline.domain.bars import COLUMNS
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import RateLimited
from marketdata_pipeline.ingest.progress import Progress, SeriesDone
from marketdata_pipeline.ingest.update import Updater
from marketdata_pipeline.quality.rules import RULES
from marketdata_pipeline_tests.conftest import ROOT
from marketdata_pipeline_tests.defs.stage import Choosy, Stage, checks, failure, metadata
from marketdata_pipeline_tests.ingest.world import days, walk

AAPL = Series.parse("AAPL|1d")


def test_a_partition_key_brings_one_series_and_tells_what_came(stage: Stage) -> None:
    told = metadata(stage.by_key("AAPL|1d"))
    assert set(told) == stage.materialized() == {"AAPL|1d"}
    picture = told["AAPL|1d"].pop("candles")
    assert picture.startswith("![the last 60 bars of AAPL](data:image/svg+xml")
    assert len(picture) < 10_000
    assert told["AAPL|1d"] == {
        "dagster/row_count": 253,
        "new_bars": 253,
        "provider": "truth (simulator:recorded)",
        "requests": 1,
        "seconds": 0.0,
        "first": "2023-03-15",
        "last": "2024-03-15",
        "coverage_percent": 100.0,
        "quality_score": 1.0,
    }


def test_a_second_run_of_a_key_is_free_and_shows_the_same_bars(stage: Stage) -> None:
    stage.by_key("AAPL|1d")
    again = metadata(stage.by_key("AAPL|1d"))["AAPL|1d"]
    assert (again["dagster/row_count"], again["new_bars"], again["requests"]) == (253, 0, 0)
    assert len(stage.world.provider.asked) == 1


def test_intraday_labels_are_told_as_instants(stage: Stage, provider: Choosy) -> None:
    hourly = Series.parse("AAPL|1h")
    provider.truth = {**provider.truth, hourly: walk(hourly, days("2024-02-01", "2024-03-16"))}
    told = metadata(stage.by_key("AAPL|1h"))["AAPL|1h"]
    assert told["first"] == datetime(2024, 2, 1, 14, 30, tzinfo=UTC).timestamp()
    assert told["last"] == datetime(2024, 3, 15, 19, 30, tzinfo=UTC).timestamp()
    assert told["coverage_percent"] < 50


def test_a_series_without_bars_has_neither_labels_nor_a_picture(stage: Stage) -> None:
    told = metadata(stage.by_key("AAPL|1h"))["AAPL|1h"]
    assert told["dagster/row_count"] == 0
    assert told["coverage_percent"] == 0.0
    assert not {"first", "last", "candles"} & set(told)


def test_a_range_of_keys_is_one_run_with_one_event_a_partition(stage: Stage) -> None:
    result = stage.by_range("AAPL|1d", "IBM|1wk")
    told = metadata(result)
    assert set(told) == stage.materialized()
    assert set(told) == {
        f"{one}|{frame}" for one in ("AAPL", "MSFT", "IBM") for frame in ("1d", "1wk")
    }
    assert told["MSFT|1wk"]["provider"] == "derived (simulator:recorded)"
    assert told["MSFT|1wk"]["requests"] == 0
    assert len(stage.instance.get_runs()) == 1


def test_a_range_the_wrong_way_round_fails_with_a_sentence(stage: Stage) -> None:
    said = failure(stage.by_range("AAPL|1wk", "MSFT|1d"))
    assert said.description is not None
    assert said.description.startswith("the range holds no partition; give the timeframe first")


def test_a_list_in_the_config_is_a_run_without_partition_tags(stage: Stage) -> None:
    result = stage.by_config("AAPL|1d", "IBM|1wk", "AAPL|1d")
    assert result.success
    assert set(metadata(result)) == stage.materialized() == {"AAPL|1d", "IBM|1wk"}
    assert not any("partition" in tag for tag in result.dagster_run.tags)
    assert {one.series for one in stage.world.catalog.summaries() if one.rows} == {
        Series.parse(one) for one in ("AAPL|1d", "IBM|1d", "IBM|1wk")
    }


def test_a_range_in_the_config_bounds_what_is_asked_for(stage: Stage) -> None:
    assert stage.by_config("AAPL|1d", start="2024-01-02", end="2024-02-01").success
    assert stage.world.provider.asked == [(AAPL, days("2024-01-02", "2024-02-01"))]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, 'the run names no series; its config needs e.g. series: ["AAPL|1d"]'),
        ({"series": ["AAPL"]}, "'AAPL' is no series"),
        ({"series": ["A B|1d"]}, "'A B' is not an instrument"),
        ({"series": ["AAPL|7d"]}, "'7d' is no timeframe"),
        ({"series": ["AAPL|1d"], "start": "2024-01-02"}, "give both start and end, or neither"),
        ({"series": ["AAPL|1d"], "start": "x", "end": "y"}, "'x' is no date"),
        ({"series": ["AAPL|1d"], "start": "2024-02-01", "end": "2024-01-02"}, "the range ends"),
    ],
)
def test_a_wrong_config_fails_with_one_sentence_and_no_request(
    stage: Stage, config: dict[str, object], said: str
) -> None:
    found = failure(stage.configured(config))
    assert found.description is not None
    assert found.description.startswith(said)
    assert "\n" not in found.description
    assert not stage.world.provider.asked
    assert not stage.materialized()


def test_one_failing_series_leaves_the_others_of_a_keyed_run_materialized(
    stage: Stage, provider: Choosy
) -> None:
    provider.down = {"MSFT"}
    stage.failure_share = 1.0  # is for runs over lists
    result = stage.by_range("AAPL|1d", "IBM|1d")
    assert stage.materialized() == {"AAPL|1d", "IBM|1d"}
    said = failure(result)
    assert said.description == "1 of 3 series failed, first: MSFT|1d: truth | is down"
    assert said.metadata["failed_partitions"].value == ["MSFT|1d"]
    assert said.metadata["failed"].value == (
        "| series | why |\n| --- | --- |\n| MSFT&#124;1d | MSFT&#124;1d: truth &#124; is down |\n"
    )


def test_no_failure_makes_dagster_repeat_the_step(stage: Stage, provider: Choosy) -> None:
    stage.raising = True
    provider.down = {"AAPL"}
    with pytest.raises(dg.Failure) as of_series:
        stage.by_key("AAPL|1d")
    with pytest.raises(dg.Failure) as of_input:
        stage.by_config()
    assert (of_series.value.allow_retries, of_input.value.allow_retries) == (False, False)


def test_a_failing_run_evaluates_its_checks_all_the_same(stage: Stage, provider: Choosy) -> None:
    provider.down = {"MSFT"}
    found = checks(stage.by_range("AAPL|1d", "IBM|1d"))
    assert found["freshness"].metadata["scope"].value == "over all 3 series; this run: 2 of 3 ok"


def test_a_config_run_writes_no_event_for_what_brought_nothing(stage: Stage) -> None:
    stage.by_config("AAPL|1d")
    again = stage.by_config("AAPL|1d", "MSFT|1d")
    assert again.success
    assert set(metadata(again)) == {"MSFT|1d"}


def test_a_config_run_fails_only_above_the_share_of_failures(
    stage: Stage, provider: Choosy
) -> None:
    provider.down = {"AAPL"}
    stage.failure_share = 1 / 3
    series = ("AAPL|1d", "MSFT|1d", "IBM|1d")
    assert stage.by_config(*series).success
    provider.down = {"AAPL", "MSFT"}
    stage.world.clock.advance(timedelta(days=3))
    said = failure(stage.by_config(*series))
    assert said.description is not None
    assert said.description.startswith("2 of 3 series failed")


def test_series_are_counted_once_in_the_share_of_failures(stage: Stage, provider: Choosy) -> None:
    provider.down = {"AAPL"}
    said = failure(stage.by_config("AAPL|1d", "MSFT|1d", *["MSFT|1d"] * 8))
    assert said.description is not None
    assert said.description.startswith("1 of 2 series failed")


def test_a_partition_of_an_untracked_instrument_is_filled_and_not_tracked(stage: Stage) -> None:
    assert stage.by_key("MSFT|1d").success
    assert stage.world.store.read(Series.parse("MSFT|1d")).index.size == 253
    assert stage.world.tracking.all() == []


def test_a_provider_without_turns_fails_what_is_left_and_says_when(
    stage: Stage, provider: Choosy
) -> None:
    stage.by_key("IBM|1d")
    retry_at = stage.world.clock.wall_now() + timedelta(minutes=20)
    limited = RateLimited("truth has no turn for the next 1200 s", retry_at=retry_at)
    provider.failures = [limited] * 2  # nor has it one for whoever was under way already
    asked = len(provider.asked)
    result = stage.by_range("AAPL|1d", "IBM|1d")
    said = failure(result)
    assert said.description == (
        "2 of 3 series failed, first: truth has no turn for the next 1200 s"
    )
    assert set(metadata(result)) == {"IBM|1d"}, "what needs no request is no failure"
    assert len(provider.asked) <= asked + 3, "those under way may still ask, nobody asks again"


def test_what_dagster_was_not_told_of_is_told_by_the_next_run_once(stage: Stage) -> None:
    """As after a run that was killed or interrupted between its bars and their event."""
    stage.world.updater.update(Series.parse("AAPL|1d"))
    assert stage.materialized() == set()
    first, again = stage.by_config("AAPL|1d"), stage.by_config("AAPL|1d")
    assert set(metadata(first)) == {"AAPL|1d"}
    assert metadata(first)["AAPL|1d"]["new_bars"] == 0
    assert metadata(again) == {}, "a refresh that brought nothing is no event"


def test_what_a_body_could_not_finish_telling_is_told_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from marketdata_pipeline.ingest.progress import RunLog

    with monkeypatch.context() as broken:
        broken.setattr(RunLog, "lines", _interrupting)
        stage.by_config("AAPL|1d", "MSFT|1d", "IBM|1d")
    stage.by_config("AAPL|1d", "MSFT|1d", "IBM|1d")
    assert stage.materialized() == {"AAPL|1d", "MSFT|1d", "IBM|1d"}


def _interrupting(*_: object) -> list[object]:
    raise OSError("the log is full")


def test_pictures_are_left_out_above_the_limit(stage: Stage) -> None:
    stage.picture_limit = 1
    told = metadata(stage.by_range("AAPL|1d", "MSFT|1d"))
    assert len(told) == 2
    assert not any("candles" in one for one in told.values())
    assert "candles" in metadata(stage.by_key("AAPL|1d"))["AAPL|1d"]


def test_a_run_tells_its_progress_line_by_line(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    stage.by_config("AAPL|1d")
    assert "1/1 series=AAPL|1d new=253 stored=253 requests=1" in capfd.readouterr().err


def test_a_larger_run_tells_its_progress_and_each_failure(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    stage.by_range("AAPL|1m", "IBM|1wk")
    err = capfd.readouterr().err
    told = [one for one in map(Progress.parse, err.splitlines()) if one is not None]
    assert [(one.done, one.total) for one in told] == [(n, 21) for n in (*range(2, 21, 2), 21)]
    assert (told[-1].new, told[-1].failed) == (3 * (253 + 53), 3)
    lines = [one for one in map(SeriesDone.parse, err.splitlines()) if one is not None]
    assert {(one.series, one.error) for one in lines} == {
        (f"{one}|15m", f"no provider serves {one}|15m") for one in ("AAPL", "MSFT", "IBM")
    }
    assert err.count("- ERROR - ") >= 3, "failures stand out in the run's page"


def test_a_fetch_names_the_run_that_asked(stage: Stage) -> None:
    from sqlalchemy import select

    from marketdata_pipeline.database.engine import reading
    from marketdata_pipeline.database.metadata import fetches

    result = stage.by_config("AAPL|1d")
    with reading(stage.world.home.engine) as connection:
        assert connection.execute(select(fetches.c.run_id)).scalars().all() == [result.run_id]


def test_the_asset_is_one_grid_with_every_door_open() -> None:
    from marketdata_pipeline.definitions import defs

    node = defs.resolve_asset_graph().get(dg.AssetKey("ohlcv"))
    assert isinstance(node.partitions_def, dg.MultiPartitionsDefinition)
    assert node.backfill_policy == dg.BackfillPolicy.single_run()
    assert "| `4h` | derived from `1h` | 729 days |" in str(node.description)
    assert {one.name for one in node.check_keys} == set(RULES)


def test_the_asset_says_whose_it_is_what_it_holds_and_where_to_read_on() -> None:
    from marketdata_pipeline.definitions import defs

    node = defs.resolve_asset_graph().get(dg.AssetKey("ohlcv"))
    assert node.owners == ["team:marketdata"]
    assert node.group_name == "bars"
    assert node.kinds == {"python", "parquet", "sql"}
    assert node.metadata["code"] == dg.MetadataValue.python_artifact(Updater)
    schema: Any = node.metadata["dagster/column_schema"]
    assert [one.name for one in schema.columns] == ["ts", *COLUMNS]
    pages = re.findall(r"`(docs/[^`]+)`", str(node.metadata["docs"].value))
    assert pages
    assert all((ROOT / page).is_file() for page in pages)


def test_what_a_partition_tells_in_numbers_can_be_plotted(stage: Stage) -> None:
    (event,) = stage.by_key("AAPL|1d").asset_materializations_for_node("ohlcv")
    numbers = {
        name
        for name, value in event.metadata.items()
        if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
    }
    assert numbers == {
        "dagster/row_count",
        "new_bars",
        "requests",
        "seconds",
        "coverage_percent",
        "quality_score",
    }


def test_a_run_notes_which_instruments_it_updated(stage: Stage, provider: Choosy) -> None:
    provider.down = {"MSFT"}
    stage.track("AAPL", "MSFT", "IBM")
    stage.by_config("AAPL|1d", "MSFT|1d")
    found = stage.world.tracking.last_updates()
    assert found == {Instrument("AAPL"): stage.world.clock.wall_now()}
