"""Linear: what scikit-learn's linear models predict with, as arrays, where they predict as all of them do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scoreline.models.compiled.link import Link, Wanted

EPSILON = 1e-12
"""How far two sums may be apart, relative to ``|intercept| + sum(|coefficient * value|)``."""


@dataclass(frozen=True, slots=True)
class Linear:
    """``sums = values @ coefficients + intercept``, and what is made of the sums.

    Attributes:
        coefficients: (columns, outputs) float64.
        intercept: (outputs,) float64.
        link: makes predictions of (rows, outputs) sums.
    """

    coefficients: np.ndarray
    intercept: np.ndarray
    link: Link


_REGRESSORS = {
    *("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "Lars", "LarsCV"),
    *("LassoLars", "LassoLarsCV", "LassoLarsIC", "OrthogonalMatchingPursuit", "OrthogonalMatchingPursuitCV"),
    *("HuberRegressor", "TheilSenRegressor", "QuantileRegressor", "SGDRegressor", "BayesianRidge", "ARDRegression"),
}
_CLASSIFIERS = {"LogisticRegression", "LogisticRegressionCV", "RidgeClassifier", "RidgeClassifierCV", "SGDClassifier"}
_CERTAIN = {"LogisticRegression", "LogisticRegressionCV"}
"""Classifiers whose probabilities are the plain ones of their sums."""


def read_linear(estimator: Any, predict_as: Wanted = "value") -> Linear | None:
    """The arrays of a fitted linear model; None where it is none, or may predict in a way of its own."""
    kind = type(estimator)
    if not kind.__module__.startswith("sklearn.linear_model."):
        return None
    if kind.__name__ in _REGRESSORS:
        return _linear(estimator, Link("identity")) if predict_as == "value" else None
    if kind.__name__ in _CLASSIFIERS:
        link = _class_link(estimator, predict_as)
        return _linear(estimator, link) if link is not None else None
    return None


def _class_link(estimator: Any, predict_as: Wanted) -> Link | None:
    classes = np.asarray(estimator.classes_)
    if classes.ndim != 1 or len(classes) < 2:
        return None
    if predict_as != "value" and type(estimator).__name__ not in _CERTAIN:
        return None
    return Link.to_labels("logistic" if len(classes) == 2 else "softmax", classes)


def _linear(estimator: Any, link: Link) -> Linear | None:
    coefficients, intercept = estimator.coef_, estimator.intercept_
    if not isinstance(coefficients, np.ndarray) or coefficients.dtype.kind != "f" or coefficients.ndim > 2:
        return None
    columns = np.atleast_2d(coefficients).T.astype(np.float64)
    constants = np.broadcast_to(np.asarray(intercept, dtype=np.float64).ravel(), columns.shape[1:])
    if not (np.isfinite(columns).all() and np.isfinite(constants).all()):
        return None
    return Linear(np.ascontiguousarray(columns), constants.copy(), link)
