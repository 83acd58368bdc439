"""Additive: a DictVectorizer and a linear model as one sum of look-ups, a whole column at a time.

``intercept + sum(coefficient of the text) + sum(coefficient * number)``: the one-hot matrix, which is nearly all of the
usual time, is never made. Terms are added in the order of the vocabulary, as the original adds them, so that a sum has
the original's bits wherever the original adds plainly. What the original refuses (a missing or infinite number) is
refused here; a text that the vocabulary does not know contributes nothing, as there.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from scoreline.abc import Predictions
from scoreline.errors import ModelFailed, ModelInvalid
from scoreline.models.compiled.form import LastForm
from scoreline.models.compiled.linear import EPSILON
from scoreline.models.compiled.link import Link, Wanted
from scoreline.models.compiled.pairs import PairTable


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """A feature that is text in the vocabulary.

    Attributes:
        known: (values,) texts that the vocabulary knows.
        coefficients: (values + 1, outputs) of each, and zeros for all others.
        missing_is_number: whether a missing text is, to the original, a missing number, which it refuses.
    """

    known: pl.Series
    coefficients: np.ndarray
    missing_is_number: bool


@dataclass(frozen=True)
class Additive(LastForm):
    """Implements `scoreline.models.compiled.form.Form`.

    Args:
        inputs: feature columns it reads.
        order: the same in the order of the vocabulary.
        texts: feature -> what its texts contribute.
        numbers: feature -> (outputs,) coefficients of the number.
        intercept: (outputs,).
        link: makes predictions of sums.
        predict_as: ``value``, ``probability`` or ``probabilities``.
        strict: whether the original refuses missing and infinite numbers; else its sums are no numbers either.
        pairs: feature -> the table of its two whole numbers, for features that are given as these.
    """

    inputs: tuple[str, ...]
    order: tuple[str, ...]
    texts: Mapping[str, Texts]
    numbers: Mapping[str, np.ndarray]
    intercept: np.ndarray
    link: Link
    predict_as: Wanted = "value"
    strict: bool = True
    pairs: Mapping[str, PairTable] = field(default_factory=dict)

    kind = "additive"

    @property
    def parts(self) -> frozenset[str]:
        """Features that it wants as a struct of two whole numbers instead of their joined text."""
        return frozenset(self.pairs)

    def in_parts(self, separators: Mapping[str, str]) -> Additive:
        """The same form for features that are given in parts, as far as their texts are two whole numbers.

        Args:
            separators: feature -> what joins its two parts.
        """
        tables = {
            name: _table(self.texts[name], separator)
            for name, separator in separators.items()
            if name in self.texts and not self.texts[name].missing_is_number
        }
        return replace(self, pairs={name: table for name, table in tables.items() if table is not None})

    def predict(self, features: pl.DataFrame) -> Predictions:
        """See `scoreline.abc.Model.predict`."""
        sums, unseen = self._sums(features)
        return Predictions(self.link.values(sums, self.predict_as), unseen)

    def doubt(self, features: pl.DataFrame) -> pl.Series:
        """See `scoreline.models.compiled.form.Form.doubt`."""
        bound = EPSILON * self._magnitudes(features)
        if self.predict_as == "value" and self.link.classes:
            return pl.Series(self.link.margins(self._sums(features)[0]) <= np.maximum(bound, EPSILON))
        return pl.Series(self.link.apart(self._sums(features)[0], bound))

    def describe(self) -> dict[str, Any]:
        """See `scoreline.abc.Model.describe`."""
        return {"kind": "additive look-up", "inputs": list(self.inputs)}

    def header(self) -> dict[str, Any]:
        """JSON form of all but the arrays."""
        return {
            "inputs": list(self.inputs),
            "order": list(self.order),
            "texts": {name: [one.known.to_list(), one.missing_is_number] for name, one in self.texts.items()},
            "link": self.link.header(),
            "predict_as": self.predict_as,
            "strict": self.strict,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays by name."""
        texts = {f"text.{name}": one.coefficients for name, one in self.texts.items()}
        numbers = {f"number.{name}": one for name, one in self.numbers.items()}
        return texts | numbers | {"intercept": self.intercept}

    @classmethod
    def of(cls, header: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Additive:
        """The form that header and arrays say.

        Raises:
            ValueError: they do not fit each other.
        """
        outputs = arrays["intercept"].shape
        texts = {
            name: Texts(pl.Series(known, dtype=pl.String), arrays[f"text.{name}"], bool(missing))
            for name, (known, missing) in header["texts"].items()
        }
        numbers = {name[7:]: one for name, one in arrays.items() if name.startswith("number.")}
        fits = all(one.coefficients.shape == (one.known.len() + 1, *outputs) for one in texts.values())
        fits &= all(one.shape == outputs for one in numbers.values())
        if not fits or set(header["order"]) != {*texts, *numbers} or set(header["inputs"]) != set(header["order"]):
            raise ValueError("coefficients and features do not fit each other")
        return cls(
            tuple(header["inputs"]),
            tuple(header["order"]),
            texts,
            numbers,
            arrays["intercept"],
            Link.of(header["link"]),
            header["predict_as"],
            header["strict"],
        )

    def _sums(self, features: pl.DataFrame) -> tuple[np.ndarray, dict[str, int]]:
        """(rows, outputs) sums, and feature -> rows with a text that is not known."""
        sums: np.ndarray | None = None
        unseen: dict[str, int] = {}
        for name in self.order:
            terms, unknown = self._terms(name, features[name])
            sums = terms if sums is None else np.add(sums, terms, out=sums)
            unseen |= {name: unknown} if unknown else {}
        assert sums is not None
        return np.add(sums, self.intercept, out=sums), unseen

    def _terms(self, name: str, column: pl.Series) -> tuple[np.ndarray, int]:
        if name in self.pairs and column.dtype.is_nested():
            found = self.pairs[name].look_up(column)
            coefficients = self.texts[name].coefficients
        elif _is_number(column.dtype):
            return self._products(name, column), 0
        else:
            coefficients = self._require_texts(name, column).coefficients
            found = self._found(name, column)
        unknown = int(np.count_nonzero(found == coefficients.shape[0] - 1))
        return np.take(coefficients, found, axis=0), unknown

    def _products(self, name: str, column: pl.Series) -> np.ndarray:
        if name not in self.numbers:
            raise _otherwise_known(name, column.dtype, "a category", "category")
        values = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        if self.strict and not np.isfinite(values).all():
            raise ModelFailed(f"the model cannot take missing or infinite numbers, and {name!r} has some")
        products: np.ndarray = values[:, np.newaxis] * self.numbers[name]
        return products

    def _require_texts(self, name: str, column: pl.Series) -> Texts:
        if column.dtype not in _TEXTS:
            raise ModelInvalid(
                f"the feature {name!r} is {column.dtype}; a DictVectorizer is given text and numbers",
                hint=f"declare it with category({name!r}, ...) or number({name!r}, ...)",
            )
        if name not in self.texts:
            raise _otherwise_known(name, column.dtype, "a number", "number")
        texts = self.texts[name]
        if texts.missing_is_number and column.null_count():
            raise ModelFailed(f"the model cannot take a missing {name!r}")
        return texts

    def _found(self, name: str, column: pl.Series) -> np.ndarray:
        """(rows,) positions among the known texts; their number where a text is none of them."""
        known = self.texts[name].known
        numbers = pl.int_range(known.len(), dtype=pl.Int32, eager=True)
        text = column.cast(pl.String)
        return text.replace_strict(known, numbers, default=known.len(), return_dtype=pl.Int32).to_numpy()

    def _magnitudes(self, features: pl.DataFrame) -> np.ndarray:
        """(rows,) the largest ``|intercept| + sum(|coefficient * value|)`` of the outputs."""
        total = np.abs(self.intercept) + np.zeros((features.height, self.intercept.shape[0]))
        for name in self.order:
            total += np.abs(self._terms(name, features[name])[0])
        return np.asarray(np.max(total, axis=1))


@functools.lru_cache(maxsize=4)
def _table(texts: Texts, separator: str) -> PairTable | None:
    """Made once for all splits, and all runs of a process, that use one form."""
    return PairTable.of(texts.known, separator)


_TEXTS = (pl.String, pl.Categorical, pl.Enum)


def _is_number(kind: pl.DataType) -> bool:
    return kind.is_numeric() or kind in {pl.Boolean, pl.Null}


def _otherwise_known(name: str, kind: pl.DataType, known_as: str, wanted: str) -> ModelInvalid:
    return ModelInvalid(
        f"the model knows the feature {name!r} as {known_as}, but the job makes it {kind}",
        hint=f"declare it with {wanted}({name!r}, ...)",
    )
