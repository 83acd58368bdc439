"""Loading: the model that a kept file holds, read by whatever reads its kind.

Pickles (joblib's too) and skops files are read here, other kinds by their own modules. A pickled DictVectorizer with a
linear model is read by structure, whatever scikit-learn made it; only other pickles are unpickled. It never decides
about trust: what it is given is loaded, but for pyfunc folders and types that skops does not know which nobody has
trusted.
"""

from __future__ import annotations

import functools
import hashlib
import io
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from scoreline.abc import Model
from scoreline.errors import MissingExtra, ModelInvalid, ModelUntrusted
from scoreline.models.changed import changed_meaning
from scoreline.models.estimators import name_of, outputs_of
from scoreline.models.folder import digest_of, read_folder
from scoreline.models.kinds import LIBRARIES, PYFUNC, SKOPS, kind_of, read_native
from scoreline.models.pair import Pair, read_pair
from scoreline.models.pinned import Pinned
from scoreline.models.sklearn import adapt, compiled_of
from scoreline.models.skops_pair import read_skops_pair
from scoreline.models.structure import is_sound
from scoreline.neighbours import importable


@functools.lru_cache(maxsize=4)
def load(kept: Pinned, features: tuple[str, ...], predict: str) -> Model:
    """The model; see `scoreline.abc.ModelFile.load`."""
    content = _content(kept)
    kind = kind_of(Path(kept.path))
    if kind in LIBRARIES:
        return _load_native(kept, content, features, predict)
    if kind == PYFUNC:
        return _load_pyfunc(kept, features, predict)
    with importable(Path(kept.beside)) if kept.beside else nullcontext():
        loaded, about = _opened(content, kept.path, trusted=kept.trusted)
    made_with = about.pop("made_with")
    if kept.folder:
        made_with = read_folder(Path(kept.folder)).made_with | made_with
    facts: dict[str, Any] = {"digest": kept.digest, "bytes": len(content), **about}
    facts |= {"made_with": made_with} if made_with else {}
    changed = changed_meaning(loaded, made_with["scikit-learn"]) if "scikit-learn" in made_with else ""
    return adapt(loaded, features, facts | ({"changed": changed} if changed else {}), kept.batch, predict)


def _load_native(kept: Pinned, content: bytes, features: tuple[str, ...], predict: str) -> Model:
    native = read_native(content, kept.path, Path(kept.path).parent)
    about = native.about()
    # What it was trained with beside its own library says nothing: the file is whole without.
    package = LIBRARIES[kind_of(Path(kept.path))].package
    recorded = read_folder(Path(kept.folder)).made_with if kept.folder else {}
    made_with = {name: one for name, one in recorded.items() if name == package} | about.pop("made_with", {})
    facts = about | {"digest": kept.digest, "bytes": len(content), "format": "stable"}
    return native.adapt(features, facts | ({"made_with": made_with} if made_with else {}), kept.batch, predict)


def _load_pyfunc(kept: Pinned, features: tuple[str, ...], predict: str) -> Model:
    from scoreline.models import pyfunc

    folder = Path(kept.path).parent
    if not kept.trusted:  # the store asks first; nobody else may come here by another way
        raise ModelUntrusted(f"{folder} runs code of its own, and nobody has trusted it")
    found = read_folder(folder)
    if digest_of(found.hashes()) != kept.digest:
        raise ModelInvalid(f"the kept model {folder} was changed", hint=f"remove {folder}")
    facts = {"digest": kept.digest, "bytes": found.size} | ({"made_with": found.made_with} if found.made_with else {})
    return pyfunc.adapt(pyfunc.load(str(folder)), features, facts, kept.batch, predict)


def _content(kept: Pinned) -> bytes:
    """The bytes of a kept model, which are those that somebody has judged."""
    content = Path(kept.path).read_bytes()
    if hashlib.sha256(content).hexdigest() != (kept.sha256 or kept.digest):
        raise ModelInvalid(
            f"the kept model {kept.path} was changed: it is not {kept.digest[:12]} any more",
            hint=f"remove {kept.folder or kept.path}",
        )
    return content


def untrusted_types(path: Path) -> list[str]:
    """Types in a skops file that skops would not load by itself; none of its code runs.

    Raises:
        ModelInvalid: it is no skops file.
    """
    return _untrusted(path.read_bytes(), str(path))


def open_model(kept: Pinned) -> Any:
    """The object in a kept model, whatever the features of a job.

    Raises:
        ModelInvalid: it cannot be read.
    """
    with importable(Path(kept.beside)) if kept.beside else nullcontext():
        return _opened(_content(kept), kept.path, trusted=kept.trusted)[0]


def describe_content(content: bytes, path: Path, *, trusted: bool) -> dict[str, Any]:
    """What a model file holds, whatever the features of a job: it is loaded for this.

    Args:
        content: that somebody has trusted, or that is skops.
        path: of the file, for its kind and for messages.
        trusted: whether types that skops does not know may be loaded.

    Returns:
        ``kind``, ``inputs`` and ``classes`` or ``outputs``, as far as the model knows them, what else there is to say,
        and ``compiled``: the form that it becomes, or None, and why it becomes none.
    """
    kind = kind_of(path)
    if kind in LIBRARIES:
        native = read_native(content, str(path)).about()
        return native | {"compiled": (None, f"{LIBRARIES[kind].called} predicts by its own code")}
    if kind == PYFUNC:
        from scoreline.models import pyfunc

        return pyfunc.told(content) | {"compiled": (None, "a pyfunc of MLflow is called as it is")}
    loaded, about = _opened(content, str(path), trusted=trusted)
    parts = loaded if isinstance(loaded, tuple) and loaded else (loaded,)
    facts: dict[str, Any] = {"kind": " + ".join(name_of(part) for part in parts)}
    facts |= {name: value for name, value in about.items() if name != "made_with"}
    inputs = _inputs_of(loaded, parts[0])
    facts |= inputs | outputs_of(parts[-1])
    by_position = [str(place) for place in range(getattr(loaded, "n_features_in_", 0))]
    return facts | {"compiled": compiled_of(loaded, tuple(inputs.get("inputs", by_position)))}


def _inputs_of(loaded: Any, first: Any) -> dict[str, Any]:
    """Names of what a model reads, as far as it knows them; and the size of its vocabulary."""
    for part in (first, getattr(first, "steps", [("", None)])[0][1]):
        if hasattr(part, "vocabulary_"):
            prefixes = (name.split(part.separator, 1)[0] for name in part.vocabulary_)
            return {"vocabulary": len(part.vocabulary_), "inputs": list(dict.fromkeys(prefixes))}
    names = getattr(loaded, "feature_names_in_", None)
    return {} if names is None else {"inputs": [str(name) for name in names]}


def _opened(content: bytes, path: str, *, trusted: bool) -> tuple[Any, dict[str, Any]]:
    """(the object, what is known of it: ``warnings``, ``made_with``, and how it was ``read`` if not as usual)."""
    skops = Path(path).suffix.lower() == SKOPS
    pair = read_skops_pair(content) if skops else read_pair(content, path)
    if pair is not None:
        loaded = _filled(pair, path)
        return loaded, {"warnings": [], "made_with": _made_elsewhere(pair.version), "read": "by structure"}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = _from_skops(content, path, trusted=trusted) if skops else _unpickled(content, path)
    told = [one.message for one in caught if "Inconsistent" in one.category.__name__]
    # Parts of one model may come from several versions; the oldest says how far away it is.
    versions = sorted({str(getattr(one, "original_sklearn_version", "")) for one in told} - {""}, key=_ordered)
    notes = sorted({str(one).split(". ", 1)[0] for one in told})
    return loaded, {"warnings": notes, "made_with": {"scikit-learn": versions[0]} if versions else {}}


def _made_elsewhere(version: str) -> dict[str, str]:
    """The version of scikit-learn that a pickle names, where it is not the running one: as an unpickler would tell."""
    import sklearn

    return {} if version == sklearn.__version__ else {"scikit-learn": version}


def _filled(pair: Pair, path: str) -> tuple[Any, Any]:
    try:
        loaded = pair.filled()
    except ImportError as error:
        raise _without_sklearn() from error
    if not is_sound(*loaded):
        raise ModelInvalid(
            f"the model {path} does not hold together: its vocabulary, coefficients and intercept do not fit each "
            "other, or are not finite",
            hint="it is damaged, or predicts several numbers at once: train one that predicts one number for each row",
        )
    return loaded


def _ordered(version: str) -> list[int]:
    return [int(part) if part.isdigit() else 0 for part in version.split(".")]


def _unpickled(content: bytes, path: str) -> Any:
    try:
        import joblib
        import sklearn  # noqa: F401
    except ImportError as error:
        raise _without_sklearn() from error
    try:
        return joblib.load(io.BytesIO(content))
    except ModuleNotFoundError as error:
        raise _needs_module(path, error) from error
    except Exception as error:
        raise _unreadable(path, f"cannot be unpickled: {type(error).__name__}: {error}") from error


def _from_skops(content: bytes, path: str, *, trusted: bool) -> Any:
    found = _untrusted(content, path)
    if found and not trusted:
        raise ModelUntrusted(
            f"{path} holds types that nobody has trusted: {', '.join(found)}",
            hint=f"if you know where it comes from: scoreline models trust {path}",
        )
    import skops.io

    try:
        return skops.io.loads(content, trusted=found)
    except ModuleNotFoundError as error:
        raise _needs_module(path, error) from error
    except Exception as error:
        raise _unreadable(path, f"cannot be read by skops: {type(error).__name__}: {error}") from error


def _untrusted(content: bytes, path: str) -> list[str]:
    if read_skops_pair(content) is not None:
        return []
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise _without_sklearn() from error
    try:
        import skops.io
    except ImportError as error:
        raise MissingExtra(
            "skops is not installed, and the model needs it", hint="pip install 'scoreline[sklearn]'"
        ) from error
    try:
        return sorted(skops.io.get_untrusted_types(data=content))
    except Exception as error:
        raise _unreadable(path, f"cannot be read by skops: {type(error).__name__}: {error}") from error


def _without_sklearn() -> MissingExtra:
    return MissingExtra(
        "scikit-learn is not installed, and the model needs it", hint="pip install 'scoreline[sklearn]'"
    )


def _needs_module(path: str, error: ModuleNotFoundError) -> ModelInvalid:
    return ModelInvalid(
        f"the model {path} needs the module {error.name!r}", hint=f"install what provides {error.name!r}"
    )


def _unreadable(path: str, why: str) -> ModelInvalid:
    return ModelInvalid(
        f"the model {path} {why}", hint="it is damaged, or was made by a library version that this one cannot read"
    )
