"""scikit-learn's models: the pair (DictVectorizer, estimator), pipelines, and other estimators.

scikit-learn is imported only when a model is loaded.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import polars as pl

from scoreline.abc import Model, Parity, Predictions, TellsWhy
from scoreline.errors import MissingExtra, ModelFailed, ModelInvalid, ScorelineError
from scoreline.models.as_is import raised, same_predictions
from scoreline.models.compiled.additive import Additive
from scoreline.models.compiled.columns import is_exact
from scoreline.models.compiled.dict_linear import additive_form
from scoreline.models.compiled.encoded import Encoded
from scoreline.models.compiled.form import NoForm, is_form
from scoreline.models.compiled.frames import encoded_form, found_by_search, thresholds
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
from scoreline.models.encoders import Learned, count_unseen, learned_by, refused_rows
from scoreline.models.native import Inputs
from scoreline.models.shapes import (
    AT_ONCE,
    VALUE,
    class_names,
    probability_of,
    require_classes,
    require_count,
    require_names,
    series_of,
    slices,
)
from scoreline.models.structure import is_sound
from scoreline.models.threads import limited
from scoreline.models.wrappers import categories_in, file_of, is_booster, with_categories

_DENSE_BYTES = 1 << 26
_KNOWN_CODE = ("sklearn.", "xgboost.", "lightgbm.")


def adapt(
    loaded: Any, features: tuple[str, ...], facts: dict[str, Any], batch: int | None = None, predict: str = VALUE
) -> Model:
    """The model that an unpickled object is.

    Args:
        loaded: the pair (DictVectorizer, estimator), a pipeline, an estimator, or a search that has found one.
        features: names of the job's features, in order.
        facts: what else ``describe`` says.
        batch: rows of one predict call; the accelerated form keeps to its own.
        predict: what is asked of it, one of `scoreline.job.PREDICTS`.

    Raises:
        ModelInvalid: it cannot predict, or not from these features, or not what is asked of it.
    """
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.pipeline import Pipeline

    loaded = found_by_search(loaded)
    _predict_in_one_thread(loaded)
    if is_booster(loaded):
        file = file_of(loaded)
        return file.adapt(features, {"kind": file.about()["kind"]} | facts, batch, predict)
    if isinstance(loaded, tuple) and len(loaded) == 2 and isinstance(loaded[0], DictVectorizer):
        vectorizer, estimator = loaded
        return DictModel(_fitted(vectorizer), _predictor(estimator, predict), features, facts, batch, predict)
    if isinstance(loaded, Pipeline) and isinstance(loaded.steps[0][1], DictVectorizer) and len(loaded.steps) > 1:
        return DictModel(_fitted(loaded.steps[0][1]), _predictor(loaded[1:], predict), features, facts, batch, predict)
    return FrameModel(_predictor(loaded, predict), features, facts, batch, predict)


def _predict_in_one_thread(estimator: Any) -> None:
    """Sets ``n_jobs`` to 1 in an estimator and all that it is made of.

    A forest that predicts in several threads adds its trees up in the order in which they end, so that the last bits of
    a prediction change from run to run. Splits are scored side by side anyway.
    """
    for part in _inner(estimator, set()):
        if getattr(part, "n_jobs", None) not in {None, 1}:
            part.n_jobs = 1


def _fitted(vectorizer: Any) -> Any:
    if not hasattr(vectorizer, "vocabulary_"):
        raise ModelInvalid(
            "the model's DictVectorizer was never fitted", hint="fit it on training data, then pickle the model again"
        )
    return vectorizer


def _predictor(estimator: Any, predict: str) -> Any:
    if not callable(getattr(estimator, "predict", None)):
        raise ModelInvalid(
            f"the model is a {type(estimator).__name__}, which cannot predict",
            hint="pickle the pair (DictVectorizer, estimator), or a pipeline",
        )
    require_classes(name_of(estimator), classes_of(estimator), predict)
    return estimator


def classes_of(estimator: Any) -> tuple[str, ...] | None:
    """The classes that an estimator gives probabilities of; None where it gives none, or those of several outputs."""
    if not callable(getattr(estimator, "predict_proba", None)):
        return None
    classes = getattr(estimator, "classes_", None)
    several = isinstance(classes, list) and any(hasattr(one, "__len__") and not isinstance(one, str) for one in classes)
    return None if classes is None or several else class_names(classes)


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
        parts = [_call(self.estimator, self.asked, self.matrix(part)) for part in batches]
        return Predictions(pl.concat(parts), unseen)

    def matrix(self, features: pl.DataFrame) -> Matrix:
        """What the vectorizer itself makes of (rows, inputs): (rows, vocabulary)."""
        try:
            return self.vectorizer.transform(features.select(self.inputs).to_dicts())
        except (TypeError, ValueError, OverflowError) as error:
            raise ModelFailed(f"the model's DictVectorizer refused the features: {error}") from error

    def accelerated(self) -> Model | None:
        """See `scoreline.abc.Model.accelerated`: the sum of look-ups where it is exact, else that of the matrix."""
        if not type(self.vectorizer).__module__.startswith("sklearn."):
            return None
        if not isinstance(self._additive, NoForm):
            return self._additive
        return DictLookup(self._lookup, functools.partial(_call, self.estimator, self.asked), self.facts)

    def uncompiled(self) -> str:
        """See `scoreline.abc.TellsWhy.uncompiled`."""
        if not type(self.vectorizer).__module__.startswith("sklearn."):
            return f"{type(self.vectorizer).__name__} is a class of its own, which may do anything"
        return str(self._additive) if isinstance(self._additive, NoForm) else ""

    def parity(self, candidate: Model, features: pl.DataFrame) -> Parity:
        """See `scoreline.abc.Model.parity`: the matrices must be the same, and so the predictions."""
        if is_form(candidate):
            rows = features.select(self.inputs)
            return compare(self, candidate, rows, with_edges(rows)[rows.height :])
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
        import numpy as np

        with np.errstate(over="ignore"):  # a made-up huge number may be infinite to a vectorizer of small floats
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
    def _additive(self) -> Additive | NoForm:
        try:
            return additive_form(self.vectorizer, self.estimator, self._lookup, cast("Wanted", self.asked))
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
        parts = list(_inner(self.estimator, set()))
        known = all(type(one).__module__.startswith(_KNOWN_CODE) for one in parts)
        return not known or any(getattr(one, "func", None) is not None for one in parts)

    def _predicted(self, features: pl.DataFrame) -> pl.Series:
        if self._names is not None:
            frame = _pandas(features.select(self._names), self._none_to_it)
            if self._categories is not None:
                frame = with_categories(frame, features, self._categories)
            return _call(self.estimator, self.asked, frame)
        text = [name for name in self.inputs if not features.schema[name].is_numeric()]
        if text:
            raise ModelInvalid(
                f"the model reads features by position, and {', '.join(map(repr, text))} is not numeric",
                hint="train it on a frame with named columns",
            )
        return _call(self.estimator, self.asked, features.select(self.inputs).to_numpy())

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
        learned = [names for part in _inner(self.estimator, set()) if (names := _names_of(part)) is not None]
        same = (names for names in learned if set(names) == set(self.inputs))
        # In another order than that of its training a part refuses a frame, and an array it does not.
        return next(same, self.inputs if learned else None)

    @functools.cached_property
    def _none_to_it(self) -> tuple[str, ...]:
        """Features whose missing text has to reach an encoder as None, since None is what it has learned."""
        known = (listed for part in _inner(self.estimator, set()) for listed in getattr(part, "categories_", ()))
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


def _inner(estimator: Any, seen: set[int]) -> Iterator[Any]:
    """An estimator and all that it is made of."""
    if id(estimator) in seen or isinstance(estimator, str | bytes | int | float | type | None):
        return
    seen.add(id(estimator))
    if isinstance(estimator, list | tuple | dict):
        for part in estimator.values() if isinstance(estimator, dict) else estimator:
            yield from _inner(part, seen)
    elif hasattr(estimator, "get_params"):
        yield estimator
        for part in list(vars(estimator).values()):
            yield from _inner(part, seen)


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


def _call(estimator: Any, asked: str, matrix: Any) -> pl.Series:
    import numpy as np

    rows = matrix.shape[0]
    try:
        # Numbers too large for the small floats of trees are refused by name; a warning for each call would hide that.
        with limited(), np.errstate(over="ignore", invalid="ignore"):
            values = (estimator.predict if asked == VALUE else estimator.predict_proba)(matrix)
    except Exception as error:
        raise raised(error, hint=_why(matrix)) from error
    if asked == VALUE:
        return series_of(values, rows)
    return probability_of(values, rows, classes_of(estimator) or (), asked)


def outputs_of(estimator: Any) -> dict[str, Any]:
    """What it predicts, for people: ``classes``, or how many ``outputs`` where there are several."""
    last = getattr(estimator, "steps", [("", estimator)])[-1][1]
    classes, coefficients = getattr(last, "classes_", None), getattr(last, "coef_", None)
    count = getattr(last, "n_outputs_", 1)
    if isinstance(classes, list) and any(hasattr(one, "__len__") and not isinstance(one, str) for one in classes):
        count = len(classes)
    elif classes is not None:
        return {"classes": [str(one) for one in classes]}
    elif getattr(coefficients, "ndim", 1) == 2:
        count = coefficients.shape[0]  # type: ignore[union-attr]
    return {"outputs": int(count)} if count != 1 else {}


def compiled_of(loaded: Any, inputs: tuple[str, ...]) -> tuple[str | None, str]:
    """The form that a loaded object becomes when it predicts values, or why it becomes none.

    Args:
        loaded: as `adapt` takes it.
        inputs: names of what it reads.
    """
    try:
        model = adapt(loaded, inputs, {})
        form = model.accelerated()
    except ScorelineError as error:
        return None, error.message
    if form is None or not is_form(form):
        looked_up = "; its DictVectorizer is looked up all the same, and the estimator itself predicts" if form else ""
        return None, (model.uncompiled() if isinstance(model, TellsWhy) else "nobody knows an exact form") + looked_up
    return str(form.describe()["kind"]), ""


_TEXTS = ("object", "str", "string")
_TOLD = 12
"""Inputs whose types are named where a model raised."""


def _why(matrix: Any) -> str:
    """What a model may have stumbled over, by what it was given."""
    types = getattr(matrix, "dtypes", None)
    if types is None:
        return "look for missing or infinite values in the features: scoreline run JOB PARTITION --limit 1000 --preview"
    told = [f"{name} {'text' if str(kind) in _TEXTS else kind}" for name, kind in types.items()]
    given = ", ".join(told[:_TOLD]) + (f" and {len(told) - _TOLD} more" if len(told) > _TOLD else "")
    return (
        f"it was given {given}; are these the types of its training? number(...) and category(...) in features=, and "
        "the types of the contract, decide them; else look for missing values"
    )


def name_of(estimator: Any) -> str:
    """What people call an estimator or pipeline."""
    steps = getattr(estimator, "steps", None)
    named = (step if isinstance(step, str) else type(step).__name__ for _, step in steps or ())
    return " + ".join(named) if steps else type(estimator).__name__
