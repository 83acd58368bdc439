"""Estimators and pipelines that read a pandas frame of named columns, or an array."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import polars as pl

from scoreline.abc import Model, Parity, Predictions
from scoreline.errors import MissingExtra, ModelFailed, ModelInvalid
from scoreline.models.as_is import same_predictions
from scoreline.models.compiled.columns import is_exact
from scoreline.models.compiled.encoded import Encoded
from scoreline.models.compiled.form import NoForm, is_form
from scoreline.models.compiled.frames import encoded_form, thresholds
from scoreline.models.compiled.link import Wanted
from scoreline.models.compiled.parity import compare
from scoreline.models.dict_lookup import (
    with_edges,
    with_gaps,
    with_values,
)
from scoreline.models.encoders import Learned, count_unseen, learned_by, refused_rows
from scoreline.models.estimators import call, name_of, outputs_of, parts_within
from scoreline.models.native import Inputs
from scoreline.models.shapes import (
    AT_ONCE,
    VALUE,
    require_count,
    require_names,
    slices,
)
from scoreline.models.wrappers import categories_in, with_categories

_KNOWN_CODE = ("sklearn.", "xgboost.", "lightgbm.")


@dataclass(frozen=True)
class FrameModel:
    """Any other estimator or pipeline, fed with a pandas frame of named columns, or an array in declared order."""

    estimator: Any
    inputs: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict, repr=False)
    batch: int | None = None
    asked: str = VALUE

    def __post_init__(self) -> None:
        require_names(self._names or (), self.inputs)
        count = getattr(self.estimator, "n_features_in_", None)
        if count is not None and _names_of(self.estimator) is None:
            require_count(count, self.inputs)

    def predict(self, features: pl.DataFrame) -> Predictions:
        """See `scoreline.abc.Model.predict`.

        Raises:
            ModelFailed: with ``unseen``, feature -> positions of rows, where an encoder refused their categories.
        """
        # Asked for all rows at once, so that positions are those of the asker.
        unseen = self._categories.codes(features)[1] if self._categories is not None else {}
        try:
            values = pl.concat([self._alone(part) for part in slices(features, self.batch or AT_ONCE)])
        except ModelFailed as error:
            # An encoder refuses a whole batch for one unknown category; whoever asked may leave these rows out.
            if rows := refused_rows(self._learned, features):
                error.facts["unseen"] = rows
            raise
        return Predictions(values, unseen | count_unseen(self._learned, features))

    def _alone(self, features: pl.DataFrame) -> pl.Series:
        """Of each row, whatever stands beside it: to pandas one missing whole number makes floats of its column."""
        gaps = [one.is_null() for one in features.select(self._names or self.inputs) if self._may_see(one)]
        if not gaps:
            return self._predicted(features)
        kinds = pl.select(pl.concat_str([mask.cast(pl.Int8) for mask in gaps])).to_series()
        rows = [(kinds == kind).arg_true() for kind in kinds.unique(maintain_order=True)]
        values = pl.concat([self._predicted(features[some]) for some in rows])
        return values.gather(pl.concat(rows).arg_sort())

    def _may_see(self, column: pl.Series) -> bool:
        """Whether it may matter to the model that a column of whole numbers became floats, as it does to text of it."""
        if not (column.dtype.is_integer() or column.dtype == pl.Boolean) or not column.null_count():
            return False
        return self._runs_other_code or (column.dtype != pl.Boolean and not is_exact(column))

    @functools.cached_property
    def _runs_other_code(self) -> bool:
        parts = list(parts_within(self.estimator, set()))
        known = all(type(one).__module__.startswith(_KNOWN_CODE) for one in parts)
        return not known or any(getattr(one, "func", None) is not None for one in parts)

    def _predicted(self, features: pl.DataFrame) -> pl.Series:
        if self._names is not None:
            frame = _pandas(features.select(self._names), self._none_to_it)
            if self._categories is not None:
                frame = with_categories(frame, features, self._categories)
            return call(self.estimator, self.asked, frame)
        text = [name for name in self.inputs if not features.schema[name].is_numeric()]
        if text:
            raise ModelInvalid(
                f"the model reads features by position, and {', '.join(map(repr, text))} is not numeric",
                hint="train it on a frame with named columns",
            )
        return call(self.estimator, self.asked, features.select(self.inputs).to_numpy())

    def accelerated(self) -> Model | None:
        """See `scoreline.abc.Model.accelerated`."""
        return None if isinstance(self._encoded, NoForm) else self._encoded

    def uncompiled(self) -> str:
        """See `scoreline.abc.TellsWhy.uncompiled`."""
        return str(self._encoded) if isinstance(self._encoded, NoForm) else ""

    def parity(self, candidate: Model, features: pl.DataFrame) -> Parity:
        """See `scoreline.abc.Model.parity`."""
        if is_form(candidate):
            rows = features.select(candidate.inputs)
            turns = with_values(rows, thresholds(self.estimator).tolist())
            edges = pl.concat([with_edges(rows)[rows.height :], turns], how="vertical_relaxed")
            return compare(self, candidate, rows, edges, with_gaps(rows))
        return same_predictions(self, candidate, features)

    def describe(self) -> dict[str, Any]:
        """See `scoreline.abc.Model.describe`."""
        about = {"kind": name_of(self.estimator), "inputs": list(self._names or self.inputs)}
        return about | outputs_of(self.estimator) | self.facts

    @functools.cached_property
    def _encoded(self) -> Encoded | NoForm:
        try:
            return encoded_form(self.estimator, self._names or self.inputs, cast("Wanted", self.asked))
        except NoForm as reason:
            return NoForm(str(reason))  # without the frames that it came through

    @functools.cached_property
    def _learned(self) -> tuple[Learned, ...]:
        return learned_by(self.estimator, self._names or self.inputs)

    @functools.cached_property
    def _categories(self) -> Inputs | None:
        return categories_in(self.estimator)

    @functools.cached_property
    def _names_within(self) -> tuple[str, ...] | None:
        """The inputs, where parts know names and the whole does not: a pipeline that begins with passthrough."""
        learned = [names for part in parts_within(self.estimator, set()) if (names := _names_of(part)) is not None]
        same = (names for names in learned if set(names) == set(self.inputs))
        # In another order than that of its training a part refuses a frame, and an array it does not.
        return next(same, self.inputs if learned else None)

    @functools.cached_property
    def _none_to_it(self) -> tuple[str, ...]:
        """Features whose missing text has to reach an encoder as None, since None is what it has learned."""
        known = (listed for part in parts_within(self.estimator, set()) for listed in getattr(part, "categories_", ()))
        if not any(None in list(listed) for listed in known):
            return ()
        nan = {one.name for one in self._learned if one.nan}
        return tuple(name for name in self._names or () if name not in nan)

    @functools.cached_property
    def _names(self) -> tuple[str, ...] | None:
        has_names = getattr(self.estimator, "feature_names_in_", None) is not None
        return _names_of(self.estimator) if has_names else self._names_within


def _names_of(estimator: Any) -> tuple[str, ...] | None:
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        return None
    found = tuple(str(name) for name in names)
    # So LightGBM calls the columns of an array, which have no names.
    return None if found == tuple(f"Column_{at}" for at in range(len(found))) else found


def _pandas(features: pl.DataFrame, none: Sequence[str]) -> Any:
    """A pandas frame as ``pandas.read_parquet`` would give it, where missing text is NaN, or None in some features."""
    try:
        import pandas as pd  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            "pandas is not installed, and a model with named columns needs it", hint="pip install 'scoreline[sklearn]'"
        ) from error
    frame = features.to_pandas()
    for name in none:
        if features.schema[name] == pl.String:
            frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    return frame
