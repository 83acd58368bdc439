"""Makes the compiled form of a DictVectorizer and what follows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from scoreline.models.compiled.additive import Additive, Texts
from scoreline.models.compiled.columns import Codes, Column
from scoreline.models.compiled.encoded import Encoded
from scoreline.models.compiled.form import NoForm
from scoreline.models.compiled.frames import encoded, opened, taken_back
from scoreline.models.compiled.linear import is_linear, read_linear
from scoreline.models.compiled.link import Wanted
from scoreline.models.compiled.transformers import Matrix, read_matrix
from scoreline.models.compiled.trees import Trees
from scoreline.models.dict_lookup import VocabularyLookup

_UNSEEING = {"ElasticNet", "Lasso"}
"""They multiply a sparse matrix without a look at its values."""


def dict_form(vectorizer: Any, estimator: Any, lookup: VocabularyLookup, predict_as: Wanted) -> Additive | Encoded:
    """The form of the two: a sum of look-ups, or trees that ask for a category and not for one of its columns.

    Args:
        vectorizer: a fitted DictVectorizer.
        estimator: what follows it.
        lookup: the vocabulary by feature.
        predict_as: what is asked of the model.

    Raises:
        NoForm: it would not be exact.
    """
    if hasattr(estimator, "steps") and not type(estimator).__module__.startswith("sklearn."):
        raise NoForm(f"{type(estimator).__name__} is a class of its own, which may predict anything")
    *between, last = (step for _, step in getattr(estimator, "steps", [("", estimator)]))
    if not _each_column_has_one_name(vectorizer, lookup):
        raise NoForm("two features can mean the same column of the vocabulary")
    last, link = opened(last)
    if is_linear(last) and not between:
        return taken_back(_additive(last, lookup, predict_as), link)
    return taken_back(_encoded(between, last, lookup, predict_as), link)


def _additive(estimator: Any, lookup: VocabularyLookup, predict_as: Wanted) -> Additive:
    linear = read_linear(estimator, predict_as)
    if lookup.dtype != np.float64:
        raise NoForm(f"the DictVectorizer makes {lookup.dtype}, whose sums are not known to be reproduced exactly")
    if linear.coefficients.shape[0] != lookup.width:
        raise NoForm("vocabulary and coefficients do not fit each other")
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
    strict = not (lookup.sparse and type(estimator).__name__ in _UNSEEING)
    if both := _both(lookup) if not strict else []:
        raise NoForm(f"{both[0]!r} is both text and number to a model that looks at no number")
    order = tuple(sorted(lookup.inputs, key=lambda name: _first_column(name, lookup)))
    return Additive(lookup.inputs, order, texts, numbers, linear.intercept, linear.link, predict_as, strict)


def _first_column(name: str, lookup: VocabularyLookup) -> int:
    columns = [lookup.numbers[name]] if name in lookup.numbers else []
    if name in lookup.texts:
        columns.append(int(lookup.texts[name][1].min()))  # type: ignore[arg-type]
    return min(columns)


def _encoded(between: Sequence[Any], estimator: Any, lookup: VocabularyLookup, predict_as: Wanted) -> Encoded:
    form = encoded(estimator, read_matrix(between, _matrix(lookup)), lookup.inputs, predict_as)
    # Trees of 32-bit floats round as a vectorizer of such does.
    rounds = isinstance(form.head, Trees) and form.head.keys.cuts is None and not between
    if lookup.dtype != np.float64 and not (rounds and lookup.dtype == np.float32):
        raise NoForm(f"the DictVectorizer makes {lookup.dtype}, whose numbers are not known to be reproduced exactly")
    return form


def _matrix(lookup: VocabularyLookup) -> Matrix:
    """What the vectorizer makes of features, each of which has its columns in a row."""
    if both := _both(lookup):
        raise NoForm(f"{both[0]!r} is both text and number, which is not known to be reproduced exactly")
    columns, place = [], 0
    for name in sorted(lookup.inputs, key=lambda name: _first_column(name, lookup)):
        if name in lookup.texts:
            known, places = (one.gather(lookup.texts[name][1].arg_sort()) for one in lookup.texts[name])
            # What the vocabulary does not know sets no column, and so does what is missing.
            codes = Codes(known, np.arange(known.len(), dtype=np.float64), None, -1.0)
            columns.append(Column(name, codes, spread=known.len()))
        else:
            columns.append(Column(name))
            places = pl.Series([lookup.numbers[name]])
        if places.to_list() != list(range(place, place + places.len())):
            raise NoForm("the vocabulary of the DictVectorizer is not sorted (sort=False)")
        place += places.len()
    return Matrix(tuple(columns), lookup.sparse)


def _both(lookup: VocabularyLookup) -> list[str]:
    return sorted(set(lookup.texts) & set(lookup.numbers))


def _each_column_has_one_name(vectorizer: Any, lookup: VocabularyLookup) -> bool:
    """Whether no two features can mean the same column, as ``a=b: c`` and ``a: b=c`` do: those are added up before."""
    claimed = sum(values.len() for values, _ in lookup.texts.values()) + len(lookup.numbers)
    return claimed == lookup.width == len(vectorizer.vocabulary_)
