"""Linear: what scikit-learn's linear models predict with, as arrays, where they predict as all of them do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scoreline.models.compiled.form import NoForm
from scoreline.models.compiled.link import Kind, Link, Wanted

EPSILON = 1e-12
"""How far two sums may be apart, relative to ``|intercept| + sum(|coefficient * value|)``."""


@dataclass(frozen=True, slots=True)
class Linear:
    """``sums = values @ coefficients + intercept``, and what is made of the sums.

    Attributes:
        coefficients: (columns, outputs) float64.
        intercept: (outputs,) float64.
        link: makes predictions of (rows, outputs) sums.
        within: (outputs,) float64, how much has been added up to the intercept beside itself, without signs.
    """

    coefficients: np.ndarray
    intercept: np.ndarray
    link: Link
    within: np.ndarray | float = 0.0


_REGRESSORS = {
    *("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "Lars", "LarsCV"),
    *("LassoLars", "LassoLarsCV", "LassoLarsIC", "OrthogonalMatchingPursuit", "OrthogonalMatchingPursuitCV"),
    *("HuberRegressor", "TheilSenRegressor", "QuantileRegressor", "SGDRegressor", "BayesianRidge", "ARDRegression"),
}
_GENERALIZED = {"PoissonRegressor", "GammaRegressor", "TweedieRegressor"}
_LINKS: dict[str, Kind] = {"IdentityLink": "identity", "LogLink": "log"}
_CLASSIFIERS = {"LogisticRegression", "LogisticRegressionCV", "RidgeClassifier", "RidgeClassifierCV", "SGDClassifier"}
_CERTAIN = {"LogisticRegression", "LogisticRegressionCV"}
"""Classifiers whose probabilities are the plain ones of their sums."""


def is_linear(estimator: Any) -> bool:
    """Whether it is one of scikit-learn's linear models; a subclass of one is none."""
    return type(estimator).__module__.startswith("sklearn.linear_model.")


def read_linear(estimator: Any, predict_as: Wanted = "value") -> Linear:
    """The arrays of a fitted linear model.

    Raises:
        NoForm: it is none, or may predict in a way of its own.
    """
    name = type(estimator).__name__
    if not is_linear(estimator) or name not in _REGRESSORS | _GENERALIZED | _CLASSIFIERS:
        raise NoForm(f"{name} is no linear model that predicts plain sums, or their exponentials")
    if not hasattr(estimator, "coef_"):
        raise NoForm(f"{name} was never fitted")
    if name in _CLASSIFIERS:
        return _linear(estimator, _class_link(estimator, predict_as))
    if predict_as != "value":
        raise NoForm(f"{name} gives no probabilities")
    return _linear(estimator, _generalized_link(estimator) if name in _GENERALIZED else Link("identity"))


def _generalized_link(estimator: Any) -> Link:
    loss = getattr(estimator, "_base_loss", None)
    kind = _LINKS.get(type(getattr(loss, "link", None)).__name__)
    if kind is None:
        raise NoForm(f"{type(estimator).__name__} was made by a version that kept its link in another way")
    return Link(kind)


def _class_link(estimator: Any, predict_as: Wanted) -> Link:
    classes, name = np.asarray(estimator.classes_), type(estimator).__name__
    if classes.ndim != 1 or len(classes) < 2:
        raise NoForm(f"{name} has learned a single class, or several outputs")
    if predict_as != "value" and name not in _CERTAIN:
        raise NoForm(f"probabilities of {name} are not known to be reproduced exactly")
    link = Link.to_labels("logistic" if len(classes) == 2 else "softmax", classes)
    if link is None:
        raise NoForm(f"the labels of {name} are neither all texts, nor numbers, nor booleans")
    return link


def _linear(estimator: Any, link: Link) -> Linear:
    coefficients, intercept = estimator.coef_, estimator.intercept_
    if not isinstance(coefficients, np.ndarray) or coefficients.dtype.kind != "f" or coefficients.ndim > 2:
        raise NoForm(f"the coefficients of {type(estimator).__name__} are no dense floats")
    columns = np.atleast_2d(coefficients).T.astype(np.float64)
    constants = np.broadcast_to(np.asarray(intercept, dtype=np.float64).ravel(), columns.shape[1:])
    if not (np.isfinite(columns).all() and np.isfinite(constants).all()):
        raise NoForm(f"the coefficients of {type(estimator).__name__} are not all finite")
    return Linear(np.ascontiguousarray(columns), constants.copy(), link)
