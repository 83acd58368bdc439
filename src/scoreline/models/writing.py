"""Writing trained models: skops where a model is made of known or installed types, else a pickle by value.

A skops file runs no code when it is loaded, but names its types; so a model with a class of the job's own folder is
pickled with that class, and loads wherever the file goes. Equal models give equal skops bytes: skops itself names
parts by their address in memory and stamps the time. A pickle by value has no such promise.
"""

from __future__ import annotations

import io
import json
import sys
import warnings
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from scoreline import durable
from scoreline.abc import Written
from scoreline.errors import MissingExtra, TrainingFailed
from scoreline.models.kept import KeptModel
from scoreline.neighbours import lies_in

SKOPS, PICKLE = "model.skops", "model.pkl"
_SCHEMA = "schema.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class SklearnWriter:
    """Implements `scoreline.abc.ModelWriter` for scikit-learn's estimators and whatever looks like one.

    Args:
        beside: folder of the job, whose modules may hold the model's own classes.
    """

    beside: Path

    def write(self, estimator: Any, folder: Path) -> Written:
        """See `scoreline.abc.ModelWriter.write`."""
        skops = self._as_skops(estimator)
        content, types = skops or (self._pickled(estimator), ())
        path = folder / (SKOPS if skops else PICKLE)
        path.write_bytes(content)
        # Whoever made these bytes may load them; everybody else asks for trust.
        kept = KeptModel(str(path), durable.sha256_of(path), str(self.beside), trusted=True)
        return Written(kept, path.name, types)

    def _as_skops(self, estimator: Any) -> tuple[bytes, tuple[str, ...]] | None:
        """The bytes, and the types in them that skops does not know; None where skops cannot carry the model."""
        try:
            import skops.io
        except ImportError as error:
            raise MissingExtra(
                "skops is not installed, and models are written with it", hint="pip install 'scoreline[sklearn]'"
            ) from error
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what skops has to say of a type is answered by the pickle instead
            try:
                content = _canonical(skops.io.dumps(estimator))
                types = sorted(skops.io.get_untrusted_types(data=content))
                if not all(map(self._is_installed, types)):
                    return None
                skops.io.loads(content, trusted=types)
            except Exception:  # noqa: BLE001 - skops gives up in many ways, and each has the same answer
                return None
        return content, tuple(types)

    def _is_installed(self, name: str) -> bool:
        module = sys.modules.get(name.partition(".")[0])
        return module is not None and module.__name__ != "__main__" and not lies_in(module, self.beside)

    def _pickled(self, estimator: Any) -> bytes:
        import cloudpickle

        with ExitStack() as stack:
            for module in self._own_modules():
                cloudpickle.register_pickle_by_value(module)
                stack.callback(cloudpickle.unregister_pickle_by_value, module)
            try:
                content: bytes = cloudpickle.dumps(estimator)
            except Exception as error:
                raise TrainingFailed(
                    f"the model can be kept neither by skops nor as a pickle: {type(error).__name__}: {error}",
                    hint="return an estimator without open files, locks and connections",
                ) from error
        return content

    def _own_modules(self) -> list[ModuleType]:
        return [module for module in list(sys.modules.values()) if lies_in(module, self.beside)]


def _canonical(content: bytes) -> bytes:
    """A skops file with parts numbered in the order of the schema, and without times."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        schema = json.loads(archive.read(_SCHEMA))
        files: dict[str, str] = {}
        _renumber(schema, {}, files)
        parts = {files[name]: archive.read(name) for name in files}
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in [*parts.items(), (_SCHEMA, json.dumps(schema).encode())]:
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), part, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def _renumber(node: Any, numbers: dict[int, int], files: dict[str, str]) -> None:
    if isinstance(node, list):
        for inner in node:
            _renumber(inner, numbers, files)
    if not isinstance(node, dict):
        return
    if "__loader__" in node:
        if isinstance(known := node.get("__id__"), int):
            node["__id__"] = numbers.setdefault(known, len(numbers) + 1)
        if isinstance(name := node.get("file"), str):
            node["file"] = files.setdefault(name, f"{len(files) + 1}{Path(name).suffix}")
    for inner in node.values():
        _renumber(inner, numbers, files)
