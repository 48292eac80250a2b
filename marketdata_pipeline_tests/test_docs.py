"""What the documentation names exists; `python -m marketdata_pipeline_tests.test_docs` writes
the tables of docs/instruments.md."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup

from marketdata_pipeline.cli.app import app
from marketdata_pipeline.config import Settings
from marketdata_pipeline.config.places import PREFIX
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.venues import BY_INDEX, BY_SUFFIX
from marketdata_pipeline_tests.conftest import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
INSTRUMENTS = ROOT / "docs" / "instruments.md"
LARGEST_IMAGE = 300_000
LONGEST_PAGE = 120

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SETTING = re.compile(rf"\b{PREFIX}[A-Z][A-Z_]*[A-Z]\b")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> Iterator[str]:
    for language, body in _BLOCK.findall(page.read_text("utf-8")):
        if language in languages:
            yield body


def commands(page: Path) -> list[list[str]]:
    """Each `marketdata ...` of a page, in code or between backticks, as its words."""
    lines = [line for body in blocks(page, "sh") for line in body.splitlines()]
    prose = _BLOCK.sub("", page.read_text("utf-8")).replace("\\|", "|")
    found = []
    for text in [*lines, *_INLINE.findall(prose)]:
        at = re.search(r"(?:^|\s)marketdata\s+(?=\S)", text)
        if at and not re.search(r"[|&;]", text):
            found.append(shlex.split(text[at.end() :], comments=True))
    return found


def refusal(words: list[str]) -> str:
    """Why these words after `marketdata` are no command of the app; empty where they are."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    words = [one for one in words if one != "..."]
    while words and words[0].startswith("--"):
        option = words.pop(0)
        if option not in options(group):
            return f"marketdata has no option {option}"
        if option == "--home":
            words.pop(0)
    if not words:
        return ""
    name, *rest = words
    if name not in group.commands:
        return f"marketdata has no command {name}"
    command = group.commands[name]
    if isinstance(command, TyperGroup) and rest and rest[0] in command.commands:
        name, command = f"{name} {rest[0]}", command.commands[rest.pop(0)]
    known = options(command)
    unknown = [one for one in rest if one.startswith("-") and one not in {*known, "-"}]
    return f"marketdata {name} has no option {unknown[0]}" if unknown else ""


def options(command: Any) -> set[str]:
    return {"--help"} | {name for one in command.params for name in one.opts}


def venue_table() -> str:
    rows = "\n".join(
        f"| `.{suffix}` | {one.calendar} | {one.zone} | {one.currency} |"
        for suffix, one in sorted(BY_SUFFIX.items())
    )
    return f"| suffix | calendar | zone | currency |\n|---|---|---|---|\n{rows}\n"


def index_table() -> str:
    rows = "\n".join(
        f"| `{index}` | {one.calendar} | {one.zone} |" for index, one in sorted(BY_INDEX.items())
    )
    return f"| index | calendar | zone |\n|---|---|---|\n{rows}\n"


def with_tables(text: str) -> str:
    """The page of instruments with its tables as the code has them now."""
    for start, end, table in (
        ("<!-- venues:", "<!-- end of venues", venue_table()),
        ("<!-- indices", "<!-- end of indices", index_table()),
    ):
        before, mark, rest = text.partition(start)
        first_line, _, body = rest.partition("\n")
        text = f"{before}{mark}{first_line}\n{table}{body[body.index(end) :]}"
    return text


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_each_relative_link_leads_to_a_file(page: Path) -> None:
    targets = [one for one in _LINK.findall(page.read_text("utf-8")) if "://" not in one]
    lost = [one for one in targets if not (page.parent / one.partition("#")[0]).exists()]
    assert lost == []


def test_each_image_is_shown_and_small() -> None:
    images = set((ROOT / "docs" / "images").iterdir())
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in _LINK.findall(page.read_text("utf-8"))
    }
    assert images
    assert images <= shown
    assert [one.name for one in images if one.stat().st_size > LARGEST_IMAGE] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_each_marketdata_command_and_option_exists(page: Path) -> None:
    wrong = {" ".join(words): why for words in commands(page) if (why := refusal(words))}
    assert wrong == {}


def test_commands_are_found_where_they_stand() -> None:
    assert ["backfill", "AAPL"] in commands(ROOT / "README.md")
    assert ["--home", "FOLDER", "..."] in commands(ROOT / "docs" / "run.md")
    assert ["status", "--json"] in commands(ROOT / "docs" / "operate.md")


@pytest.mark.parametrize(
    "words",
    [
        "queue add AAPL --soon",
        "mend AAPL",
        "bars AAPL --plot",
        "--folder x status",
        "status --csv",
    ],
)
def test_a_command_that_does_not_exist_is_noticed(words: str) -> None:
    assert refusal(words.split())


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_each_setting_that_a_page_names_exists(page: Path) -> None:
    keys = Settings.keys()
    known = {PREFIX + one.upper() for one in keys.known}
    known |= {f"{PREFIX}{one.upper()}_FILE" for one in keys.secret}
    example = {"MARKETDATA_LOG_LEVL"}  # the slip of the pen whose error is shown
    assert set(_SETTING.findall(page.read_text("utf-8"))) - known - example == set()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_each_python_snippet_compiles(page: Path) -> None:
    for body in blocks(page, "python"):
        ast.parse(body)


def test_the_readme_reads_bars_in_python() -> None:
    assert "get_ohlcv(" in "".join(blocks(ROOT / "README.md", "python"))


def test_the_tables_of_instruments_are_current() -> None:
    text = INSTRUMENTS.read_text("utf-8")
    assert text == with_tables(text), "run: python -m marketdata_pipeline_tests.test_docs"
    assert venue_table() in text
    assert index_table() in text


def test_each_instrument_that_the_page_gives_as_an_example_is_one() -> None:
    table = INSTRUMENTS.read_text("utf-8").partition("A name says")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")]
    for _, examples, kind, *_ in rows[1:]:
        for example in _INLINE.findall(examples):
            assert str(Instrument.parse(example).asset_class) == kind, example


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_page_is_short(page: Path) -> None:
    assert len(_BLOCK.sub("", page.read_text("utf-8")).splitlines()) <= LONGEST_PAGE


if __name__ == "__main__":
    INSTRUMENTS.write_text(with_tables(INSTRUMENTS.read_text("utf-8")), "utf-8")
