"""Columns of the kinds that the catalog's tables have, and how constraints are named.

Not here: the tables (metadata, governing).
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Text

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def row_id() -> Column[int]:
    """An id that the database gives."""
    # SQLite counts only INTEGER PRIMARY KEY by itself.
    wide = BigInteger().with_variant(Integer(), "sqlite")
    return Column("id", wide, primary_key=True, autoincrement=True)


def ref(name: str, target: str, *, primary_key: bool = False) -> Column[int]:
    """A reference to a row of another table."""
    return Column(name, BigInteger, ForeignKey(target), primary_key=primary_key, nullable=False)


def micros(name: str, *, nullable: bool = False, primary_key: bool = False) -> Column[int]:
    """An instant or a length in microseconds."""
    return Column(name, BigInteger, nullable=nullable, primary_key=primary_key)


def string(name: str, *, nullable: bool = False, primary_key: bool = False) -> Column[str]:
    """A text."""
    return Column(name, Text, nullable=nullable, primary_key=primary_key)


def count(name: str) -> Column[int]:
    """A whole number that is never missing."""
    return Column(name, BigInteger, nullable=False)
