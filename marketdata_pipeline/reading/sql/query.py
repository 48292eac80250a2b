"""A query before it is run: one statement that asks, and the names that it mentions.

Not here: running it, and what keeps it from writing whatever it says (engine).
"""

import re
from dataclasses import dataclass
from typing import Self

from marketdata_pipeline.errors import BadInput

_ONLY_READS = (
    "sql only reads; begin with SELECT, FROM, WITH, VALUES, PIVOT, DESCRIBE, SUMMARIZE, SHOW or "
    "EXPLAIN"
)


@dataclass(frozen=True, slots=True)
class Query:
    """A query; make one with ``parse``.

    Attributes:
        text: as it was written.
        words: every word of it, lower case, also those in strings and comments: it uses no table
            whose name is not among them, unless it puts a name together.
    """

    text: str
    words: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """The query of a text.

        Raises:
            BadInput: empty, no SQL, several statements, or one of a kind that changes something.
        """
        import duckdb

        asks = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
        asks.add(duckdb.StatementType.MULTI)  # a PIVOT, which looks for its columns first
        try:
            with duckdb.connect(":memory:") as scratch:
                kinds = [one.type for one in scratch.extract_statements(text)]
        except duckdb.Error as error:
            raise BadInput(sentence(error)) from error
        except (ValueError, TypeError) as error:  # a kind, a text that the Python side cannot say
            raise BadInput(_ONLY_READS) from error
        if len(kinds) != 1:
            said = "one query at a time" if kinds else "the query is empty; try: FROM series"
            raise BadInput(said)
        if kinds[0] not in asks:
            raise BadInput(_ONLY_READS)
        return cls(text, frozenset(re.findall(r"\w+", text.lower())))

    def mentions(self, table: str) -> bool:
        """Whether it can use a table."""
        return table in self.words


def sentence(error: Exception) -> str:
    """DuckDB's own message as one line, without the lines that point into the query."""
    told = str(error).partition("\n\nLINE ")[0]
    return " ".join(told.split()) or type(error).__name__
