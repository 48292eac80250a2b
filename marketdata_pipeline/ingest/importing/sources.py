"""Which files an import means, what is said of each, and which belong together.

Not here: reading their rows (files) and importing them (paths).
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline.ingest.importing.naming import SUFFIXES, Named, named_above, named_by
from marketdata_pipeline.ingest.importing.said import Said
from marketdata_pipeline.ingest.importing.sidecars import METADATA, Sidecars


@dataclass(frozen=True, slots=True)
class Source:
    """A file of bars.

    Attributes:
        name: its path from the folder that is imported on; for messages.
        instrument, timeframe: what is said of it; None: nothing.
        sure: not by the mere name of the file.
        said: all that stands beside it.
        alone: the person named this very file.
    """

    path: Path
    name: str
    instrument: Instrument | None
    timeframe: Timeframe | None
    sure: bool
    said: Said
    alone: bool = False

    def hearing(self, within: Said) -> "Source":
        """The same with what the file says within, where nothing else says it."""
        said = self.said.or_else(within)
        instrument = self.instrument if self.sure else None
        return replace(
            self,
            said=said,
            instrument=instrument or within.instrument or self.instrument,
            timeframe=self.timeframe or within.timeframe,
            sure=self.sure or within.instrument is not None,
        )


def sources_in(paths: Sequence[Path], suffixes: tuple[str, ...] = SUFFIXES) -> list[Source]:
    """The files of bars that are meant: files as they are, folders with all that is below them.

    ``suffixes`` are those of files in folders that count.

    Raises:
        BadInput: a path is not there, a folder has no such file, or what is said of one of them
            contradicts itself.
    """
    found: dict[Path, Source] = {}
    for path in paths:
        if path.is_dir():
            below = sorted(_below(path, suffixes))
            if not below:
                raise BadInput(f"{path} holds no file that ends in {', '.join(suffixes)}")
            sidecars = Sidecars(path.absolute())
            for one in below:
                found.setdefault(one, _in_folder(one.absolute(), sidecars))
        elif path.is_file():
            found.setdefault(path, _alone(path))
        else:
            raise BadInput(f"{path} is no file and no folder; name one that holds bars")
    return list(found.values())


def groups_of(sources: Sequence[Source]) -> list[list[Source]]:
    """The files of one series on the same terms together, in the order of their names."""
    groups: dict[tuple[object, ...], list[Source]] = {}
    for one in sources:
        whole = one.instrument is not None and one.timeframe is not None
        key = (one.instrument, one.timeframe, one.said) if whole else (one.path,)
        groups.setdefault(key, []).append(one)
    return [sorted(group, key=lambda one: one.name) for group in groups.values()]


def _below(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """Files of bars below a folder; hidden ones and ``_metadata`` are none. Links are followed."""
    seen: set[tuple[int, int]] = set()
    for top, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        about = Path(top).stat()
        if (about.st_dev, about.st_ino) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        folders[:] = sorted(one for one in folders if not one.startswith(".") and one != METADATA)
        for name in sorted(files):
            path = Path(top) / name
            if name.lower().endswith(suffixes) and not name.startswith(".") and path.is_file():
                yield path


def _refuse(error: OSError) -> None:
    raise BadInput(f"{error.filename} cannot be read: {error.strerror or error}") from error


def _in_folder(path: Path, sidecars: Sidecars) -> Source:
    root = sidecars.root
    parts = path.relative_to(root).parts
    named = named_above(named_by(parts), path.name, [root.name, root.parent.name])
    return _source(path, "/".join(parts), named, sidecars)


def _alone(path: Path) -> Source:
    """A file that the person named itself."""
    path = path.absolute()
    folder = path.parent
    named = named_above(named_by([path.name]), path.name, [folder.name, folder.parent.name])
    return replace(_source(path, path.name, named, Sidecars(folder)), alone=True)


def _source(path: Path, name: str, named: Named, sidecars: Sidecars) -> Source:
    """What stands beside a file counts before names."""
    said = sidecars.of(path, named.instrument)
    sure = named.sure or said.instrument is not None
    instrument, timeframe = said.instrument or named.instrument, said.timeframe or named.timeframe
    return Source(path, name, instrument, timeframe, sure, said)
