"""LightGBM's text files: no code of a model runs when they are read, so they need nobody's trust.

They predict what ``Booster.predict`` gives. LightGBM is imported when a file is read.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

import polars as pl

from scoreline import own_process
from scoreline.abc import Model
from scoreline.errors import MissingExtra, ModelInvalid
from scoreline.models.native import Inputs, MatrixModel, categories
from scoreline.models.shapes import PROBABILITY, VALUE, class_names, probability_of, require_classes, series_of

_UNNAMED = re.compile(r"Column_(\d+)")
_END = b"end of trees"


def require_whole(content: bytes, path: str) -> None:
    """Refuses what is none of LightGBM's files, or cut short, before LightGBM sees it.

    LightGBM reads a file that is cut short between two trees as a smaller model, without a word.

    Raises:
        ModelInvalid: it is.
    """
    if not content.startswith(b"tree\n") or _END not in content:
        raise _unreadable(path, "it does not begin with 'tree', or its trees do not end")


def read(content: bytes, path: str) -> LightgbmFile:
    """A model file, read by LightGBM.

    Raises:
        ModelInvalid: it is damaged, or no LightGBM model.
        MissingExtra: LightGBM is not installed.
    """
    require_whole(content, path)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _unreadable(path, "it is no text in UTF-8") from error
    try:
        with own_process.without("sklearn"):  # importing it takes longer than scoring millions of rows
            import lightgbm
    except ImportError as error:
        raise MissingExtra(
            "LightGBM is not installed, and the model needs it", hint="pip install 'scoreline[lightgbm]'"
        ) from error
    head = dict(line.split("=", 1) for line in text.partition("\n\n")[0].splitlines() if "=" in line)
    try:
        booster = lightgbm.Booster(model_str=text)
        listed = categorical_in(text)
        return LightgbmFile(booster, head.get("objective", "custom"), head, listed)
    except (lightgbm.basic.LightGBMError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: str, why: str) -> ModelInvalid:
    return ModelInvalid(
        f"the model {path} cannot be read by LightGBM: {why}",
        hint="it is damaged, cut short, or no file of Booster.save_model",
    )


def categorical_in(text: str) -> tuple[int, ...]:
    """Positions of the categorical features, as the parameters of the training have them."""
    found = re.search(r"^\[categorical_feature: ([\d,]*)\]$", text, re.MULTILINE)
    return tuple(int(one) for one in found[1].split(",") if one) if found else ()


@dataclass(frozen=True)
class LightgbmFile:
    """Implements `scoreline.models.native.Native`.

    Args:
        booster: as it was read.
        objective: such as ``binary sigmoid:1``.
        head: the file's first lines, key -> text.
        categorical: positions of the categorical features.
    """

    booster: Any
    objective: str
    head: dict[str, str]
    categorical: tuple[int, ...]

    def adapt(self, features: tuple[str, ...], facts: dict[str, Any], batch: int | None, predict: str) -> Model:
        """See `scoreline.models.native.Native.adapt`."""
        require_classes(self.kind, self.classes, predict)
        # LightGBM knows names with spaces by underscores.
        wanted = {name.replace(" ", "_"): name for name in features}
        reads = self.reads if self.reads.names is None else self._renamed(wanted)
        return MatrixModel(reads, reads.order(features), functools.partial(self._call, predict), facts, batch)

    def about(self) -> dict[str, Any]:
        """See `scoreline.models.native.Native.about`."""
        about: dict[str, Any] = {"kind": self.kind, "inputs": list(self.reads.names or ())}
        about |= {"features": self.reads.count, "trees": self.booster.num_trees()}
        about |= {"classes": list(self.classes)} if self.classes else {}
        told = "numbers" if self.classes is None else "the probability of the second class"
        if self.classes is not None and len(self.classes) != 2:
            told = "probabilities of all classes"
        return about | {"predicts": told, "format": self.head.get("version", "unknown")}

    def try_out(self) -> None:
        """See `scoreline.models.native.Native.try_out`."""
        self._call(VALUE, self.reads.samples())

    @functools.cached_property
    def reads(self) -> Inputs:
        """How features become the matrix."""
        names = tuple(self.booster.feature_name())
        unnamed = all((found := _UNNAMED.fullmatch(name)) and int(found[1]) == at for at, name in enumerate(names))
        learned = self.booster.pandas_categorical or []
        if learned and len(learned) != len(self.categorical):
            raise ModelInvalid(
                f"the model has learned {len(learned)} columns of categories and treats {len(self.categorical)} as "
                "such, so nobody can tell which is which",
                hint="train it on a frame whose categorical columns are unordered, without categorical_feature=",
            )
        known = {
            names[at]: categories(listed, names[at])
            for at, listed in zip(self.categorical if learned else (), learned, strict=True)
        }
        return Inputs(None if unnamed else names, len(names), known)

    def _renamed(self, wanted: dict[str, str]) -> Inputs:
        reads = self.reads
        names = tuple(wanted.get(name, name) for name in reads.names or ())
        return Inputs(names, reads.count, {wanted.get(name, name): known for name, known in reads.known.items()})

    @property
    def kind(self) -> str:
        """For people."""
        return f"LightGBM, {self.objective.split(' ')[0]}"

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The classes that it gives probabilities of: 0, 1, ... as LightGBM numbers them."""
        name = self.objective.split(" ")[0]
        if name == "binary":
            return class_names(range(2))
        return class_names(range(int(self.head["num_class"]))) if name in {"multiclass", "multiclassova"} else None

    def _call(self, predict: str, matrix: Any) -> pl.Series:
        import numpy as np

        # One thread a call: splits are scored side by side.
        raw, rows = np.asarray(self.booster.predict(matrix, num_threads=1)), matrix.shape[0]
        if predict == VALUE:
            return series_of(raw, rows)
        if raw.ndim == 1:
            raw = np.stack([raw if predict == PROBABILITY else 1.0 - raw, raw], axis=1)
        return probability_of(raw, rows, self.classes or (), predict)
