"""Makes the compiled form of a DictVectorizer and what follows it."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from scoreline.models.compiled.additive import Additive, Texts
from scoreline.models.compiled.columns import Codes, Column
from scoreline.models.compiled.encoded import Encoded
from scoreline.models.compiled.form import NoForm
from scoreline.models.compiled.frames import walked
from scoreline.models.compiled.linear import is_linear, read_linear
from scoreline.models.compiled.link import Wanted
from scoreline.models.compiled.places import Places
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
    steps = getattr(estimator, "steps", None)
    if steps is not None and not type(estimator).__module__.startswith("sklearn."):
        raise NoForm(f"{type(estimator).__name__} is a class of its own, which may predict anything")
    last = steps[0][1] if steps is not None and len(steps) == 1 else estimator
    form = _additive(last, lookup, predict_as) if is_linear(last) else _walked(last, lookup, predict_as)
    if not _each_column_has_one_name(vectorizer, lookup):
        raise NoForm("two features can mean the same column of the vocabulary")
    return form


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


def _walked(estimator: Any, lookup: VocabularyLookup, predict_as: Wanted) -> Encoded:
    column, code = np.zeros(lookup.width, dtype=np.int64), np.full(lookup.width, -1)
    for at, name in enumerate(lookup.inputs):
        if name in lookup.texts:
            mine = lookup.texts[name][1].to_numpy()
            column[mine], code[mine] = at, np.arange(len(mine))
        else:
            column[lookup.numbers[name]] = at
    columns = tuple(_column(name, lookup) for name in lookup.inputs)
    form = walked(estimator, columns, Places(column, code, len(columns), lookup.sparse), lookup.inputs, predict_as)
    assert isinstance(form.head, Trees)
    # A vectorizer of 32-bit floats rounds as such trees do, and before trees of 64-bit ones.
    if lookup.dtype != np.float64 and (lookup.dtype != np.float32 or form.head.keys.cuts is not None):
        raise NoForm(f"the DictVectorizer makes {lookup.dtype}, which other numbers are compared with")
    if both := _both(lookup):
        raise NoForm(f"{both[0]!r} is both text and number, which is not known to be reproduced exactly")
    return form


def _column(name: str, lookup: VocabularyLookup) -> Column:
    if name not in lookup.texts:
        return Column(name)
    known: pl.Series = lookup.texts[name][0]
    # What the vocabulary does not know sets no column, and so does what is missing.
    return Column(name, Codes(known, np.arange(known.len(), dtype=np.float64), None, -1.0), spread=known.len())


def _both(lookup: VocabularyLookup) -> list[str]:
    return sorted(set(lookup.texts) & set(lookup.numbers))


def _each_column_has_one_name(vectorizer: Any, lookup: VocabularyLookup) -> bool:
    """Whether no two features can mean the same column, as ``a=b: c`` and ``a: b=c`` do: those are added up before."""
    claimed = sum(values.len() for values, _ in lookup.texts.values()) + len(lookup.numbers)
    return claimed == lookup.width == len(vectorizer.vocabulary_)
