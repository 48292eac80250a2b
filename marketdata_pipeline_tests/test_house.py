import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

from marketdata_pipeline_tests.conftest import ROOT

PACKAGE = ROOT / "marketdata_pipeline"
LONGEST = 300
PROGRAMS = Path(sys.executable).parent

# A house with the real floors and next to nothing on them.
SKELETON = (
    "definitions.py",
    "defs/__init__.py",
    "defs/assets.py",
    "web/__init__.py",
    "web/api.py",
    "cli/__init__.py",
    "cli/app.py",
    "orchestrator.py",
    "reading/__init__.py",
    "reading/manager.py",
    "ingest/__init__.py",
    "ingest/track.py",
    "ingest/update.py",
    "providers/__init__.py",
    "providers/base.py",
    "providers/binance.py",
    "providers/yahoo.py",
    "governor/__init__.py",
    "store/__init__.py",
    "store/chunks.py",
    "database/__init__.py",
    "domain/__init__.py",
    "domain/bars.py",
    "errors.py",
    "config.py",
)


def modules_over(longest: int, package: Path) -> list[str]:
    return [
        f"{module.relative_to(package.parent)}: {lines} lines"
        for module in sorted(package.rglob("*.py"))
        if (lines := len(module.read_text().splitlines())) > longest
    ]


def modules_without_docstring(package: Path) -> list[str]:
    return [
        str(module.relative_to(package.parent))
        for module in sorted(package.rglob("*.py"))
        if not ast.get_docstring(ast.parse(module.read_text()))
    ]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout with the project's real rules and a package to plant violations in."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    package = tmp_path / "marketdata_pipeline"
    for name in ("__init__.py", *SKELETON):
        module = package / name
        module.parent.mkdir(exist_ok=True, parents=True)
        module.write_text('"""One floor of the house."""\n')
    return tmp_path


def plant(checkout: Path, module: str, code: str) -> None:
    (checkout / "marketdata_pipeline" / module).write_text(f'"""Planted."""\n\n{code}\n')


def outcome(checkout: Path, program: str, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [str(PROGRAMS / program), *arguments],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_no_module_is_longer_than_300_lines() -> None:
    assert modules_over(LONGEST, PACKAGE) == []


def test_each_module_says_what_is_in_it() -> None:
    assert modules_without_docstring(PACKAGE) == []


def test_a_module_of_301_lines_is_found(copy: Path) -> None:
    assert modules_over(LONGEST, copy / "marketdata_pipeline") == []
    plant(copy, "store/chunks.py", "\n".join("X = 1" for _ in range(LONGEST - 1)))
    assert modules_over(LONGEST, copy / "marketdata_pipeline") == [
        "marketdata_pipeline/store/chunks.py: 301 lines"
    ]


def test_a_module_without_docstring_is_found(copy: Path) -> None:
    (copy / "marketdata_pipeline/store/chunks.py").write_text("X = 1\n")
    assert modules_without_docstring(copy / "marketdata_pipeline") == [
        "marketdata_pipeline/store/chunks.py"
    ]


def test_imports_that_run_down_are_kept(copy: Path) -> None:
    plant(copy, "definitions.py", "import dagster\n\nimport marketdata_pipeline.defs.assets")
    plant(copy, "defs/assets.py", "import dagster\n\nimport marketdata_pipeline.ingest.update")
    plant(copy, "cli/app.py", "import marketdata_pipeline.config")
    plant(copy, "ingest/update.py", "import marketdata_pipeline.providers.yahoo")
    plant(
        copy, "providers/yahoo.py", "import yfinance\n\nimport marketdata_pipeline.providers.base"
    )
    plant(copy, "store/chunks.py", "import sqlalchemy\n\nimport marketdata_pipeline.domain.bars")
    code, said = outcome(copy, "lint-imports", "--no-cache")
    assert code == 0, said


@pytest.mark.parametrize(
    ("module", "imported", "reported"),
    [
        ("domain/bars.py", "sqlalchemy", "The domain does no I/O BROKEN"),
        ("domain/bars.py", "marketdata_pipeline.store.chunks", "adapters -> domain BROKEN"),
        ("store/chunks.py", "marketdata_pipeline.providers.yahoo", "adapters -> domain BROKEN"),
        ("cli/app.py", "marketdata_pipeline.web.api", "adapters -> domain BROKEN"),
        ("providers/yahoo.py", "dagster", "Dagster stays at the edge BROKEN"),
        ("cli/app.py", "dagster", "Dagster stays at the edge BROKEN"),
        (
            "providers/yahoo.py",
            "marketdata_pipeline.providers.binance",
            "Providers do not know each other BROKEN",
        ),
        ("store/chunks.py", "marketdata_pipeline.config", "Only edges read the settings BROKEN"),
        ("reading/manager.py", "yfinance", "Reading never fetches BROKEN"),
        ("web/api.py", "marketdata_pipeline.ingest.update", "Reading never fetches BROKEN"),
        (
            "ingest/track.py",
            "marketdata_pipeline.providers.yahoo",
            "Reading never fetches BROKEN",
        ),
    ],
)
def test_an_import_that_runs_up_or_sideways_is_refused(
    copy: Path, module: str, imported: str, reported: str
) -> None:
    plant(copy, module, f"import {imported}")
    code, said = outcome(copy, "lint-imports", "--no-cache")
    assert code == 1, said
    assert reported in said


def test_what_web_reaches_through_others_counts_as_its_own(copy: Path) -> None:
    plant(copy, "web/api.py", "import marketdata_pipeline.ingest.track")
    plant(copy, "ingest/track.py", "import marketdata_pipeline.ingest.update")
    plant(copy, "ingest/update.py", "import marketdata_pipeline.providers.yahoo")
    code, said = outcome(copy, "lint-imports", "--no-cache")
    assert code == 1, said
    assert "Reading never fetches BROKEN" in said


def test_a_package_without_a_floor_is_refused(copy: Path) -> None:
    plant(copy, "helpers.py", "X = 1")
    code, said = outcome(copy, "lint-imports", "--no-cache")
    assert code == 1, said
    assert "helpers" in said


TANGLED = "def tangled(x):\n" + "".join(f"    if x == {n}:\n        x += 1\n" for n in range(8))


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("import unittest.mock", "TID251"),
        ("from unittest.mock import Mock", "TID251"),
        ("from __future__ import annotations", "TID251"),
        ("from datetime import datetime\n\nNOW = datetime.utcnow()", "TID251"),
        ("import time\n\ntime.sleep(1)", "TID251"),
        ("from .bars import X", "TID252"),
        ('print("hello")', "T201"),
        ("try:\n    X = 1\nexcept Exception:\n    X = 2", "BLE001"),
        (TANGLED, "C901"),
        ("def many(a, b, c, d, e, f, g):\n    return a, b, c, d, e, f, g", "PLR0913"),
    ],
)
def test_ruff_refuses(copy: Path, code: str, rule: str) -> None:
    plant(copy, "domain/bars.py", code)
    returncode, said = outcome(
        copy, "ruff", "check", "--no-cache", "--output-format=concise", "marketdata_pipeline"
    )
    assert returncode == 1, said
    assert any("domain/bars.py" in line and f" {rule} " in line for line in said.splitlines()), said


def test_ruff_has_nothing_against_the_bare_house(copy: Path) -> None:
    code, said = outcome(copy, "ruff", "check", "--no-cache", "marketdata_pipeline")
    assert code == 0, said


def test_what_is_not_formatted_is_refused(copy: Path) -> None:
    assert outcome(copy, "ruff", "format", "--check", "--no-cache", ".")[0] == 0
    plant(copy, "domain/bars.py", "X = {  'a':1}")
    code, said = outcome(copy, "ruff", "format", "--check", "--no-cache", ".")
    assert code == 1, said
    assert "domain/bars.py" in said


UNTYPED = """
from typing import Any

def one(x):
    return x

X: int = "text"

def two(x: Any) -> int:
    return x
"""


def test_mypy_refuses(copy: Path) -> None:
    plant(copy, "errors.py", UNTYPED)
    asked = ("--no-incremental", "-m", "marketdata_pipeline.errors")
    returncode, told = outcome(copy, "mypy", *asked)
    assert returncode == 1, told
    for said in ("no-untyped-def", "assignment", "no-any-return"):
        assert f"[{said}]" in told


def test_a_warning_fails_a_test(copy: Path) -> None:
    test = copy / "marketdata_pipeline_tests" / "test_planted.py"
    test.parent.mkdir()
    test.write_text("import warnings\n\n\ndef test_one():\n    warnings.warn('old')\n")
    code, said = outcome(copy, "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider")
    assert code == 1, said
    assert "UserWarning: old" in said


def test_too_little_coverage_fails(copy: Path) -> None:
    test = copy / "marketdata_pipeline_tests" / "test_planted.py"
    test.parent.mkdir()
    test.write_text("def test_one():\n    import marketdata_pipeline.errors\n")
    plant(copy, "errors.py", "def never():\n" + "    x = 1\n" * 30)
    code, said = outcome(copy, "pytest", "-q", "-p", "no:randomly", "--cov")
    assert code != 0, said
    assert "Required test coverage of 90.0% not reached" in said


def test_an_undeclared_dependency_is_found(copy: Path) -> None:
    plant(copy, "store/chunks.py", "import click")
    code, said = outcome(copy, "deptry", "--no-ansi", "marketdata_pipeline")
    assert code == 1, said
    assert "DEP003 'click'" in said


def test_pyproject_leaves_the_finding_of_definitions_to_the_workspace_file() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert "dagster" not in tools, "[tool.dagster] silently beats workspace.yaml"
    assert tools["dg"]["directory_type"] == "project"


@pytest.mark.parametrize("turn", [1, 2])
def test_each_caller_gets_an_empty_database_of_its_own(database_url: str, turn: int) -> None:
    engine = create_engine(database_url, poolclass=NullPool)
    assert inspect(engine).get_table_names() == []
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE kept (turn integer)"))
        connection.execute(text("INSERT INTO kept VALUES (:turn)"), {"turn": turn})
        assert connection.execute(text("SELECT turn FROM kept")).scalar_one() == turn


def test_the_postgres_url_is_a_real_server_reached_by_psycopg2(postgres_url: str) -> None:
    engine = create_engine(postgres_url, poolclass=NullPool)
    with engine.connect() as connection:
        assert connection.dialect.driver == "psycopg2"
        version = connection.execute(text("SHOW server_version_num")).scalar_one()
    assert int(version) >= 140000, "the oldest that is tested"
