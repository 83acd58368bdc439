"""Makes the additive form of a DictVectorizer and a linear model."""

from __future__ import annotations

from typing import Any

import numpy as np

from scoreline.models.compiled.additive import Additive, Texts
from scoreline.models.compiled.linear import read_linear
from scoreline.models.compiled.link import Wanted
from scoreline.models.dict_lookup import VocabularyLookup

_UNSEEING = {"ElasticNet", "Lasso"}
"""They multiply a sparse matrix without a look at its values."""


def additive_form(vectorizer: Any, estimator: Any, lookup: VocabularyLookup, predict_as: Wanted) -> Additive | None:
    """The additive form of the two, None where it would not be exact.

    Args:
        vectorizer: a fitted DictVectorizer.
        estimator: what follows it.
        lookup: the vocabulary by feature.
        predict_as: what is asked of the model.
    """
    steps = getattr(estimator, "steps", None)
    last = steps[0][1] if steps is not None and len(steps) == 1 else estimator
    linear = read_linear(last, predict_as)
    if linear is None or lookup.dtype != np.float64 or linear.coefficients.shape[0] != lookup.width:
        return None
    if not _each_column_has_one_name(vectorizer, lookup):
        return None
    zeros = np.zeros((1, linear.coefficients.shape[1]))
    texts = {
        name: Texts(
            known,
            np.concatenate([linear.coefficients[columns.to_numpy()], zeros]),
            missing_is_number=name in lookup.numbers,
        )
        for name, (known, columns) in lookup.texts.items()
    }
    # A feature that is both is given as one or the other; as a number it has its own coefficient.
    numbers = {name: linear.coefficients[column] for name, column in lookup.numbers.items()}
    strict = not (lookup.sparse and type(last).__name__ in _UNSEEING)
    if not strict and set(lookup.texts) & set(lookup.numbers):
        return None
    order = tuple(sorted(lookup.inputs, key=lambda name: _first_column(name, lookup)))
    return Additive(lookup.inputs, order, texts, numbers, linear.intercept, linear.link, predict_as, strict)


def _first_column(name: str, lookup: VocabularyLookup) -> int:
    columns = [lookup.numbers[name]] if name in lookup.numbers else []
    if name in lookup.texts:
        columns.append(int(lookup.texts[name][1].min()))  # type: ignore[arg-type]
    return min(columns)


def _each_column_has_one_name(vectorizer: Any, lookup: VocabularyLookup) -> bool:
    """Whether no two features can mean the same column, as ``a=b: c`` and ``a: b=c`` do: those are added up before."""
    claimed = sum(values.len() for values, _ in lookup.texts.values()) + len(lookup.numbers)
    return claimed == lookup.width == len(vectorizer.vocabulary_)
