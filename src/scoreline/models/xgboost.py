"""XGBoost's own files, JSON and UBJSON: no code of a model runs when they are read, so they need nobody's trust.

A file that XGBoost's scikit-learn classifier has saved says so, and predicts labels as that one does; any other
predicts what ``Booster.predict`` gives. XGBoost is imported when a file is read.
"""

from __future__ import annotations

import functools
import json
import re
import threading
from dataclasses import dataclass
from typing import Any

import polars as pl

from scoreline import own_process
from scoreline.abc import Model
from scoreline.errors import MissingExtra, ModelInvalid
from scoreline.models.kinds import is_old_binary, refuse_old_binary
from scoreline.models.native import Inputs, MatrixModel, categories
from scoreline.models.shapes import (
    PROBABILITY,
    VALUE,
    class_names,
    probability_of,
    require_classes,
    series_of,
)

_JSON_VERSION = re.compile(rb'"version"\s*:\s*\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\]\s*\}\s*$')
_UBJ_VERSION = re.compile(rb"L\0\0\0\0\0\0\0\x07version\[#L\0\0\0\0\0\0\0\x03i(.)i(.)i(.)\}$", re.DOTALL)
_CUTS_NAMES = (3, 2)
"""The last version that does; see https://github.com/dmlc/xgboost/pull/12371."""
_ENTIRELY = (0, 0)
"""A range of iterations that means all of them."""


def require_whole(content: bytes, path: str) -> None:
    """Refuses what is none of XGBoost's files, or cut short, before XGBoost sees it.

    Raises:
        ModelInvalid: it is.
    """
    if is_old_binary(content):
        raise refuse_old_binary(path)
    if not (content.lstrip()[:1] == b"{" and content.rstrip()[-1:] == b"}" and b"learner" in content):
        raise _unreadable(path, "it does not begin or end as its files do")


def _unreadable(path: str, why: str) -> ModelInvalid:
    return ModelInvalid(
        f"the model {path} cannot be read by XGBoost: {why}",
        hint="it is damaged, cut short, or was made by a newer XGBoost",
    )


def read(content: bytes, path: str) -> XgboostFile:
    """A model file, read by XGBoost.

    Raises:
        ModelInvalid: it is damaged, no XGBoost model, or in the old binary format.
        MissingExtra: XGBoost is not installed.
    """
    require_whole(content, path)
    try:
        with own_process.without("sklearn"):  # importing it takes longer than scoring millions of rows
            import xgboost
    except ImportError as error:
        raise MissingExtra(
            "XGBoost is not installed, and the model needs it", hint="pip install 'scoreline[xgboost]'"
        ) from error
    try:
        with xgboost.config_context(verbosity=0):
            # One thread a call: splits are scored side by side.
            booster = xgboost.Booster({"nthread": 1})
            booster.load_model(bytearray(content))
            learner = json.loads(booster.save_config())["learner"]
    except (xgboost.core.XGBoostError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, _short(error)) from error
    return XgboostFile(booster, learner, _version(content))


@dataclass(frozen=True)
class XgboostFile:
    """Implements `scoreline.models.native.Native`.

    Args:
        booster: as it was read.
        learner: its configuration, as XGBoost tells it.
        made_by: version that wrote the file, None where that cannot be told.
    """

    booster: Any
    learner: dict[str, Any]
    made_by: str | None

    def adapt(self, features: tuple[str, ...], facts: dict[str, Any], batch: int | None, predict: str) -> Model:
        """See `scoreline.models.native.Native.adapt`."""
        require_classes(self.kind, self.classes, predict)
        reads = self.reads
        return MatrixModel(reads, reads.order(features), functools.partial(self._call, predict), facts, batch)

    def about(self) -> dict[str, Any]:
        """See `scoreline.models.native.Native.about`."""
        about: dict[str, Any] = {"kind": self.kind, "inputs": list(self.reads.names or ())}
        about |= {"features": self.reads.count, "trees": self.booster.num_boosted_rounds()}
        about |= {"classes": list(self.classes)} if self.classes else {}
        return about | {"predicts": self._told(), "made_with": {"xgboost": self.made_by} if self.made_by else {}}

    def try_out(self) -> None:
        """See `scoreline.models.native.Native.try_out`."""
        self._call(VALUE, self.reads.samples())

    @functools.cached_property
    def reads(self) -> Inputs:
        """How features become the matrix."""
        names, kinds = self.booster.feature_names, self.booster.feature_types or []
        if "c" not in kinds:
            return Inputs(tuple(names) if names else None, self.booster.num_features())
        known = {name: self._names(listed, name) for name, listed in self._stored() if listed is not None}
        # XGBoost 3.2 takes a category that it does not know for the first that it knows.
        return Inputs(tuple(names) if names else None, self.booster.num_features(), known, refuses=True)

    def _names(self, listed: Any, name: str) -> pl.Series:
        """The categories of a feature.

        Raises:
            ModelInvalid: XGBoost has cut them wrongly: until 3.2 it counts characters where it means bytes.
        """
        text = listed.buffers()[-1]
        fixed = self.made_by is not None and tuple(map(int, self.made_by.split(".")[:2])) > _CUTS_NAMES
        if not fixed and _is_text(listed) and text is not None and not text.to_pybytes().isascii():
            raise ModelInvalid(
                f"the categories of {name!r} have letters that are not ASCII, and XGBoost {self.made_by or '3.2'} has "
                "cut such names at the wrong places: nobody can tell any more which category is which",
                hint="train with names in ASCII, with whole numbers for them, or with an XGBoost after 3.2",
            )
        return categories(listed.to_pylist(), name)

    def _stored(self) -> list[tuple[str, Any]]:
        """(feature, Arrow array of its categories or None); XGBoost keeps them since 3.1, where the data had names."""
        kept = self.booster.get_categories(export_to_arrow=True)
        return [] if kept is None or kept.empty() else list(kept.to_arrow())

    @property
    def kind(self) -> str:
        """For people."""
        return f"XGBoost {self._name}, {self._objective}"

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The classes that it gives probabilities of: 0, 1, ... as XGBoost numbers them."""
        if self._objective == "binary:logistic" and self._targets == 1:
            return class_names(range(2))
        count = int(self.learner["learner_model_param"]["num_class"])
        return class_names(range(count)) if self._objective == "multi:softprob" else None

    @property
    def _objective(self) -> str:
        return str(self.learner["objective"]["name"])

    @property
    def _targets(self) -> int:
        return int(self.learner["learner_model_param"].get("num_target", 1))

    @functools.cached_property
    def _is_classifier(self) -> bool:
        """Whether XGBoost's scikit-learn classifier has saved it, which predicts labels."""
        said = self.booster.attr("scikit_learn")
        return said is not None and json.loads(said).get("_estimator_type") == "classifier"

    @functools.cached_property
    def _range(self) -> tuple[int, int]:
        """The scikit-learn wrapper stops at the best iteration, the booster never."""
        best = self.booster.attr("best_iteration") if self.booster.attr("scikit_learn") is not None else None
        return _ENTIRELY if best is None or self._is_linear else (0, int(best) + 1)

    @property
    def _is_linear(self) -> bool:
        return self._name == "gblinear"

    @property
    def _name(self) -> str:
        return str(self.learner["gradient_booster"]["name"])

    def _told(self) -> str:
        if self._is_classifier:
            return "labels"
        if self.classes is None:
            return "numbers"
        return "the probability of the second class" if len(self.classes) == 2 else "probabilities of all classes"

    def _raw(self, matrix: Any) -> Any:
        """(rows,) or (rows, outputs) float32, as XGBoost gives them."""
        import xgboost

        # In place, dropped trees are added up in another order than Booster.predict does it, not than the wrapper does.
        if not self._is_linear and (self._name != "dart" or self.booster.attr("scikit_learn") is not None):
            return self.booster.inplace_predict(matrix, iteration_range=self._range, validate_features=False)
        data = xgboost.DMatrix(matrix, nthread=1)
        with _ALONE:  # XGBoost says of its trees alone that threads may share them
            return self.booster.predict(data, validate_features=False)

    def _call(self, predict: str, matrix: Any) -> pl.Series:
        import numpy as np

        raw, rows = np.asarray(self._raw(matrix)), matrix.shape[0]
        if predict != VALUE:
            if raw.ndim == 1:  # in XGBoost's own small floats, as its scikit-learn classifier does it
                raw = np.stack([1.0 - raw, raw], axis=1) if predict != PROBABILITY else np.stack([raw, raw], axis=1)
            return probability_of(raw, rows, self.classes or (), predict)
        if self._is_classifier and self._objective != "multi:softmax":
            # The same steps as in XGBClassifier.predict.
            several = raw.ndim > 1 and self.classes is not None
            raw = np.argmax(raw, axis=1) if several else (raw > 0.5).astype(np.int64)
        if self._objective == "multi:softmax":
            raw = raw.astype(np.int64)
        found = series_of(raw, rows)
        return found.cast(pl.Float64) if found.dtype.is_float() else found


def _is_text(listed: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(listed.type) or pa.types.is_large_string(listed.type))


_ALONE = threading.Lock()


def _version(content: bytes) -> str | None:
    if found := _JSON_VERSION.search(content[-4096:]):
        return ".".join(part.decode() for part in found.groups())
    if found := _UBJ_VERSION.search(content[-4096:]):
        return ".".join(str(part[0]) for part in found.groups())
    return None


def _short(error: Exception) -> str:
    """The first line of what XGBoost says, without place and time."""
    return (
        re.sub(r"^\[[\d:]+\]\s+\S+\s+", "", str(error).strip().splitlines()[0]) if str(error).strip() else "no reason"
    )
