"""A source with the corrections that people recorded laid over its rows.

Rows stay where they are, with their numbers; a file without corrections is read as if this were not here. Which
corrections count is pinned with the file, so that a run sees one set of them from its first row to its last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from scoreline.abc import Batch, KeepsProcessed, Source
from scoreline.corrections import Corrections, bare
from scoreline.overlay import laid_over
from scoreline.partition import Partition
from scoreline.splits import FileIdentity, Split


@dataclass(frozen=True)
class CorrectedSource:
    """Implements `scoreline.abc.Source` around another one.

    Args:
        inner: the other one.
        corrections: of the job.
        kinds: column -> the type that the job declares for it.
        withdraw: the command that takes corrections back, without the partition; for hints.
    """

    inner: Source
    corrections: Corrections
    kinds: tuple[tuple[str, pl.DataType], ...] = ()
    withdraw: str = "scoreline quarantine withdraw JOB"

    def partitions(self) -> list[Partition]:
        """See `scoreline.abc.Source.partitions`."""
        return self.inner.partitions()

    def fingerprint(self, partition: Partition) -> tuple[FileIdentity, ...]:
        """See `scoreline.abc.Source.fingerprint`; with the corrections of each file.

        Raises:
            CorrectionsOutdated: some are for a file that is not the same any more.
        """
        command = f"{self.withdraw} {partition.slug}"
        return self.corrections.bound(partition.slug, self.inner.fingerprint(partition), command)

    def splits(self, files: Sequence[FileIdentity], workers: int) -> list[Split]:
        """See `scoreline.abc.Source.splits`."""
        cut = self.inner.splits([bare(file) for file in files], workers)
        return [replace(split, file=files[split.ordinal]) for split in cut]

    def read(self, split: Split, columns: Sequence[str]) -> Iterator[Batch]:
        """See `scoreline.abc.Source.read`.

        Raises:
            CorrectionsInvalid: a corrected value is none of its column's type.
            FilesDamaged: corrections are gone, or not as they were recorded.
        """
        given = self.corrections.given(split.file, self.withdraw)
        for batch in self.inner.read(replace(split, file=bare(split.file)), columns):
            frame = batch.frame
            for rows in given:
                frame = laid_over(frame, batch.first_row, rows, dict(self.kinds), split.file.path)
            yield batch if frame is batch.frame else replace(batch, frame=frame)

    def done(self, partition: Partition, files: Sequence[FileIdentity]) -> tuple[str, ...]:
        """See `scoreline.abc.Source.done`."""
        return self.inner.done(partition, [bare(file) for file in files])

    def kept(self, files: Sequence[FileIdentity]) -> list[Path]:
        """See `scoreline.abc.KeepsProcessed.kept`: what the other source has put away, if it does so."""
        return self.inner.kept([bare(file) for file in files]) if isinstance(self.inner, KeepsProcessed) else []
