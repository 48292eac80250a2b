"""The registry of kinds; `python -m marketdata_pipeline_tests.alerts.test_kinds` writes its table
in docs/alerts.md."""

import pytest

from marketdata_pipeline.alerts.kinds import KINDS
from marketdata_pipeline_tests.conftest import ROOT

PAGE = ROOT / "docs" / "alerts.md"


def table() -> str:
    rows = "\n".join(
        f"| `{name}` | {one.watches} | {one.severity}{', weighed' if one.weighed else ''} "
        f"| {one.advice} |"
        for name, one in KINDS.items()
    )
    return f"| kind | begins when | severity | what to do |\n|---|---|---|---|\n{rows}\n"


def with_table(text: str) -> str:
    """The page with the table as the code has it now."""
    before, mark, rest = text.partition("<!-- kinds:")
    first, _, body = rest.partition("\n")
    return f"{before}{mark}{first}\n{table()}{body[body.index('<!-- end of kinds') :]}"


def test_the_page_maps_each_failure_to_its_alert() -> None:
    text = PAGE.read_text("utf-8")
    assert text == with_table(text), "run: python -m marketdata_pipeline_tests.alerts.test_kinds"


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_says_in_a_sentence_what_it_watches_and_what_to_do(name: str) -> None:
    one = KINDS[name]
    assert one.watches
    assert one.advice
    assert not one.watches.endswith(".")
    assert set(one.behind) <= set(KINDS)


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
