"""Model folders: which files of a folder are loaded, what digest they have together, and where MLflow keeps them.

Two kinds are read. Scoreline's own holds ``model.skops`` or ``model.pkl`` with the card files beside it. MLflow's holds
``MLmodel`` (YAML), in the layout of MLflow 1 and 2 (a cloudpickle) or 3 (skops); it is read without MLflow and without
a server, by the first of `FLAVORS` that it has, and else, as a whole, by its ``python_function``. This module opens no
model.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from scoreline import durable
from scoreline.card import CARD, GOLDEN, PACKAGES
from scoreline.errors import MissingExtra, ModelInvalid, ModelMissing
from scoreline.partition import SLUG

MLMODEL, REQUIREMENTS, CONDA = "MLmodel", "requirements.txt", "conda.yaml"
FLAVORS = {"sklearn": "pickled_model", "xgboost": "data", "lightgbm": "data", "onnx": "data"}
"""MLflow's flavors that are read without MLflow, first come first -> what names the model's file there."""
_VERSIONS = {"sklearn": "scikit-learn", "xgb": "xgboost", "lgb": "lightgbm"}
"""As flavors call their libraries' versions -> package."""
OWN = ("model.skops", "model.pkl")
"""Names of the model file in Scoreline's own folders."""

_PINNED = re.compile(r"\s*([A-Za-z0-9._-]+)\s*==?\s*([A-Za-z0-9.!+]+)")


@dataclass(frozen=True)
class ModelFolder:
    """A folder that holds one model.

    Attributes:
        path: the folder.
        model: relative path of the model file.
        files: relative paths of all that is read when the model is used, sorted.
        run_id: of the MLflow run that made it, None where MLflow did not.
        made_with: package -> version, as MLflow recorded them; empty where it did not.
    """

    path: Path
    model: str
    files: tuple[str, ...]
    run_id: str | None = None
    made_with: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum((self.path / name).stat().st_size for name in self.files)

    def hashes(self) -> dict[str, str]:
        """Relative path -> SHA-256."""
        return {name: durable.sha256_of(self.path / name) for name in self.files}


def digest_of(hashes: dict[str, str]) -> str:
    """SHA-256 over sorted relative paths and hashes: what else lies in the folder does not count."""
    lines = "".join(f"{name}\0{sha256}\n" for name, sha256 in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def read_folder(path: Path) -> ModelFolder:
    """What a model folder holds.

    Raises:
        ModelInvalid: it holds no model that Scoreline reads, or names files outside of itself.
    """
    if (path / MLMODEL).is_file():
        return _read_mlflow(path)
    found = [name for name in OWN if (path / name).is_file()]
    if not found:
        raise ModelInvalid(
            f"the folder {path} holds no model: neither {MLMODEL} nor {' nor '.join(OWN)}",
            hint="name a model folder, or the pickled file inside, such as model.pkl",
        )
    if len(found) > 1:
        raise ModelInvalid(f"the folder {path} holds {' and '.join(found)}", hint="name the file that is meant")
    return ModelFolder(path, found[0], _loaded(path, found[0]))


def find_model(experiment: str | Path, run_id: str) -> Path:
    """The model folder of a run in an artifact store, without a server.

    Looks at ``<experiment>/<run_id>/artifacts/model`` and at ``<experiment>/models/*/artifacts`` whose ``MLmodel`` has
    that run id. A run that logged several models is refused with their names: nothing tells which one is meant.

    Args:
        experiment: a folder, or a ``file://`` URI of one.
        run_id: MLflow's.

    Raises:
        ModelMissing: there is none.
        ModelInvalid: there are several, or the URI is of an object store.
    """
    folder = local_path(str(experiment))
    if not SLUG.fullmatch(run_id):
        raise ModelMissing(f"{run_id!r} is no run id", hint="give the run id first, then the experiment's folder")
    if not folder.is_dir():
        raise ModelMissing(f"there is no experiment folder at {folder}", hint="give the folder that holds the runs")
    found = [place for place in (folder / run_id / "artifacts" / "model",) if (place / MLMODEL).is_file()]
    made = [place.parent for place in sorted(folder.glob(f"models/*/artifacts/{MLMODEL}")) if _run_of(place) == run_id]
    found += made
    if not found:
        raise ModelMissing(
            f"no model of run {run_id} in {folder}: neither {run_id}/artifacts/model nor models/*/artifacts/{MLMODEL}",
            hint=f"look there: ls {folder}",
        )
    if len(found) > 1:
        named = ", ".join(map(str, found))
        raise ModelInvalid(f"run {run_id} logged {len(found)} models: {named}", hint="give --model with one of them")
    return found[0]


def is_uri(text: str) -> bool:
    """Whether a model is named by a URI, not by a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text) is not None


def local_path(uri: str) -> Path:
    """The path that a ``file://`` URI or a plain path names.

    Raises:
        ModelInvalid: it lies in an object store, or on another host.
    """
    parts = urlsplit(uri)
    if parts.scheme == "file":
        if parts.netloc not in {"", "localhost"}:
            raise ModelInvalid(f"{uri} lies on the host {parts.netloc}", hint="mount it, and give its path")
        return Path(unquote(parts.path))
    if is_uri(uri):
        raise ModelInvalid(
            f"{uri}: models cannot be read from {parts.scheme}:// yet", hint="copy the model folder, and give its path"
        )
    return Path(uri).expanduser()


def _read_mlflow(path: Path) -> ModelFolder:
    form = _yaml(path / MLMODEL)
    flavors = form.get("flavors") if isinstance(form, dict) else None
    if not isinstance(flavors, dict):
        raise ModelInvalid(f"{path / MLMODEL} is damaged: it lists no flavors", hint="log the model again")
    known = next((one for one in FLAVORS if isinstance(flavors.get(one), dict)), None)
    pyfunc = flavors.get("python_function")
    # Who saves a model so asks for another method than predict, which MLflow calls.
    asks_else = isinstance(pyfunc, dict) and pyfunc.get("predict_fn", "predict") != "predict"
    if known is None or asks_else:
        return _read_pyfunc(path, form, flavors)
    flavor = flavors[known]
    name = flavor.get(FLAVORS[known])
    if not isinstance(name, str):
        raise ModelInvalid(f"{path / MLMODEL} names no {FLAVORS[known]}", hint="log the model again")
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise ModelInvalid(f"{path / MLMODEL} names {name!r}, which lies outside of the folder")
    if not (path / name).is_file():
        raise ModelInvalid(f"{path / MLMODEL} names {name!r}, which is not there", hint="copy the whole folder")
    versions, made_with = _versions(path)
    for short, package in _VERSIONS.items():
        if isinstance(told := flavor.get(f"{short}_version"), str):
            made_with[package] = told
    return ModelFolder(path, name, _loaded(path, name, MLMODEL, *versions), _run_id(form, path), made_with)


def _versions(path: Path) -> tuple[list[str], dict[str, str]]:
    """The file that records versions, and what it says."""
    versions = [place for place in (REQUIREMENTS, CONDA) if (path / place).is_file()][:1]
    return versions, _recorded(path / versions[0]) if versions else {}


def _read_pyfunc(path: Path, form: dict[str, Any], flavors: dict[str, Any]) -> ModelFolder:
    """A folder that MLflow loads as a whole: any of its files may be read then, so all of them count."""
    if not isinstance(flavors.get("python_function"), dict):
        raise ModelInvalid(
            f"the MLflow model {path} has the flavors {', '.join(sorted(map(str, flavors)))}, and none that can be "
            "scored with in Python",
            hint="log it with a flavor that has python_function, such as mlflow.sklearn.log_model",
        )
    found = (one for one in path.rglob("*") if one.is_file() and not _is_hidden(one.relative_to(path)))
    names = sorted(one.relative_to(path).as_posix() for one in found)
    return ModelFolder(path, MLMODEL, _loaded(path, *names), _run_id(form, path), _versions(path)[1])


def _is_hidden(name: Path) -> bool:
    """Whether it is nothing of the model's: what loading it has compiled, or what a file manager keeps."""
    return any(part == "__pycache__" or part.startswith(".") for part in name.parts)


def _loaded(path: Path, *names: str) -> tuple[str, ...]:
    wanted = {*names, *(name for name in (CARD, GOLDEN) if (path / name).is_file())}
    root = path.resolve()
    for name in wanted:
        if not (path / name).resolve().is_relative_to(root):
            raise ModelInvalid(
                f"{path / name} is a link to {(path / name).resolve()}, outside of the model's folder",
                hint="copy the file into the folder",
            )
    return tuple(sorted(wanted))


def _run_id(form: dict[str, Any], path: Path) -> str | None:
    run_id = form.get("run_id")
    if run_id is None:
        return None
    # It becomes part of output paths.
    if not isinstance(run_id, str) or not SLUG.fullmatch(run_id) or not run_id.strip("."):
        raise ModelInvalid(f"{path / MLMODEL} has the run id {run_id!r}, which is none", hint="log the model again")
    return run_id


def _run_of(place: Path) -> str | None:
    """The run id in an ``MLmodel`` among others; a damaged one belongs to no run."""
    try:
        form = _yaml(place)
    except ModelInvalid:
        return None
    return form.get("run_id") if isinstance(form, dict) else None


def _yaml(path: Path) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra(
            "PyYAML is not installed, and MLflow's folders are described in YAML",
            hint="pip install 'scoreline[sklearn]'",
        ) from error
    try:
        return yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, ValueError) as error:
        raise ModelInvalid(f"{path} is damaged: {str(error).splitlines()[0]}", hint="log the model again") from error


def _recorded(path: Path) -> dict[str, str]:
    """Package -> version of what matters among the exact requirements of ``requirements.txt`` or ``conda.yaml``."""
    if path.name == REQUIREMENTS:
        lines: list[Any] = path.read_text("utf-8", errors="replace").splitlines()
    else:
        form = _yaml(path)
        listed = form.get("dependencies") if isinstance(form, dict) else None
        listed = listed if isinstance(listed, list) else []
        lines = [*listed, *(line for part in listed if isinstance(part, dict) for line in part.get("pip") or ())]
    found = [_PINNED.match(line) for line in lines if isinstance(line, str)]
    versions = {one[1].lower().replace("_", "-"): one[2] for one in found if one}
    return {name: version for name, version in versions.items() if name in PACKAGES}
