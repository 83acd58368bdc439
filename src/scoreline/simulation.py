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

from scoreline.abc import Source
from scoreline.durable import make_folder, written
from scoreline.errors import InputMissing, JobError, ScorelineError, UsageError
from scoreline.files import Files
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


@dataclass(frozen=True, slots=True)
class Place:
    """Where files are made.

    Attributes:
        files: the job's source, or what it learns from.
        folder: where the paths of these files begin.
        write: makes a file of a table.
        target: column of the simulator's tables that these files do not hold.
    """

    files: Files
    folder: Path
    write: Write
    target: str | None = None


def files_of(job: Job, *, training: bool) -> Files:
    """What is made up: the job's input, or the rows that it learns from.

    Raises:
        UsageError: the job learns from its input.
    """
    if not training:
        return job.source
    if job.training is None:
        raise UsageError(
            f"the job {job.name!r} learns from its input, and declares no training=",
            hint="leave --training out: train reads what simulate makes",
        )
    return job.training


def simulate(
    job: Job,
    partitions: Sequence[Partition],
    place: Place,
    *,
    rows: int | None = None,
    force: bool = False,
    progress: Callable[[Simulated], None] | None = None,
) -> list[Simulated]:
    """Makes the input file of each partition, whole or not at all.

    Args:
        job: declares ``simulate``.
        partitions: to make.
        place: where to, and how.
        rows: of each file; by default as many as the job's simulator likes.
        force: replace files that are there.
        progress: hears of each file.

    Raises:
        JobError: the job has no simulator, or that fails.
        UsageError: a file is there already and may be real data, or the source's path names no single file.
    """
    targets = _targets(job, partitions, place)
    there = [path for path in targets.values() if path.exists()]
    if there and not force:
        raise UsageError(
            f"{there[0]} is there already{_others(there)}, and may be real data; nothing was made",
            hint="give another folder, or --force to replace it by made-up rows",
        )
    made = []
    for partition, path in targets.items():
        made.append(_made(job, partition, path, place, rows))
        if progress is not None:
            progress(made[-1])
    return made


def lacking(source: Source, partitions: Sequence[Partition]) -> list[Partition]:
    """Those of the partitions that have no input, neither where it arrives nor where it was moved."""
    return [one for one in partitions if _is_lacking(source, one)]


def _is_lacking(source: Source, partition: Partition) -> bool:
    try:
        source.fingerprint(partition)
    except InputMissing:
        return True
    except ScorelineError:
        return False  # something is there; what is wrong with it is told by whoever reads it
    return False


def seed_of(job: Job, partition: Partition) -> int:
    """64 bits that follow from the job's key and the partition's slug."""
    return int.from_bytes(hashlib.sha256(f"{job.key}/{partition.slug}".encode()).digest()[:8], "big")


def _targets(job: Job, partitions: Sequence[Partition], place: Place) -> dict[Partition, Path]:
    if job.simulate is None:
        raise JobError(
            f"the job {job.name!r} has no simulator",
            hint="declare Job(..., simulate=function), where function(partition, seed, rows) returns an Arrow table",
        )
    template = place.files.template
    if template.has_wildcard:
        raise UsageError(
            f"the path {place.files.path!r} has a wildcard, so it names no single file to make",
            hint="write the path without * and ?",
        )
    return {one: place.folder / template.render(one, job.path_values) for one in partitions}


def _made(job: Job, partition: Partition, path: Path, place: Place, rows: int | None) -> Simulated:
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
    if place.target in table.schema.names:
        table = table.drop_columns([place.target])
    make_folder(path.parent)
    with written(path, durable=True) as handle:
        place.write(table, handle)
    return Simulated(partition, path, table.num_rows, time.monotonic() - began)


def _others(there: Sequence[Path]) -> str:
    return f", and {len(there) - 1} more of these files" if len(there) > 1 else ""
