"""One given file as the whole input of a partition, wherever it lies; it stays there.

It wraps the source that reads the file, and must not know the file's format.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scoreline.abc import Batch, FileSource
from scoreline.partition import Partition
from scoreline.splits import FileIdentity, Split


@dataclass(frozen=True)
class GivenFile:
    """Implements `scoreline.abc.Source` over one file.

    Args:
        inner: reads it.
        path: of the file, absolute.
    """

    inner: FileSource
    path: Path

    def partitions(self) -> list[Partition]:
        """None: whose input it is, the caller says."""
        return []

    def fingerprint(self, partition: Partition) -> tuple[FileIdentity, ...]:
        """See `scoreline.abc.Source.fingerprint`: the same file for every partition."""
        return (self.inner.identify(self.path),)

    def splits(self, files: Sequence[FileIdentity], workers: int) -> list[Split]:
        """See `scoreline.abc.Source.splits`."""
        return self.inner.splits(files, workers)

    def read(self, split: Split, columns: Sequence[str]) -> Iterator[Batch]:
        """See `scoreline.abc.Source.read`."""
        return self.inner.read(split, columns)

    def done(self, partition: Partition, files: Sequence[FileIdentity]) -> tuple[str, ...]:
        """See `scoreline.abc.Source.done`: it is not Scoreline's to move."""
        return ()
