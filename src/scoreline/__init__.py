"""Scoreline: batch scoring for tabular models.

It takes a trained model and data that arrives in intervals, and keeps a complete, trustworthy set of predictions where
people read them. The names below are the Python interface; each is imported when it is first used, so that
``import scoreline`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scoreline.api import backfill, explain, plan, read, run, train, verify
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

_HOME = {
    "Csv": "files",
    "Field": "contract",
    "Files": "files",
    "Filter": "filters",
    "Gates": "gates",
    "Identity": "parameters",
    "Job": "job",
    "Rule": "contract",
    "Setting": "parameters",
    "backfill": "api",
    "between": "filters",
    "category": "features",
    "computed": "output",
    "cross": "features",
    "duration": "features",
    "explain": "api",
    "expression": "features",
    "model_version": "output",
    "number": "features",
    "partition_slug": "output",
    "passthrough": "output",
    "plan": "api",
    "prediction": "output",
    "ratio": "features",
    "read": "api",
    "row_id": "output",
    "run": "api",
    "run_id": "output",
    "scored_at": "output",
    "train": "api",
    "verify": "api",
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
    "ratio",
    "read",
    "row_id",
    "run",
    "run_id",
    "scored_at",
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
