"""Scoreline: batch scoring for tabular models.

It takes a trained model and data that arrives in intervals, and keeps a complete, trustworthy set of predictions where
people read them. The names below are the Python interface; each is imported when it is first used, so that
``import scoreline`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scoreline.api.cleaning import prune
    from scoreline.api.correcting import replay
    from scoreline.api.fitting import train
    from scoreline.api.published import explain, read, summarise, verify
    from scoreline.api.ranges import backfill, plan
    from scoreline.api.scoring import run
    from scoreline.contract import Field, Rule, within_partition
    from scoreline.features import category, cross, duration, expression, number, ratio
    from scoreline.files import Csv, Files
    from scoreline.filters import Filter, between
    from scoreline.gates import Gates
    from scoreline.job import Job
    from scoreline.output import (
        computed,
        model_version,
        partition_slug,
        passthrough,
        prediction,
        row_id,
        run_id,
        scored_at,
    )
    from scoreline.parameters import Identity, Setting
    from scoreline.retention import Retention

_HOME = {
    "Csv": "files",
    "Field": "contract",
    "Files": "files",
    "Filter": "filters",
    "Gates": "gates",
    "Identity": "parameters",
    "Job": "job",
    "Retention": "retention",
    "Rule": "contract",
    "Setting": "parameters",
    "backfill": "api.ranges",
    "between": "filters",
    "category": "features",
    "computed": "output",
    "cross": "features",
    "duration": "features",
    "explain": "api.published",
    "expression": "features",
    "model_version": "output",
    "number": "features",
    "partition_slug": "output",
    "passthrough": "output",
    "plan": "api.ranges",
    "prediction": "output",
    "prune": "api.cleaning",
    "ratio": "features",
    "read": "api.published",
    "replay": "api.correcting",
    "row_id": "output",
    "run": "api.scoring",
    "run_id": "output",
    "scored_at": "output",
    "summarise": "api.published",
    "train": "api.fitting",
    "verify": "api.published",
    "within_partition": "contract",
}

__all__ = [
    "Csv",
    "Field",
    "Files",
    "Filter",
    "Gates",
    "Identity",
    "Job",
    "Retention",
    "Rule",
    "Setting",
    "backfill",
    "between",
    "category",
    "computed",
    "cross",
    "duration",
    "explain",
    "expression",
    "model_version",
    "number",
    "partition_slug",
    "passthrough",
    "plan",
    "prediction",
    "prune",
    "ratio",
    "read",
    "replay",
    "row_id",
    "run",
    "run_id",
    "scored_at",
    "summarise",
    "train",
    "verify",
    "within_partition",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        msg = f"module 'scoreline' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"scoreline.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
