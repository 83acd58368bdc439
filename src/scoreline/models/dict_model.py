"""A DictVectorizer and what follows it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any, cast

import polars as pl

from scoreline.abc import Model, Parity, Predictions
from scoreline.errors import ModelFailed
from scoreline.models.compiled.dicts import dict_form
from scoreline.models.compiled.form import Form, NoForm, is_form
from scoreline.models.compiled.frames import thresholds
from scoreline.models.compiled.link import Wanted
from scoreline.models.compiled.parity import compare
from scoreline.models.dict_lookup import (
    DictLookup,
    Matrix,
    VocabularyLookup,
    compare_matrices,
    with_edges,
    with_gaps,
    with_values,
)
from scoreline.models.estimators import call, name_of, outputs_of
from scoreline.models.shapes import (
    AT_ONCE,
    VALUE,
    slices,
)
from scoreline.models.structure import is_sound

_DENSE_BYTES = 1 << 26


@dataclass(frozen=True)
class DictModel:
    """A DictVectorizer and what follows it, fed with one dictionary per row, as the model was trained."""

    vectorizer: Any
    estimator: Any
    inputs: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict, repr=False)
    batch: int | None = None
    asked: str = VALUE

    def __post_init__(self) -> None:
        self._lookup.require_complete()

    def predict(self, features: pl.DataFrame) -> Predictions:
        """See `scoreline.abc.Model.predict`."""
        unseen = self._lookup.unseen(features)
        batches = slices(features, self._rows_at_once(self.batch))
        parts = [call(self.estimator, self.asked, self.matrix(part)) for part in batches]
        return Predictions(pl.concat(parts), unseen)

    def matrix(self, features: pl.DataFrame) -> Matrix:
        """What the vectorizer itself makes of (rows, inputs): (rows, vocabulary)."""
        import numpy as np

        try:
            with np.errstate(over="ignore"):  # a huge number is infinite to a vectorizer of small floats
                return self.vectorizer.transform(features.select(self.inputs).to_dicts())
        except (TypeError, ValueError, OverflowError) as error:
            raise ModelFailed(f"the model's DictVectorizer refused the features: {error}") from error

    def accelerated(self) -> Model | None:
        """See `scoreline.abc.Model.accelerated`: its form where that is exact, else the matrix by look-up."""
        if not type(self.vectorizer).__module__.startswith("sklearn."):
            return None
        if not isinstance(self._form, NoForm):
            return self._form
        return DictLookup(self._lookup, functools.partial(call, self.estimator, self.asked), self.facts)

    def uncompiled(self) -> str:
        """See `scoreline.abc.TellsWhy.uncompiled`."""
        if not type(self.vectorizer).__module__.startswith("sklearn."):
            return f"{type(self.vectorizer).__name__} is a class of its own, which may do anything"
        return str(self._form) if isinstance(self._form, NoForm) else ""

    def parity(self, candidate: Model, features: pl.DataFrame) -> Parity:
        """See `scoreline.abc.Model.parity`: the matrices must be the same, and so the predictions."""
        if is_form(candidate):
            rows = features.select(self.inputs)
            turns = with_values(rows, thresholds(self.estimator).tolist())
            return compare(self, candidate, rows, with_edges(rows)[rows.height :], turns, with_gaps(rows))
        assert isinstance(candidate, DictLookup)
        tried = with_edges(features.select(self.inputs))
        difference = self._matrices_differ(tried, candidate.lookup)
        if difference:
            return Parity(False, tried.height, float("nan"), difference)
        mine, theirs = self.predict(features).values, candidate.predict(features).values
        same = mine.equals(theirs, null_equal=True)
        gap = (mine - theirs).abs().max() if mine.dtype.is_numeric() else None
        return Parity(
            same,
            tried.height,
            float(gap) if isinstance(gap, int | float) else 0.0 if same else float("nan"),
            "same matrix and same predictions" if same else "same matrix, but other predictions",
        )

    def _matrices_differ(self, tried: pl.DataFrame, lookup: VocabularyLookup) -> str:
        try:
            original = self.matrix(tried)
        except ModelFailed as error:
            return f"the original refuses missing or huge values: {error.message}"
        return compare_matrices(original, lookup.matrix(tried))

    def describe(self) -> dict[str, Any]:
        """See `scoreline.abc.Model.describe`."""
        return {
            "kind": f"DictVectorizer + {name_of(self.estimator)}",
            "inputs": list(self.inputs),
            "vocabulary": len(self.vectorizer.vocabulary_),
            **outputs_of(self.estimator),
            **({"structure": "checked"} if is_sound(self.vectorizer, self.estimator) else {}),
            **self.facts,
        }

    @functools.cached_property
    def _form(self) -> Form | NoForm:
        try:
            return dict_form(self.vectorizer, self.estimator, self._lookup, cast("Wanted", self.asked))
        except NoForm as reason:
            return NoForm(str(reason))  # without the frames that it came through

    @functools.cached_property
    def _lookup(self) -> VocabularyLookup:
        return VocabularyLookup.of(self.vectorizer, self.inputs, self._rows_at_once(None))

    def _rows_at_once(self, batch: int | None) -> int:
        wanted = batch or AT_ONCE
        # A dense vectorizer makes a row of the vocabulary's length for every trip.
        if self.vectorizer.sparse:
            return wanted
        return max(1, min(wanted, _DENSE_BYTES // (8 * max(1, len(self.vectorizer.vocabulary_)))))
