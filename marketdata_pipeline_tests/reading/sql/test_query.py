"""One statement that asks; anything else gets a sentence."""

import pytest

from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.reading.sql.query import Query


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "FROM bars_1d;",
        "-- why\nWITH a AS (SELECT 1) FROM a",
        "VALUES (1)",
        "TABLE series",
        "PIVOT bars_1d ON instrument USING last(close) GROUP BY ts",
        "DESCRIBE bars",
        "SUMMARIZE bars",
        "SHOW TABLES",
        "EXPLAIN SELECT 1",
        "SELECT 'copy', \"insert\" FROM bars",
    ],
)
def test_a_question_is_let_through(text: str) -> None:
    assert Query.parse(text).text == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the query is empty; try: FROM series"),
        (" -- nothing\n;", "the query is empty"),
        ("SELECT 1; SELECT 2", "one query at a time"),
        ("selec", 'Parser Error: syntax error at or near "selec"'),
        ("SELECT 'open", "Parser Error: unterminated string literal"),
        ("COPY (SELECT 1) TO 'x.csv'", "sql only reads; begin with SELECT, FROM"),
        ("CREATE TABLE x (i int)", "sql only reads"),
        ("INSERT INTO series VALUES (1)", "sql only reads"),
        ("ATTACH 'x.db'", "sql only reads"),
        ("SET threads = 1", "sql only reads"),
        ("PRAGMA database_list", "sql only reads"),
        ("CALL checkpoint()", "sql only reads"),
        ("INSTALL httpfs", "sql only reads"),
        ("LOAD httpfs", "sql only reads"),
        ("EXPORT DATABASE 'x'", "sql only reads"),
        ("IMPORT DATABASE 'x'", "sql only reads"),
        ("BEGIN", "sql only reads"),
        ("UPDATE EXTENSIONS", "sql only reads"),
        ("SELECT '\udc80'", "sql only reads"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(BadInput) as found:
        Query.parse(text)
    assert str(found.value).startswith(said)
    assert "\n" not in str(found.value)


def test_a_query_mentions_what_stands_in_it_in_any_case() -> None:
    query = Query.parse('select * from BARS_1D join "Series" using (instrument) -- quality?')
    assert [query.mentions(one) for one in ("bars_1d", "series", "quality")] == [True] * 3
    assert [query.mentions(one) for one in ("bars", "bars_1", "actions")] == [False] * 3
