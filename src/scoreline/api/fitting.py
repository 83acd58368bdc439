"""Fitting: `train` a job's model on the job's own rows."""

from __future__ import annotations

import os
from collections.abc import Mapping

from scoreline.assemble import bench
from scoreline.config import JobLike, load
from scoreline.linting import require_sound
from scoreline.training import Tell, TrainReport
from scoreline.training import train as train_core


def train(
    job: JobLike,
    training: str,
    *,
    validate: str | None = None,
    alias: str | None = None,
    model: str | os.PathLike[str] | None = None,
    settings: Mapping[str, str] | None = None,
    home: str | os.PathLike[str] | None = None,
    keep: bool = True,
    tell: Tell | None = None,
) -> TrainReport:
    """Trains a job's model on its own rows, and keeps it where the job's model URI points.

    The rows come through the job's source, contract, filters and features, as in scoring, and are collected in memory.

    Args:
        job: a `Job`, or the path of a Python file that defines ``job``.
        training: partitions to learn from, such as ``"2021-01"`` or ``"2021-01..2021-03"``, both ends included.
        validate: partitions to try the model on.
        alias: of the registered model, instead of the one in the URI.
        model: where to keep it, instead of the job's URI: a folder, or ``models:/NAME@ALIAS``.
        settings: parameters of the job, as text.
        home: Scoreline's folder.
        keep: False fits and measures only.
        tell: hears of progress, in sentences.

    Returns:
        Counts, metrics, and the model with a URI that always means this one.

    Raises:
        ScorelineError: nothing was kept.
    """
    loaded = load(job, settings=settings, model=model, home=home)
    require_sound(loaded.job)
    grid = loaded.job.grid
    return train_core(
        bench(loaded, keep=keep),
        grid.range(training),
        grid.range(validate) if validate else (),
        alias=alias,
        tell=tell or (lambda _: None),
    )
