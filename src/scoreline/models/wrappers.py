"""Wrappers: XGBoost's and LightGBM's estimators for scikit-learn, and the categories that their boosters have learned.

They take categories as pandas' categorical columns and nothing else. It imports neither library before it has met an
estimator of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl

from scoreline.models.native import Inputs, Native

LIBRARIES = {"xgboost", "lightgbm"}


def library_of(estimator: Any) -> str | None:
    """Which of these libraries it is an estimator of, or of a subclass; None: of neither."""
    roots = (base.__module__.partition(".")[0] for base in type(estimator).__mro__)
    return next((root for root in roots if root in LIBRARIES), None)


def is_booster(estimator: Any) -> bool:
    """Whether it is a bare ``Booster`` of one of these libraries."""
    return type(estimator).__name__ == "Booster" and library_of(estimator) is not None


def file_of(booster: Any) -> Native:
    """A bare ``Booster`` as its file would be read: it knows names and categories, and takes codes for them."""
    from scoreline.models import lightgbm, xgboost

    if library_of(booster) == "lightgbm":
        return lightgbm.read(booster.model_to_string().encode(), "in the pickle")
    # Who made it is not known: what is written here is of the running version.
    return replace(xgboost.read(bytes(booster.save_raw("ubj")), "in the pickle"), made_by=None)


def categories_in(estimator: Any) -> Inputs | None:
    """How a wrapper's booster reads features; None where it knows no categories, or is no wrapper.

    Raises:
        ModelInvalid: it has learned categories, and nobody can tell which.
    """
    library = library_of(estimator)
    if library == "xgboost" and hasattr(estimator, "get_booster"):
        from scoreline.models.xgboost import XgboostFile

        reads = XgboostFile(estimator.get_booster(), {}, None).reads
    elif library == "lightgbm" and hasattr(estimator, "booster_"):
        from scoreline.models.lightgbm import LightgbmFile, categorical_in

        parameters = estimator.booster_.model_to_string(num_iteration=1)
        reads = LightgbmFile(estimator.booster_, "", {}, categorical_in(parameters)).reads
    else:
        return None
    return reads if reads.known else None


def with_categories(frame: Any, features: pl.DataFrame, reads: Inputs) -> Any:
    """A pandas frame of some features, in which categories are what the booster knows; others are missing.

    Args:
        frame: of ``features``, for this to change.
        features: (rows, inputs).
        reads: what ``categories_in`` has found.

    Raises:
        ModelInvalid: a feature is of a type that the model has not learned.
        ModelFailed: with ``unseen``, where the library scores new categories as known ones.
    """
    import pandas as pd

    coded, _ = reads.codes(features)
    for name, codes in coded.items():
        places = codes.fill_null(-1).cast(pl.Int64).to_numpy()
        frame[name] = pd.Categorical.from_codes(places, categories=_listed(reads.known[name]))
    return frame


def _listed(known: pl.Series) -> list[Any]:
    """Categories as they were learned: whole floats were whole numbers."""
    whole = known.dtype == pl.Float64 and bool((known == known.round()).all())
    return (known.cast(pl.Int64) if whole else known).to_list()
