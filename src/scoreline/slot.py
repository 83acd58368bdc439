"""Slot: what a publication replaces, namely job + partition + rendered output path."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one published content.

    Attributes:
        job: the job's key, with its identity parameters.
        partition: slug.
        path: rendered path below the sink's folder.
    """

    job: str
    partition: str
    path: str

    @property
    def claim(self) -> str:
        """Short id of (job, partition): all that one claim protects."""
        return claim_id(self.job, self.partition)


def folders_of(job: str) -> list[str]:
    """Folder names for a job's key: identity parameters are one of their own, ``nyc_green/taxi_type=yellow``.

    The brackets of a key are a pattern to Polars and DuckDB.
    """
    name, _, identity = job.removesuffix("]").partition("[")
    return [name, *([identity] if identity else [])]


def claim_id(job: str, partition: str) -> str:
    """24 hex digits for (job, partition), safe as a folder name."""
    return hashlib.sha256(f"{job}\0{partition}".encode()).hexdigest()[:24]
