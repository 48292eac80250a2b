"""What messages call a file, and a line of it.

Not here: where files are (folders).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A file, or a frame in memory; ``unit`` is what its rows are counted in."""

    name: str
    unit: str = "row"

    def at(self, number: int) -> str:
        """A line or a row of it."""
        return f"{self.name}, {self.unit} {number}"

    def __str__(self) -> str:
        return self.name
