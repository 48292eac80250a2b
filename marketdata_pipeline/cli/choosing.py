"""Which instruments a mass command means: named, all tracked, those of a class, or of a file.

Not here: their timeframes (running).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from marketdata_pipeline.domain.instrument import AssetClass, Instrument
from marketdata_pipeline.errors import BadInput


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person chose.

    Attributes:
        named: the instruments themselves, typed or from a file; empty: tracked ones are meant.
        asset_class: of the tracked ones only those of this class; None: all.
    """

    named: tuple[Instrument, ...] = ()
    asset_class: AssetClass | None = None

    @classmethod
    def parse(
        cls, typed: Sequence[str], asset_class: str, file: Path | None, *, everything: bool
    ) -> Self:
        """The choice by exactly one of the four ways.

        Raises:
            BadInput: none or several of them; a class, a file or an instrument that is none.
        """
        if sum((bool(typed), everything, bool(asset_class), file is not None)) != 1:
            raise BadInput("give exactly one of: instruments, --all, --class, --file")
        if asset_class:
            return cls(asset_class=_parse_class(asset_class))
        if file is not None:
            return cls(named=tuple(listed(file)))
        return cls(named=tuple(dict.fromkeys(map(Instrument.parse, typed))))

    def of(
        self,
        tracked: Iterable[Instrument],
        classes: Mapping[Instrument, AssetClass],
        *,
        word: str = "tracked",
    ) -> list[Instrument]:
        """The instruments meant.

        Args:
            tracked: those that are, or others that a command works on.
            classes: what each is, as the provider told; the spelling counts where it is absent.
            word: what such instruments are, for messages.

        Raises:
            BadInput: nothing that is tracked is meant.
        """
        if self.named:
            return list(self.named)
        kept = list(tracked)
        if not kept:
            raise BadInput(f"nothing is {word} yet; run: marketdata track AAPL")
        if self.asset_class is None:
            return kept
        of_each = {one: classes.get(one, one.asset_class) for one in kept}
        found = [one for one in kept if of_each[one] is self.asset_class]
        if not found:
            known = ", ".join(sorted({str(one) for one in of_each.values()}))
            raise BadInput(
                f"none of {len(kept)} {word} instruments is of the class {self.asset_class}; "
                f"there are: {known} (an ETF or a fund counts as equity until its first update)"
            )
        return found


def _parse_class(text: str) -> AssetClass:
    try:
        return AssetClass(text.strip().lower())
    except ValueError as error:
        known = ", ".join(map(str, AssetClass))
        raise BadInput(f"{text!r} is no asset class; use one of {known}") from error


def listed(file: Path) -> list[Instrument]:
    """The instruments of a file, one a line, each once; what follows a # is a comment.

    Raises:
        BadInput: it cannot be read, names none, or a line is no instrument.
    """
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{file} is no text in UTF-8") from error
    found: dict[Instrument, None] = {}
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            found[Instrument.parse(text)] = None
        except BadInput as error:
            raise BadInput(f"{file}, line {number}: {error}") from error
    if not found:
        raise BadInput(f"{file} names no instrument; write one a line, e.g. AAPL")
    return list(found)
