"""Makes the compiled form of an estimator or pipeline that reads a frame of named columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import polars as pl

from scoreline.models.compiled.additive import Additive
from scoreline.models.compiled.columns import Codes, Column
from scoreline.models.compiled.encoded import Encoded
from scoreline.models.compiled.form import NoForm
from scoreline.models.compiled.linear import Linear, is_linear, read_linear
from scoreline.models.compiled.link import Kind, Link, Wanted
from scoreline.models.compiled.places import Places
from scoreline.models.compiled.sklearn_trees import read_trees
from scoreline.models.compiled.transformers import Matrix, read_matrix
from scoreline.models.compiled.trees import Trees

_EDGES = 64


def encoded_form(estimator: Any, names: Sequence[str], predict_as: Wanted = "value") -> Encoded:
    """The form of a fitted estimator or pipeline.

    Args:
        estimator: of scikit-learn.
        names: features, in the order of its input.
        predict_as: what is asked of it.

    Raises:
        NoForm: there is no exact one.
    """
    estimator, outer = opened(estimator)
    if hasattr(estimator, "steps") and not type(estimator).__module__.startswith("sklearn."):
        raise NoForm(f"{type(estimator).__name__} is a class of its own, which may predict anything")
    steps = [step for _, step in getattr(estimator, "steps", [("", estimator)])]
    last, inner = opened(steps[-1])
    matrix = read_matrix(steps[:-1], Matrix(tuple(Column(name) for name in names)))
    return taken_back(encoded(last, matrix, tuple(names), predict_as), inner, outer)


def opened(estimator: Any) -> tuple[Any, Link | None]:
    """What predicts in the stead of a search, or of a regressor of a transformed target, and what is made of that.

    Raises:
        NoForm: it is not known how the target is transformed back.
    """
    estimator, link = found_by_search(estimator), None
    if type(estimator).__name__ == "TransformedTargetRegressor" and type(estimator).__module__.startswith("sklearn."):
        back: Any = getattr(estimator, "transformer_", None)
        kind = next((kind for one, kind in _INVERSE.items() if one is getattr(back, "inverse_func", None)), None)
        if kind is None or back.inv_kw_args:
            raise NoForm("TransformedTargetRegressor is reproduced for the inverse functions exp and expm1 alone")
        link = Link(kind, finite=bool(back.validate))
        estimator = found_by_search(estimator.regressor_)
    return estimator, link


_INVERSE: dict[Any, Kind] = {np.exp: "log", np.expm1: "log1p"}
SomeForm = TypeVar("SomeForm", Encoded, Additive)


def taken_back(form: SomeForm, *links: Link | None) -> SomeForm:
    """The form with what is made of a transformed target.

    Raises:
        NoForm: more is made of it than one function.
    """
    there = [link for link in links if link is not None]
    if there and (len(there) > 1 or form.link.kind != "identity"):
        raise NoForm("a target that is transformed twice is not known to be reproduced exactly")
    return replace(form, link=there[0]) if there else form


def encoded(estimator: Any, matrix: Matrix, names: tuple[str, ...], predict_as: Wanted) -> Encoded:
    """The form of an estimator behind what transformers have made.

    Args:
        estimator: of scikit-learn.
        matrix: what it reads.
        names: features, in the order of the input.
        predict_as: what is asked of it.

    Raises:
        NoForm: there is no exact one.
    """
    _require_numbers(matrix.columns)
    if not is_linear(estimator):
        return _walked(estimator, matrix, names, predict_as)
    linear = read_linear(estimator, predict_as)
    if matrix.width != linear.coefficients.shape[0]:
        raise NoForm("the estimator reads another number of columns than the features make")
    linear = _taken_in(linear, matrix.columns)
    return Encoded(names, _without_ends(matrix.columns), linear, linear.link, predict_as)


def _taken_in(linear: Linear, columns: Sequence[Column]) -> Linear:
    """The model for one-hot columns of 0 and 1, where scalers have made other numbers of them."""
    places = Places.side_by_side(columns)
    is_hot = (places.code >= 0)[:, np.newaxis]
    constants = np.where(is_hot, places.low[:, np.newaxis] * linear.coefficients, 0.0)
    return replace(
        linear,
        coefficients=np.where(is_hot, (places.high - places.low)[:, np.newaxis], 1.0) * linear.coefficients,
        intercept=linear.intercept + constants.sum(axis=0),
        within=np.abs(constants).sum(axis=0),
    )


def _without_ends(columns: Sequence[Column]) -> tuple[Column, ...]:
    return tuple(replace(column, ends=None) for column in columns)


def found_by_search(estimator: Any) -> Any:
    """What predicts in the stead of a search such as GridSearchCV; any other estimator as it is."""
    is_search = type(estimator).__module__.startswith("sklearn.model_selection.")
    return getattr(estimator, "best_estimator_", estimator) if is_search else estimator


def _walked(estimator: Any, matrix: Matrix, names: tuple[str, ...], predict_as: Wanted) -> Encoded:
    trees, link = read_trees(estimator, Places.side_by_side(matrix.columns, sparse=matrix.sparse))
    if predict_as != "value" and not link.classes:
        raise NoForm(f"{type(estimator).__name__} gives no probabilities")
    return Encoded(names, _with_categories(_without_ends(matrix.columns), trees), trees, link, predict_as)


def _require_numbers(columns: Sequence[Column]) -> None:
    """Refuses a text that was filled and never encoded."""
    for column in columns:
        if column.codes is not None and not column.codes.known.len():
            raise NoForm(f"{column.source!r} is a text that no encoder makes a number of")


def _with_categories(columns: tuple[Column, ...], trees: Trees) -> tuple[Column, ...]:
    """The columns, with those that trees read as categories looked up as they do, so that new ones are counted."""
    found = list(columns)
    for at, numbers in zip(trees.keys.categories.tolist(), trees.keys.known, strict=True):
        if found[at].codes is None and not found[at].steps:
            known = pl.Series(trees.texts.get(at, numbers), dtype=pl.String if at in trees.texts else pl.Float64)
            found[at] = replace(found[at], codes=Codes(known, numbers, float("nan"), float("nan")))
    return tuple(found)


def thresholds(estimator: Any) -> np.ndarray:
    """Some values at which trees of an estimator turn, and the floats beside them; for a comparison's edges."""
    whole, _ = opened(estimator)
    last, _ = opened(getattr(whole, "steps", [("", whole)])[-1][1])
    members = np.ravel(np.asarray(getattr(last, "estimators_", [last]), dtype=object))
    values = [one.tree_.threshold[one.tree_.feature >= 0] for one in members[:8] if hasattr(one, "tree_")]
    for stage in getattr(last, "_predictors", [])[:8]:
        values += [one.nodes["num_threshold"][one.nodes["is_leaf"] == 0] for one in stage]
    every = np.unique(np.concatenate([np.empty(0), *values]))
    chosen = every[np.isfinite(every)][:: max(1, len(every) // _EDGES)]
    return np.concatenate([chosen, np.nextafter(chosen, np.inf), np.nextafter(chosen, -np.inf)])
