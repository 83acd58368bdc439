"""How a model of another version is scored here, and what comes of it: the same predictions, or a refusal."""

from __future__ import annotations

import json
import warnings

import numpy as np
import polars as pl
from tests.versions.make_models import CLASSIFIERS, KINDS

import scoreline
from scoreline import Files, Job, category, number, prediction
from scoreline.errors import ModelFailed, ModelInvalid, ModelOutdated

EQUAL = "equal"
TEXTS = {"route", "zone", "payment"}
LINEAR_TOLERANCE, TOLERANCE = 1e-12, 1e-9
"""Relative: to the size of a linear prediction's terms, else to the prediction."""


def features_of(kind):
    """What a job declares for a kind."""
    return [category(name) if name in TEXTS else number(name) for name in KINDS[kind][1]]


def scored(root, rows, kind, model, **options):
    """Runs a job of its own in ``root`` with a model file or folder; the published predictions.

    Raises:
        ScorelineError: nothing was published.
    """
    labels = kind in CLASSIFIERS
    job = Job(
        name="tried",
        partition="named",
        source=Files("{slug}.parquet", under=rows.parent),
        features=features_of(kind),
        model=model,
        trust=[model.parent],
        output=[prediction("said", pl.String if labels else pl.Float64)],
        sinks=Files("{slug}.parquet", under=root / "predictions"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a run goes on after a warning, so here too
        chosen = {"home": root / ".scoreline", "engine": "threads", "workers": 1} | options
        scoreline.run(job, rows.stem, **chosen)
        return scoreline.read(job, rows.stem, home=root / ".scoreline")["said"]


def outcome(root, rows, kind, model, **options):
    """``equal``, or the name of the refusal. Any other error goes on, and other numbers are a failed assertion."""
    try:
        said = scored(root, rows, kind, model, **options)
    except (ModelOutdated, ModelInvalid, ModelFailed) as refusal:
        return type(refusal).__name__
    require_equal(said, json.loads((model.parent / f"{kind}.json").read_text()))
    return EQUAL


def require_equal(said, then):
    """Checks predictions against what the model's own version predicted."""
    if isinstance(then["predicted"][0], str):
        assert said.to_list() == then["predicted"], _told(
            sum(a != b for a, b in zip(said, then["predicted"], strict=True)), said
        )
        return
    now, before = said.to_numpy(), np.array(then["predicted"])
    allowed = TOLERANCE * abs(before) if then["sizes"] is None else LINEAR_TOLERANCE * np.array(then["sizes"])
    gaps = abs(now - before)
    wrong = ~(gaps <= allowed)
    assert not wrong.any(), f"{_told(int(wrong.sum()), said)}, by up to {gaps.max()}"


def _told(count, said):
    return f"{count} of {len(said)} predictions are not those of the version that made the model"
