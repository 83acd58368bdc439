"""Structure: a DictVectorizer with a plain linear model is so simple that its parts can be checked one by one.

What such a model predicts is ``intercept + sum(coefficient * value)`` over a dictionary of names: it means the same in
every version of scikit-learn that can read its attributes. Nothing of the kind holds for trees or scalers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_LINEAR = {
    "ElasticNet",
    "ElasticNetCV",
    "Lasso",
    "LassoCV",
    "LinearRegression",
    "LogisticRegression",
    "Ridge",
    "RidgeCV",
}


def is_sound(vectorizer: Any, estimator: Any) -> bool:
    """Whether vocabulary, coefficients and intercept of such a pair are all there, and fit each other."""
    steps = getattr(estimator, "steps", None)
    if steps is not None:
        estimator = steps[0][1] if len(steps) == 1 else None
    kind = type(estimator)
    if kind.__name__ not in _LINEAR or not kind.__module__.startswith("sklearn.linear_model."):
        return False
    width = _width(vectorizer)
    return width > 0 and _fits(estimator, width)


def _width(vectorizer: Any) -> int:
    """Entries of a vocabulary that names each column once, as the list of names says too; else 0."""
    vocabulary, names = getattr(vectorizer, "vocabulary_", None), getattr(vectorizer, "feature_names_", None)
    if not isinstance(vocabulary, dict) or not isinstance(names, list):
        return 0
    if not isinstance(vectorizer.separator, str) or set(vocabulary.values()) != set(range(len(vocabulary))):
        return 0
    columns = dict(zip(names, range(len(names)), strict=True))
    return len(vocabulary) if columns == vocabulary and all(isinstance(name, str) for name in vocabulary) else 0


def _fits(estimator: Any, width: int) -> bool:
    coefficients, intercept = getattr(estimator, "coef_", None), getattr(estimator, "intercept_", None)
    if not isinstance(coefficients, np.ndarray) or coefficients.dtype.kind != "f" or intercept is None:
        return False
    if getattr(estimator, "n_features_in_", width) != width or coefficients.shape[-1:] != (width,):
        return False
    classes = getattr(estimator, "classes_", None)
    outputs = 1 if classes is None or len(classes) == 2 else len(classes)
    rows = 1 if coefficients.ndim == 1 else coefficients.shape[0] if coefficients.ndim == 2 else 0
    constants = np.atleast_1d(np.asarray(intercept, dtype=np.float64))
    return (
        rows == outputs
        # Without an intercept scikit-learn keeps one zero for all classes.
        and constants.shape in {(outputs,), (1,)}
        and bool(np.isfinite(coefficients).all() and np.isfinite(constants).all())
    )
