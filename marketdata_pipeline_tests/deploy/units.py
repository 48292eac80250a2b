"""The units of deploy/postgres as systemd reads them: which program with which words, and when up.

Not here: starting them (stack). Paths of an installation become those of this checkout.
"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from configparser import RawConfigParser
from dataclasses import dataclass
from pathlib import Path
from string import Template

DEPLOY = Path(__file__).parents[2] / "deploy" / "postgres"
UNITS = DEPLOY / "systemd"
EXAMPLE = DEPLOY / "marketdata.env.example"
NAMES = ("code-server", "webserver", "daemon")
"""In the order in which systemd starts them."""
INSTALLED, PROGRAMS = "/opt/marketdata", "/opt/marketdata/.venv/bin"


@dataclass(frozen=True, slots=True)
class Unit:
    """One service.

    Attributes:
        command: of its main process, with ``${NAME}`` in it for what its environment holds.
        after_start: what has to succeed before it counts as up; empty: nothing.
        settings: all of its keys, as they are written, by section.
    """

    name: str
    command: tuple[str, ...]
    after_start: tuple[str, ...]
    settings: Mapping[str, Mapping[str, str]]

    @classmethod
    def read(cls, name: str) -> "Unit":
        """The unit of one of ``NAMES``."""
        parser = _Parser(delimiters=("=",), comment_prefixes=("#",), strict=False)
        parser.read(UNITS / f"marketdata-{name}.service", "utf-8")
        service = parser["Service"]
        return cls(
            name,
            command=tuple(shlex.split(service["ExecStart"])),
            after_start=tuple(shlex.split(service.get("ExecStartPost", ""))),
            settings={one: dict(parser[one]) for one in parser.sections()},
        )


class _Parser(RawConfigParser):
    def optionxform(self, optionstr: str) -> str:
        return optionstr  # keys as they are written


def here(words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """A unit's command as it runs from this checkout with these variables.

    Raises:
        KeyError: a variable that the environment has not.
    """
    own = {PROGRAMS: str(Path(sys.executable).parent), INSTALLED: str(DEPLOY.parents[1])}
    found = []
    for word in words:
        for installed, ours in own.items():
            word = word.replace(installed, ours)  # noqa: PLW2901 - step by step, longest first
        found.append(Template(word).substitute(environment))
    return found


def example() -> dict[str, str]:
    """The variables of the example of an environment file."""
    lines = EXAMPLE.read_text("utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line.strip() and not line.startswith("#"))
    return {name: value for name, _, value in pairs}
