"""Simulation: input files of a job whose data is made up, at the place where the job reads them.

The job says what rows look like; the seed follows from job and partition alone, so that a partition has the same rows
on every machine and at every repetition, and another partition has others. It must not know file formats.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from scoreline.durable import make_folder, written
from scoreline.errors import JobError, ScorelineError, UsageError
from scoreline.job import Job
from scoreline.partition import Partition

Write = Callable[[Any, BinaryIO], None]
"""Writes an Arrow table as one file."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """One file that was made.

    Attributes:
        partition: whose input it is.
        path: the file.
        rows: in it.
        seconds: it took.
    """

    partition: Partition
    path: Path
    rows: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "partition": self.partition.slug,
            "path": str(self.path),
            "rows": self.rows,
            "seconds": round(self.seconds, 3),
        }


def simulate(
    job: Job,
    partitions: Sequence[Partition],
    folder: Path,
    write: Write,
    *,
    rows: int | None = None,
    force: bool = False,
    progress: Callable[[Simulated], None] | None = None,
) -> list[Simulated]:
    """Makes the input file of each partition, whole or not at all.

    Args:
        job: declares ``simulate``.
        partitions: to make.
        folder: where the paths of the job's source begin.
        write: makes a file of a table.
        rows: of each file; by default as many as the job's simulator likes.
        force: replace files that are there.
        progress: hears of each file.

    Raises:
        JobError: the job has no simulator, or that fails.
        UsageError: a file is there already and may be real data, or the source's path names no single file.
    """
    targets = _targets(job, partitions, folder)
    there = [path for path in targets.values() if path.exists()]
    if there and not force:
        raise UsageError(
            f"{there[0]} is there already{_others(there)}, and may be real data; nothing was made",
            hint="give another folder, or --force to replace it by made-up rows",
        )
    made = []
    for partition, path in targets.items():
        made.append(_made(job, partition, path, write, rows))
        if progress is not None:
            progress(made[-1])
    return made


def seed_of(job: Job, partition: Partition) -> int:
    """64 bits that follow from the job's key and the partition's slug."""
    return int.from_bytes(hashlib.sha256(f"{job.key}/{partition.slug}".encode()).digest()[:8], "big")


def _targets(job: Job, partitions: Sequence[Partition], folder: Path) -> dict[Partition, Path]:
    if job.simulate is None:
        raise JobError(
            f"the job {job.name!r} has no simulator",
            hint="declare Job(..., simulate=function), where function(partition, seed, rows) returns an Arrow table",
        )
    template = job.source.template
    if template.has_wildcard:
        raise UsageError(
            f"the source's path {job.source.path!r} has a wildcard, so it names no single file to make",
            hint="write the path without * and ?",
        )
    return {one: folder / template.render(one, job.path_values) for one in partitions}


def _made(job: Job, partition: Partition, path: Path, write: Write, rows: int | None) -> Simulated:
    began = time.monotonic()
    assert job.simulate is not None
    try:
        table = job.simulate(partition, seed_of(job, partition), rows)
    except ScorelineError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise JobError(f"the simulator of {job.name!r} failed for {partition}: {what}") from error
    if not (hasattr(table, "schema") and hasattr(table, "num_rows")):
        raise JobError(f"the simulator of {job.name!r} gave a {type(table).__name__}, which is no Arrow table")
    make_folder(path.parent)
    with written(path, durable=True) as handle:
        write(table, handle)
    return Simulated(partition, path, table.num_rows, time.monotonic() - began)


def _others(there: Sequence[Path]) -> str:
    return f", and {len(there) - 1} more of these files" if len(there) > 1 else ""
