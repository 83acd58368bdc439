"""Card: what training records beside a model, so that scoring can tell whether it still means the same.

It lies in the model's folder as ``scoreline.json``; ``golden.parquet`` beside it holds some rows of features with the
predictions that the model made for them on the day it was trained. It must not know how models are loaded.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from platform import python_version
from typing import Any

from scoreline.codebase import version_of
from scoreline.errors import ModelInvalid

CARD, GOLDEN = "scoreline.json", "golden.parquet"
PREDICTED = "scoreline.prediction"
"""Column of the golden rows that holds the predictions."""

PACKAGES = ("scikit-learn", "numpy", "scipy", "pandas", "joblib", "xgboost", "lightgbm", "onnxruntime")
"""Packages whose version may change what a model predicts."""

_ALSO = {"onnxruntime": "onnxruntime-gpu", "xgboost": "xgboost-cpu"}
"""Package -> another one that has the same modules and versions."""

_LIBRARIES = {"xgboost", "lightgbm", "onnxruntime"}
"""Of these, what no model of a process uses is not even imported."""

_PARAM_LENGTH = 250
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")

_FORMS: dict[str, type] = {
    "job": str,
    "features": list,
    "target": str,
    "made_with": dict,
    "trained_on": dict,
    "params": dict,
    "metrics": dict,
    "predict": str,
}


@dataclass(frozen=True)
class Card:
    """What a trained model says of itself.

    Attributes:
        job: key of the job that trained it.
        features: declarations of the features that it reads, in order, as `Feature.declaration` gives them.
        target: name of the column that it predicts.
        made_with: package -> version, of Python and of what may change its predictions.
        trained_on: partitions, files, row count and content digest (`scoreline.rowsum`) of the training rows.
        params: parameters of the estimator, as text.
        metrics: such as ``rmse`` and ``bias``, by name.
        predict: what the golden rows hold, one of `scoreline.job.PREDICTS`.
        golden: path of the golden rows, None when there are none; filled in where the card is read.
    """

    job: str
    features: tuple[dict[str, Any], ...]
    target: str
    made_with: dict[str, str]
    trained_on: dict[str, Any] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    golden: str | None = None
    predict: str = "value"

    def write(self, folder: Path) -> None:
        """Writes ``scoreline.json`` into a model's folder."""
        form = {"version": 1} | {name: value for name, value in asdict(self).items() if name != "golden"}
        if self.predict == "value":  # as before there was a choice
            del form["predict"]
        (folder / CARD).write_text(json.dumps(form, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_card(folder: Path) -> Card | None:
    """The card in a model's folder, None when there is none.

    Raises:
        ModelInvalid: it is damaged, or of a newer kind.
    """
    path = folder / CARD
    if not path.is_file():
        return None
    try:
        form = json.loads(path.read_bytes())
        kind = form.pop("version")
        if kind != 1:
            raise ModelInvalid(f"{path} is of version {kind}, which this Scoreline does not know", hint="upgrade it")
        _require_form(form)
        card = Card(**form | {"features": tuple(form["features"])})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelInvalid(f"{path} is damaged: {error}", hint="train the model again") from error
    golden = folder / GOLDEN
    return replace(card, golden=str(golden) if golden.is_file() else None)


def _require_form(form: dict[str, Any]) -> None:
    for name, kind in _FORMS.items():
        if not isinstance(form.get(name, kind()), kind):
            raise TypeError(f"{name} is {form[name]!r}")
    if not all(isinstance(feature, dict) for feature in form["features"]):
        raise TypeError("a feature is no declaration")


def running_versions(names: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Package -> installed version, for those that are installed."""
    found: dict[str, str] = {}
    for name in names:
        for package in (name, _ALSO.get(name, name)):
            try:
                found.setdefault(name, version_of(package))
            except PackageNotFoundError:
                continue
    return found


def versions_used() -> dict[str, str]:
    """Package -> version of Python and of what may change the predictions of a model made in this process."""
    found = running_versions()
    unused = {name for name in _LIBRARIES if name not in sys.modules}
    return {"python": python_version()} | {name: known for name, known in found.items() if name not in unused}


def params_of(estimator: Any) -> dict[str, str]:
    """Parameters of an estimator as short text, without addresses in memory; its class as ``estimator``."""
    own = estimator.get_params() if callable(getattr(estimator, "get_params", None)) else {}
    return {"estimator": type(estimator).__name__} | {name: _short(value) for name, value in sorted(own.items())}


def _short(value: Any) -> str:
    text = _ADDRESS.sub("", " ".join(repr(value).split()))
    return text if len(text) <= _PARAM_LENGTH else text[: _PARAM_LENGTH - 1] + "…"


def differing(made_with: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Package -> (version then, version now or ``"none"``), for those that matter and are not the same."""
    now = running_versions()
    return {
        name: (then, now.get(name, "none"))
        for name, then in sorted(made_with.items())
        if name in PACKAGES and now.get(name, "none") != then
    }
