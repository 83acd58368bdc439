"""scikit-learn's models: the pair (DictVectorizer, estimator), pipelines, and other estimators.

scikit-learn is imported only when a model is loaded.
"""

from __future__ import annotations

from typing import Any

from scoreline.abc import Model, TellsWhy
from scoreline.errors import ModelInvalid, ScorelineError
from scoreline.models.compiled.form import is_form
from scoreline.models.compiled.frames import found_by_search
from scoreline.models.dict_model import DictModel
from scoreline.models.estimators import classes_of, name_of, parts_within
from scoreline.models.frame_model import FrameModel
from scoreline.models.shapes import (
    VALUE,
    require_classes,
)
from scoreline.models.wrappers import file_of, is_booster


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
    for part in parts_within(estimator, set()):
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
