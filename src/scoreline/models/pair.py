"""Pair: a DictVectorizer with a plain linear model, read from its pickle by structure, without running any code of it.

Whatever scikit-learn from 1.0 on has pickled, as the pair (DictVectorizer, estimator) or as a Pipeline of the two, by
pickle or joblib: its attributes are read (`scoreline.models.inert`), and estimators of the running scikit-learn are
filled with those that predict. A name in the pickle that such a pair never holds is refused, not called.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from scoreline.errors import ModelInvalid
from scoreline.models import inert_arrays
from scoreline.models.inert import Name, Thing, Unreadable, run
from scoreline.models.inert_arrays import ObjectsWithin, array_of, dtype_of, number_of

VECTORIZER = Name("sklearn.feature_extraction._dict_vectorizer", "DictVectorizer")
PIPELINE = Name("sklearn.pipeline", "Pipeline")
_MODULES = {
    "_base": ("LinearRegression",),
    "_coordinate_descent": ("ElasticNet", "ElasticNetCV", "Lasso", "LassoCV"),
    "_logistic": ("LogisticRegression",),
    "_ridge": ("Ridge", "RidgeCV"),
}
_LINEAR = {Name(f"sklearn.linear_model.{module}", name) for module, names in _MODULES.items() for name in names}
_MATRIX_TYPES = {"float": np.float64, "int": np.int64}
_PYTHON = {
    *(Name(module, name) for module in ("builtins", "__builtin__") for name in ("object", "bytes", *_MATRIX_TYPES)),
    *(Name(module, "_reconstructor") for module in ("copyreg", "copy_reg")),
}
_KNOWN = {VECTORIZER, PIPELINE, *_LINEAR, *_PYTHON, *inert_arrays.NAMES}
_LIBRARIES = ("numpy.random.", "scipy.sparse.", "sklearn.")
"""What a linear model may hold parts of (a random state, sparse coefficients): then it is no plain one."""

_OLDEST = (1, 0)
_MAX_BYTES = 1 << 30
"""Of what a compressed file may grow to."""


@dataclass(frozen=True)
class Pair:
    """What predicts, of a vectorizer and a linear model; nothing of it is checked against the rest yet.

    Attributes:
        vectorizer: vocabulary_, feature_names_, separator, sparse, sort, dtype.
        kind: of the linear model, such as ``LinearRegression``.
        estimator: coef_, intercept_, and classes_ of a LogisticRegression.
        version: of the scikit-learn that made it; the older one where the two differ.
    """

    vectorizer: dict[str, Any]
    kind: str
    estimator: dict[str, Any]
    version: str

    def filled(self) -> tuple[Any, Any]:
        """(DictVectorizer, estimator) of the running scikit-learn, as if they had been fitted so."""
        from sklearn import linear_model
        from sklearn.feature_extraction import DictVectorizer

        options = {name: self.vectorizer[name] for name in ("dtype", "separator", "sort", "sparse")}
        vectorizer, estimator = DictVectorizer(**options), getattr(linear_model, self.kind)()
        learned = {name: self.vectorizer[name] for name in ("vocabulary_", "feature_names_")}
        for part, attributes in ((vectorizer, learned), (estimator, self.estimator)):
            for name, value in attributes.items():
                setattr(part, name, value)
        return vectorizer, estimator


def read_pair(content: bytes, path: str) -> Pair | None:
    """The pair that a pickle holds, None where it holds another kind of model; no code of it is run.

    Args:
        content: of the file, perhaps compressed by joblib.
        path: of the file, for messages.

    Raises:
        ModelInvalid: it is such a pair, and damaged, or holds what no such pair does.
    """
    plain = _decompressed(content)
    # What lacks these is no pair, and a large forest need not be read to its end to tell.
    if plain is None or b"DictVectorizer" not in plain or b"sklearn.linear_model" not in plain:
        return None
    names: set[Name] = set()
    try:
        parts = parts_of(run(plain, names, inert_arrays.embedded))
        foreign = sorted(names - _KNOWN, key=str)
        if parts is None or (foreign and all(map(_is_of_the_libraries, foreign))):
            return None
        if not foreign:
            return pair_of(*parts)
        why = f"it names {', '.join(map(str, foreign[:3]))}, which no such model needs"
    except ObjectsWithin:
        return None
    except Unreadable as error:
        if names - _KNOWN:
            return None
        why = str(error)
    raise ModelInvalid(
        f"the model {path} looks like a DictVectorizer with a linear model, and cannot be read by structure: {why}; "
        "nothing of it was run",
        hint="it is damaged, or more than that: pickle the pair (DictVectorizer, estimator) anew, or train it again",
    )


def _is_of_the_libraries(name: Name) -> bool:
    return name.module.startswith(_LIBRARIES)


def _decompressed(content: bytes) -> bytes | None:
    """The pickle in what joblib may have compressed, None where that cannot be told without its own reader."""
    makers: dict[bytes, Callable[[], Any]] = {
        b"\x78": zlib.decompressobj,
        b"\x1f\x8b": lambda: zlib.decompressobj(wbits=31),
        b"BZ": bz2.BZ2Decompressor,
        b"\xfd7zXZ": lzma.LZMADecompressor,
        b"\x5d\x00": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE),
    }
    make = next((maker for start, maker in makers.items() if content.startswith(start)), None)
    if make is None:
        return content
    reader = make()
    try:
        plain: bytes = reader.decompress(content, _MAX_BYTES)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
        return None
    return plain if reader.eof else None


def parts_of(top: Any) -> tuple[Thing, Thing] | None:
    """(vectorizer, linear model), None where the top of the pickle is something else."""
    if _class_of(top) == PIPELINE:
        steps = top.state.get("steps") if isinstance(top.state, dict) else None
        named = steps if type(steps) is list else []
        top = tuple(step[1] for step in named if type(step) is tuple and len(step) == 2)
    if type(top) is not tuple or len(top) != 2:
        return None
    vectorizer, estimator = top
    return (vectorizer, estimator) if _class_of(vectorizer) == VECTORIZER and _class_of(estimator) in _LINEAR else None


def _class_of(value: Any) -> Name | None:
    """The class whose plain, empty instance a thing is; what it is given further is its state."""
    if not isinstance(value, Thing):
        return None
    if value.callee.name != "_reconstructor":
        return value.callee if value.arguments == () else None
    # Protocols 0 and 1: _reconstructor(class, object, None)
    made = value.arguments[:1]
    return made[0] if made and isinstance(made[0], Name) else None


def pair_of(vectorizer: Thing, estimator: Thing) -> Pair | None:
    """The pair of two objects that were not made; None where scikit-learn was older than 1.0.

    Raises:
        Unreadable: an attribute is missing, or of another type than such a pair has.
    """
    first, second = _state(vectorizer), _state(estimator)
    versions = [_version(state) for state in (first, second)]
    if None in versions:
        return None
    kind = _class_of(estimator)
    assert kind is not None
    if "vocabulary_" not in first or "coef_" not in second:
        raise Unreadable("it was never fitted")
    coefficients = array_of(second["coef_"])
    learned = {"coef_": coefficients, "intercept_": number_of(second.get("intercept_"))}
    if kind.name == "LogisticRegression":
        learned["classes_"] = array_of(second.get("classes_"))
    width = coefficients.shape[-1] if coefficients.ndim else 0
    if type(trained := second.get("n_features_in_", width)) is not int or trained != width:
        raise Unreadable(f"it has {width} coefficients, and was trained on another number of columns")
    learned["n_features_in_"] = width
    return Pair(_checked(first), kind.name, learned, min(filter(None, versions), key=_release))


def _state(thing: Thing) -> dict[str, Any]:
    if not isinstance(thing.state, dict):
        raise Unreadable(f"{_class_of(thing)} has no attributes")
    return thing.state


def _version(state: dict[str, Any]) -> str | None:
    """What scikit-learn writes of itself beside the attributes; None where it is older than 1.0, or says nothing."""
    said = state.get("_sklearn_version")
    return said if type(said) is str and _release(said) >= _OLDEST else None


def _release(version: str) -> tuple[int, ...]:
    parts = version.split(".")[:3]
    return tuple(int(part) if part.isascii() and part.isdigit() and len(part) < 5 else 0 for part in parts)


def _checked(state: dict[str, Any]) -> dict[str, Any]:
    """The vectorizer's attributes, each of its own type; `scoreline.models.structure` asks whether they fit."""
    vocabulary, names = state["vocabulary_"], state.get("feature_names_")
    if not (_all_are(str, names, list) and _all_are(int, vocabulary, dict)):
        raise Unreadable("its vocabulary does not give each text a column")
    if type(state.get("separator")) is not str or type(state.get("sparse")) is not bool:
        raise Unreadable("its DictVectorizer has no separator, or does not say what matrices it makes")
    kept = {name: state[name] for name in ("vocabulary_", "feature_names_", "separator", "sparse")}
    return kept | {"sort": state.get("sort") is not False, "dtype": _matrix_dtype(state.get("dtype"))}


def _all_are(kind: type, values: Any, container: type[list[Any] | dict[Any, Any]]) -> bool:
    if type(values) is not container:
        return False
    return {type(value) for value in (values.values() if isinstance(values, dict) else values)} <= {kind}


def _matrix_dtype(value: Any) -> Any:
    if isinstance(value, Name) and value.module in {"builtins", "__builtin__"} and value.name in _MATRIX_TYPES:
        return _MATRIX_TYPES[value.name]
    dtype = dtype_of(value)
    if dtype.kind not in "fiu":
        raise Unreadable(f"its DictVectorizer makes matrices of {dtype}")
    return dtype.type
