"""Vetting (being written)."""

from __future__ import annotations

from scoreline.abc import Model, ModelFile
from scoreline.job import Job


def vet(job: Job, model_file: ModelFile, model: Model, accept_version: bool = False) -> list[str]:  # noqa: FBT001, FBT002
    return []
