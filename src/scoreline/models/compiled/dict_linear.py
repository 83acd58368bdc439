"""Makes the additive form of a DictVectorizer and a linear model."""

from __future__ import annotations

from typing import Any

import numpy as np

from scoreline.models.compiled.additive import Additive, Texts
from scoreline.models.compiled.form import NoForm
from scoreline.models.compiled.linear import read_linear
from scoreline.models.compiled.link import Wanted
from scoreline.models.dict_lookup import VocabularyLookup

_UNSEEING = {"ElasticNet", "Lasso"}
"""They multiply a sparse matrix without a look at its values."""


def additive_form(vectorizer: Any, estimator: Any, lookup: VocabularyLookup, predict_as: Wanted) -> Additive:
    """The additive form of the two.

    Args:
        vectorizer: a fitted DictVectorizer.
        estimator: what follows it.
        lookup: the vocabulary by feature.
        predict_as: what is asked of the model.

    Raises:
        NoForm: it would not be exact.
    """
    steps = getattr(estimator, "steps", None)
    if steps is not None and not type(estimator).__module__.startswith("sklearn."):
        raise NoForm(f"{type(estimator).__name__} is a class of its own, which may predict anything")
    last = steps[0][1] if steps is not None and len(steps) == 1 else estimator
    linear = read_linear(last, predict_as)
    if lookup.dtype != np.float64:
        raise NoForm(f"the DictVectorizer makes {lookup.dtype}, whose sums are not known to be reproduced exactly")
    if linear.coefficients.shape[0] != lookup.width:
        raise NoForm("vocabulary and coefficients do not fit each other")
    if not _each_column_has_one_name(vectorizer, lookup):
        raise NoForm("two features can mean the same column of the vocabulary")
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
    if both := sorted(set(lookup.texts) & set(lookup.numbers)) if not strict else []:
        raise NoForm(f"{both[0]!r} is both text and number to a model that looks at no number")
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
