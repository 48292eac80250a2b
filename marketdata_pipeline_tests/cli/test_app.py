"""Whatever is wrong: one sentence, exit code 1 or 2, no traceback, nothing half-written."""

import os
from pathlib import Path

import pytest
from sqlalchemy import func, inspect, select, table

from marketdata_pipeline.database.engine import reading
from marketdata_pipeline.database.home import Home
from marketdata_pipeline_tests.cli.terminal import Terminal, listing, program
from marketdata_pipeline_tests.ports import stranger

COMMANDS = (
    ("status",),
    ("bars", "AAPL"),
    ("export", "out", "--all"),
    ("sql", "FROM bars"),
    ("track", "AAPL"),
    ("untrack", "AAPL"),
    ("refresh",),
    ("backfill", "AAPL"),
    ("simulate",),
    ("ui",),
)


def _rows(home: Home) -> dict[str, int]:
    names = inspect(home.engine).get_table_names()
    with reading(home.engine) as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table(name))).scalar_one()
            for name in names
        }


def _kept(home: Home) -> tuple[list[str], dict[str, int], bytes]:
    """What must not change: paths (but for SQLite's own), rows, Dagster's settings."""
    paths = [one for one in listing(home.folder) if not one.endswith(("-wal", "-shm"))]
    return paths, _rows(home), (home.dagster / "dagster.yaml").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("bars A|B", "'A|B' is not an instrument"),
        ("bars ../../etc/passwd", "'../../ETC/PASSWD' is not an instrument"),
        ("bars AAPL;DROP", "'AAPL;DROP' is not an instrument"),
        ("bars A...B", "'A...B' is not an instrument"),
        ("bars NOPE", "NOPE|1d is not kept here; run: marketdata track NOPE"),
        ("bars AAPL 7d", "'7d' is no timeframe; use one of 1m, 5m, 15m, 1h, 4h, 1d, 1wk"),
        ("bars AAPL 1M", "'1M' can mean a minute or a month; write one of"),
        ("bars AAPL --start 2024-02-30", "'2024-02-30' is no date; write it as 2024-01-31"),
        ("bars AAPL --start 2024-02-03 --end 2024-02-03", "the range ends (2024-02-03T00:00Z)"),
        ("bars AAPL --last -1", "Invalid value for '--last'"),
        ("bars AAPL --last x", "Invalid value for '--last'"),
        ("bars AAPL --adjust half", "adjust is 'half', it must be none, splits or all"),
        ("bars AAPL --csv --json", "choose one of --chart, --csv and --json"),
        ("export", "Missing argument 'FOLDER'; see marketdata export --help"),
        ("export out", "give exactly one of: instruments, --all, --class, --file"),
        ("export out AAPL --all", "give exactly one of: instruments, --all, --class, --file"),
        ("export out --all", "nothing is kept yet; run: marketdata track AAPL"),
        ("export out NOPE", "not kept here: NOPE; run: marketdata track NOPE"),
        ("export out AAPL|7d", "'7d' is no timeframe"),
        ("export out A|B|C", "'A|B|C' is no series; write it as AAPL|1d"),
        ("export out AAPL -t 7d", "'7d' is no timeframe"),
        ("export out AAPL --adjust half", "adjust is 'half', it must be none, splits or all"),
        ("export out AAPL --format xls", "the format is 'xls', it must be parquet or csv"),
        ("export out AAPL --start 2024-02-03 --end 2024-02-03", "the range ends"),
        ("export none/out AAPL", "{cwd}/none is no folder; make it, or name another one"),
        ("sql", "Missing argument 'QUERY'; see marketdata sql --help"),
        ("sql selec", 'Parser Error: syntax error at or near "selec"'),
        ("sql FROM", "Parser Error: "),
        ("track", "Missing argument 'INSTRUMENT...'; see marketdata track --help"),
        ("track AAPL A|B", "'A|B' is not an instrument"),
        ("track AAPL -t 1d,7d", "'7d' is no timeframe"),
        ("track AAPL -t ,", "name at least one timeframe"),
        ("track AAPL --since soon", "'soon' is no date"),
        ("track AAPL --since 2999-01-01", "2999-01-01 is in the future"),
        ("untrack AAPL", "not tracked: AAPL; see marketdata status"),
        ("refresh", "nothing is tracked yet; run: marketdata track AAPL"),
        ("refresh AAPL", "not tracked: AAPL; see marketdata track"),
        ("backfill A|B", "'A|B' is not an instrument"),
        ("backfill", "give exactly one of: instruments, --all, --class, --file"),
        ("backfill --all AAPL", "give exactly one of: instruments, --all, --class, --file"),
        ("backfill --all", "nothing is tracked yet; run: marketdata track AAPL"),
        ("backfill --class stocks", "'stocks' is no asset class; use one of equity, etf, index"),
        ("backfill --file none.txt", "none.txt cannot be read: No such file or directory"),
        ("backfill AAPL -t 7d", "'7d' is no timeframe"),
        ("backfill AAPL --end 2024-01-01", "--end needs --start; give that too"),
        ("backfill AAPL --start 2999-01-01", "2999-01-01 is in the future"),
        ("backfill AAPL --start 2024-02-01 --end 2024-01-01", "the range ends"),
        ("simulate", "{home} is a live home and refuses the simulator; name a replay home"),
        ("init --demo", "{home} is a live home for life; name another folder"),
        ("ui --port 0", "Invalid value for '--port'"),
        ("ui --port 65536", "Invalid value for '--port'"),
        ("nope", "No such command 'nope'; see marketdata --help"),
        ("status --nope", "No such option: --nope; see marketdata status --help"),
        ("why", "Missing argument 'instrument'; see marketdata why --help"),
        ("quarantine nope", "No such command 'nope'; see marketdata quarantine --help"),
        (
            "quarantine release abc",
            "Invalid value for 'ID': it is a whole number (as `quarantine list` prints it); see",
        ),
        ("--home", "Option '--home' requires an argument"),
    ],
)
def test_bad_input_is_one_sentence_and_changes_nothing(
    home: Home, marketdata: Terminal, arguments: str, said: str
) -> None:
    before = _kept(home)
    found = marketdata(*arguments.split())
    assert found.sentence().startswith(said.format(home=home.folder, cwd=Path.cwd()))
    assert found.code == 2
    assert _kept(home) == before
    assert listing(Path.cwd()) == []


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_without_a_home_each_command_says_how_to_make_one(
    tmp_path: Path, marketdata: Terminal, arguments: tuple[str, ...]
) -> None:
    found = marketdata("--home", tmp_path / "none", *arguments)
    assert found.sentence() == f"no home at {tmp_path / 'none'}; run marketdata init or make run"
    assert found.code == 2
    assert listing(tmp_path) == ["cwd"]


def test_the_home_is_made_here_unless_somebody_names_it(marketdata: Terminal) -> None:
    found = marketdata("status")
    assert found.sentence().startswith(f"no home at {Path.cwd() / '.marketdata'};")


@pytest.mark.proof
@pytest.mark.parametrize(
    "command",
    [("init",), pytest.param(("init", "--demo"), marks=pytest.mark.proof), ("quickstart",)],
    ids=" ".join,
)
def test_a_home_that_cannot_be_made_leaves_nothing(
    tmp_path: Path,
    marketdata: Terminal,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    monkeypatch.setenv("MARKETDATA_SIMULATOR_PORT", "1")  # nobody listens there
    (tmp_path / "file").write_text("no folder")
    found = marketdata("--home", tmp_path / "file" / "home", *command)
    last = found.err.splitlines()
    assert last == [
        f"marketdata: a home cannot be made at {tmp_path / 'file' / 'home'}: Not a directory"
    ]
    assert found.code == 2
    assert listing(tmp_path) == ["cwd", "file"]


def test_a_folder_that_refuses_writes_is_no_home(marketdata: Terminal) -> None:
    found = marketdata("--home", "/proc/marketdata/home", "init")
    assert found.sentence().startswith("a home cannot be made at /proc/marketdata/home: ")
    assert found.code == 2


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("MARKETDATA_LOG_LEVEL", "loud", "MARKETDATA_LOG_LEVEL is 'loud', it must be one of"),
        ("MARKETDATA_SIMULATOR_PORT", "x", "MARKETDATA_SIMULATOR_PORT is 'x', it must be a whole"),
        ("MARKETDATA_HOM", "x", "MARKETDATA_HOM is not a setting, the nearest is MARKETDATA_HOME"),
        ("MARKETDATA_DATABASE_URL", "mysql://u:geheim@h/x", "MARKETDATA_DATABASE_URL is '***'"),
    ],
)
@pytest.mark.parametrize("command", [*COMMANDS, ("init",), ("quickstart",)], ids=" ".join)
def test_a_wrong_setting_is_named_by_every_command(
    marketdata: Terminal,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    key: str,
    value: str,
    said: str,
) -> None:
    monkeypatch.setenv(key, value)
    found = marketdata(*command)
    assert found.sentence().startswith(said)
    assert "geheim" not in found.err
    assert found.code == 2
    assert listing(Path.cwd()) == []


@pytest.mark.usefixtures("home")
def test_a_database_that_does_not_answer_fails_without_its_password(
    marketdata: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKETDATA_DATABASE_URL", "postgresql://u:geheim@127.0.0.1:9/x")
    found = marketdata("status")
    assert "cannot be used: connection to server" in found.sentence()
    assert "geheim" not in found.err
    assert found.code == 1


def test_an_error_repeats_no_key_that_was_typed(marketdata: Terminal) -> None:
    found = marketdata("bars", "apikey=geheim")
    assert "APIKEY=***" in found.sentence()
    assert "geheim" not in found.err.lower()


def test_a_catalog_that_is_none_fails_with_a_sentence(home: Home, marketdata: Terminal) -> None:
    home.engine.dispose()
    (home.folder / "catalog.sqlite").write_bytes(b"no database" * 100)
    found = marketdata("status")
    assert "file is not a database" in found.sentence()
    assert found.code == 1


@pytest.mark.parametrize("content", ["bogus: 1", "a: ["])
def test_a_wrong_dagster_yaml_fails_track_and_tracks_nothing(
    home: Home, marketdata: Terminal, content: str
) -> None:
    (home.dagster / "dagster.yaml").write_text(content)
    before = _kept(home)
    found = marketdata("track", "AAPL")
    assert found.sentence().startswith(f"Dagster's instance in {home.dagster} cannot be used: ")
    assert found.code == 1
    assert _kept(home) == before


@pytest.mark.usefixtures("home")
def test_the_web_interface_says_that_its_port_is_taken(marketdata: Terminal) -> None:
    with stranger() as (port, _):
        found = marketdata("ui", "--port", port)
    assert found.sentence().startswith(f"port {port} is taken; choose another one")
    assert found.code == 2


def test_what_is_printed_is_no_markup(tmp_path: Path, marketdata: Terminal) -> None:
    folder = tmp_path / "a[b] c"
    assert marketdata("--home", folder, "init").out == (
        f"live home at {folder}\n"
        f"export MARKETDATA_HOME='{folder}' DAGSTER_HOME='{folder / 'dagster'}'\n"
    )


def test_help_is_no_error(marketdata: Terminal) -> None:
    assert marketdata("--help").code == 0
    assert "quickstart" in marketdata().out


@pytest.mark.proof
def test_the_program_ends_with_the_code_and_without_a_traceback(tmp_path: Path) -> None:
    found = program(tmp_path, dict(os.environ), "bars", "A|B")
    assert found.sentence().startswith("'A|B' is not an instrument")
    assert found.code == 2


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    from marketdata_pipeline_tests.cli.terminal import PROGRAM, command

    words = " ".join(f"'{one}'" for one in [*PROGRAM, "--help"])
    found = command(tmp_path, dict(os.environ), "sh", "-c", f"{words} | true")
    assert (found.code, found.err) == (0, "")
