import io
import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from marketdata_pipeline import logs
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.logs import bound, get_logger, redact, redacted, setup_logging

PROVIDER = "marketdata_pipeline.providers.yahoo"
STORE = "marketdata_pipeline.store.chunks"


@pytest.fixture(autouse=True)
def nothing_is_left_set_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logs, "_secrets", set())
    handlers = [one for one in logging.root.handlers if one.name != "marketdata"]
    _reset(handlers)  # other tests set up what they run as well
    yield
    _reset(handlers)


def _reset(handlers: list[logging.Handler]) -> None:
    logging.root.handlers[:] = handlers
    structlog.reset_defaults()
    for name in ("", ".providers", ".store"):
        logging.getLogger(logs.PACKAGE + name).setLevel(logging.NOTSET)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def fail(text: str) -> None:
    raise OSError(text)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_holds_all_that_a_machine_looks_for(stream: io.StringIO) -> None:
    setup_logging("info", log_format="json", stream=stream)
    with bound(run_id="r1", series=Series.parse("AAPL|1d")):
        get_logger(PROVIDER).info("updated", bars=252, provider="yahoo")
    (line,) = lines(stream)
    at = datetime.fromisoformat(str(line.pop("timestamp")))
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60
    assert line == {
        "event": "updated",
        "level": "info",
        "logger": PROVIDER,
        "run_id": "r1",
        "series": "AAPL|1d",
        "provider": "yahoo",
        "bars": 252,
    }


def test_on_a_console_fields_are_key_equals_value_and_no_colours_go_into_a_file(
    stream: io.StringIO,
) -> None:
    setup_logging("info", log_format="console", stream=stream)
    get_logger(PROVIDER).info("updated", series="AAPL|1d", bars=252)
    text = stream.getvalue()
    assert "updated" in text
    assert "series=AAPL|1d" in text
    assert "bars=252" in text
    assert "\x1b" not in text


def test_a_component_has_a_level_of_its_own(stream: io.StringIO) -> None:
    setup_logging("warning", {"providers": "debug"}, "json", stream=stream)
    get_logger(PROVIDER).debug("heard")
    get_logger(STORE).info("not heard")
    get_logger(STORE).warning("heard too")
    assert [line["event"] for line in lines(stream)] == ["heard", "heard too"]


def test_set_up_again_the_last_one_wins_and_nothing_is_said_twice(stream: io.StringIO) -> None:
    setup_logging("debug", {"providers": "debug"}, "json", stream=io.StringIO())
    for _ in range(2):
        setup_logging("info", {}, "json", stream=stream)
    get_logger(PROVIDER).debug("the first set-up is forgotten")
    get_logger(PROVIDER).info("once")
    assert [line["event"] for line in lines(stream)] == ["once"]


def test_other_libraries_go_the_same_way_from_warning_on(stream: io.StringIO) -> None:
    setup_logging("debug", log_format="json", stream=stream)
    other = logging.getLogger("somebody.elses")
    other.info("chatter")
    with bound(run_id="r1"):
        other.warning("GET %s", "https://u:geheim@host/?crumb=abc")
    (line,) = lines(stream)
    assert line["event"] == "GET https://u:***@host/?crumb=***"
    assert (line["level"], line["logger"], line["run_id"]) == ("warning", "somebody.elses", "r1")


def test_what_a_library_writes_itself_is_not_written_again(stream: io.StringIO) -> None:
    setup_logging("info", log_format="json", stream=stream)
    own = logging.getLogger("somebody.with_a_handler")
    own.addHandler(logging.StreamHandler(io.StringIO()))
    silent = logging.getLogger("somebody.without")
    silent.addHandler(logging.NullHandler())
    logging.getLogger("somebody.with_a_handler.below").warning("shown there")
    silent.warning("shown here")
    assert [line["event"] for line in lines(stream)] == ["shown here"]


def test_structlogs_own_loggers_are_routed_too(stream: io.StringIO) -> None:
    setup_logging("info", log_format="json", stream=stream)
    structlog.get_logger(PROVIDER).info("hello", n=1)
    (line,) = lines(stream)
    assert (line["event"], line["n"], line["logger"]) == ("hello", 1, PROVIDER)


def test_a_logger_without_a_name_has_that_of_its_module(stream: io.StringIO) -> None:
    log = structlog.get_logger()
    setup_logging("info", log_format="json", stream=stream)
    log.warning("hello")
    assert [line["logger"] for line in lines(stream)] == [__name__]


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_secret_gets_out_in_fields_lists_objects_or_exceptions(
    stream: io.StringIO, form: str
) -> None:
    setup_logging("info", log_format=form, stream=stream)
    redact(["postgresql://user:hunter%402@db/catalog", "standalone-secret"])
    log = get_logger(STORE)
    log.info("a standalone-secret in the text", where=Path("/standalone-secret"))
    log.info("b", api_key="visible1", headers={"Cookie": "visible2", "X": ["token=visible3"]})
    try:
        fail("no postgresql://user:hunter@2@db/catalog, password is hunter@2")
    except OSError:
        log.exception("c")
    text = stream.getvalue()
    assert "OSError" in text
    assert "Traceback" in text
    for secret in ("standalone-secret", "visible", "hunter"):
        assert secret not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://h/q?symbol=A&apikey=K3y&x=1", "https://h/q?symbol=A&apikey=***&x=1"),
        ("https://h/q?key=K3y", "https://h/q?key=***"),
        ("https://h/q?symbol=A&crumb=a/b.c", "https://h/q?symbol=A&crumb=***"),
        ('{"token": "K3y", "n": 1}', '{"token": "***", "n": 1}'),
        ("FMP_API_KEY=K3y refused", "FMP_API_KEY=*** refused"),
        ("Authorization: Bearer abcdef123456", "Authorization: Bearer ***"),
        ("postgresql+psycopg2://me:p@ss@db:5432/x", "postgresql+psycopg2://me:***@db:5432/x"),
        ("https://h/v8/AAPL?interval=1d&keys=2", "https://h/v8/AAPL?interval=1d&keys=2"),
        ("key AAPL|1d, tokens left: 3", "key AAPL|1d, tokens left: 3"),
    ],
)
def test_keys_and_passwords_are_blotted_out_and_nothing_else(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_a_very_short_secret_does_not_blot_out_ordinary_words() -> None:
    redact(["a", "", "postgresql://u:b@h/d"])
    assert redacted("a bar") == "a bar"


def test_numbers_stay_numbers_and_other_values_are_spelled(stream: io.StringIO) -> None:
    setup_logging("info", log_format="json", stream=stream)
    get_logger(STORE).info("x", n=1, share=0.5, ok=True, none=None, series=Series.parse("A|1d"))
    (line,) = lines(stream)
    assert [line[key] for key in ("n", "share", "ok", "none", "series")] == [
        1,
        0.5,
        True,
        None,
        "A|1d",
    ]


def test_without_a_stream_lines_go_to_what_stderr_is_at_the_time(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO
) -> None:
    setup_logging("info", log_format="json")
    monkeypatch.setattr(sys, "stderr", stream)
    get_logger(STORE).info("hello")
    assert [line["event"] for line in lines(stream)] == ["hello"]


def test_before_the_set_up_only_warnings_are_heard_and_nothing_goes_to_stdout(
    capfd: pytest.CaptureFixture[str],
) -> None:
    get_logger(STORE).info("not yet")
    assert capfd.readouterr() == ("", "")
