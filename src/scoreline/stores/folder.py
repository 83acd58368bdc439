"""A local folder of input files, one or several for each partition, whatever their format.

It finds the files, tells whether they are still those that were planned, and cuts them into splits; the format reads
them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from scoreline.abc import Batch, InputFormat
from scoreline.casts import widen
from scoreline.errors import InputChanged, InputInvalid, InputMissing, StorageUnfit
from scoreline.partition import Grid, Partition
from scoreline.splits import FileIdentity, Split
from scoreline.stores import local
from scoreline.template import Template

_LISTED_FILES = 1_000_000
_UNITS_PER_SPLIT = 4
_SPLITS_PER_WORKER = 4


@dataclass(frozen=True)
class FolderSource(ABC):
    """What sources of local files have in common; they add ``format``.

    Args:
        folder: where the template's paths begin.
        template: path of a partition's file, or of its files with wildcards.
        grid: the job's grid.
        values: fields that the job fills.
    """

    folder: Path
    template: Template
    grid: Grid
    values: tuple[tuple[str, str], ...] = ()

    @property
    @abstractmethod
    def format(self) -> InputFormat:
        """How the files are read."""

    def partitions(self) -> list[Partition]:
        """See `scoreline.abc.Source.partitions`."""
        found = (
            self.template.partition_of(self.template.fixed_prefix + path, self.grid, dict(self.values))
            for path in listed(self.folder, self.template)
        )
        return sorted({one for one in found if one is not None}, key=lambda one: one.slug)

    def fingerprint(self, partition: Partition) -> tuple[FileIdentity, ...]:
        """See `scoreline.abc.Source.fingerprint`."""
        pattern = self.template.render(partition, dict(self.values))
        paths = local.matching(self.folder, pattern)
        if not paths:
            raise missing(partition, self.folder / pattern, "is not there", self.partitions())
        return tuple(self.identify(path) for path in paths)

    def splits(self, files: Sequence[FileIdentity], workers: int) -> list[Split]:
        """See `scoreline.abc.Source.splits`."""
        units = []
        for file in files:
            with local.open_input(Path(file.path)) as handle:
                require_same(handle, file)
                units.append(self.format.units(handle, file))
        wanted = sum(map(len, units)) // (workers * _SPLITS_PER_WORKER)
        per_split = min(max(wanted, 1), _UNITS_PER_SPLIT)
        cut = [
            (file, ordinal, piece)
            for ordinal, (file, own) in enumerate(zip(files, units, strict=True))
            for piece in self.format.cut(own, per_split)
        ]
        return [Split(index, file, ordinal, piece) for index, (file, ordinal, piece) in enumerate(cut)]

    def read(self, split: Split, columns: Sequence[str]) -> Iterator[Batch]:
        """See `scoreline.abc.Source.read`."""
        with local.open_input(Path(split.file.path)) as handle:
            require_same(handle, split.file)
            try:
                for unit, frame in self.format.read(handle, split, columns):
                    # What is handed out was read before the file was found unchanged.
                    require_same(handle, split.file)
                    yield Batch(widen(frame), unit.first_row)
            except InputInvalid:
                # A file that changes while it is read looks damaged.
                require_same(handle, split.file)
                raise

    def done(self, partition: Partition, files: Sequence[FileIdentity]) -> tuple[str, ...]:
        """See `scoreline.abc.Source.done`: files stay where they are."""
        return ()

    def identify(self, path: Path) -> FileIdentity:
        """See `scoreline.abc.FileSource.identify`."""
        with local.open_input(path) as handle:
            footer, rows = self.format.identify(handle, str(path))
            return local.identity(handle, path, footer, rows)


def listed(folder: Path, template: Template) -> Iterator[str]:
    """Paths of the files that may be input, below the template's fixed folder; not without end.

    Raises:
        StorageUnfit: there are so many that the folder can hardly be the one that is meant.
    """
    top = folder / template.fixed_folder
    for number, path in enumerate(local.all_files(top, template.depth)):
        if number == _LISTED_FILES:
            raise StorageUnfit(
                f"{top} holds more than {_LISTED_FILES:,} files, and looking for partitions among them has no end",
                hint="give the input a folder of its own, and move away what was scored long ago",
            )
        yield path


def missing(
    partition: Partition, path: Path, why: str, others: Sequence[Partition], called: str = "partitions that are there"
) -> InputMissing:
    """The error of a partition without input, with the last of those that have some, for who mistyped its name."""
    there = [one.slug for one in others]
    shown = f"{', '.join(there[-6:])} ({len(there)} in all)" if there else "none"
    return InputMissing(
        f"no input for {partition}: {path} {why}",
        hint=f"{called}: {shown}",
        path=str(path),
        partition=partition.slug,
    )


def require_same(handle: BinaryIO, known: FileIdentity) -> None:
    """Checks that an open file is still the planned one.

    Raises:
        InputChanged: it is not.
    """
    if not local.is_same(handle, known):
        raise InputChanged(
            f"{known.path} changed while its partition was being scored",
            hint="run the same command again once the file is complete",
        )
