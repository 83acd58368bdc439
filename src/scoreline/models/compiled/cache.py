"""Cache: compiled forms as files in Scoreline's home, each named by what it was made of and by what."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from scoreline import durable
from scoreline.abc import Compiled, Parity
from scoreline.codebase import version_of
from scoreline.models.compiled.form import Form, packed, unpacked

COMPILER = 1
"""Raised when a form of the same model would be another one."""

_SUFFIX = ".form"
_VERSIONS = ("scoreline", "polars", "numpy", "scikit-learn", "numba")
"""What a form, or the verdict on it, may depend on."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FormCache:
    """The forms of one model.

    Args:
        folder: of the model, named by its digest.
    """

    folder: Path

    def read(self, features: Sequence[str], predict: str = "value") -> Compiled | None:
        """The form for these features that the running versions made, None where there is none, or a damaged one."""
        path = self._path(features, predict)
        try:
            stat = path.stat()
            return _read(path, stat.st_mtime_ns, stat.st_size)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, OSError) as error:
            _log.warning("the compiled form %s is damaged (%s), and is made anew", path, error)
            return None

    def write(self, features: Sequence[str], compiled: Compiled, form: Form, predict: str = "value") -> None:
        """Keeps a form; where it cannot be kept, later runs make it anew."""
        about = {
            "model": compiled.about,
            "notes": list(compiled.notes),
            "shown": {types: asdict(parity) for types, parity in compiled.shown.items()},
        }
        path = self._path(features, predict)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with durable.written(path, durable=False) as handle:
                handle.write(packed(form, about))
        except (OSError, TypeError, ValueError) as error:
            _log.warning("the compiled form of the model cannot be kept in %s: %s", path, error)

    def _path(self, features: Sequence[str], predict: str) -> Path:
        named = {"compiler": COMPILER, "features": list(features), "predict": predict, "versions": _versions()}
        return self.folder / (hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:24] + _SUFFIX)


@functools.lru_cache(maxsize=8)
def _read(path: Path, modified: int, size: int) -> Compiled:
    """The time and size are part of what is remembered, so that a form that was made anew is read anew."""
    del modified, size
    form, about = unpacked(path.read_bytes())
    shown = {types: Parity(**parity) for types, parity in about["shown"].items()}
    return Compiled(form, about["model"], tuple(about["notes"]), shown)


def _versions() -> dict[str, str]:
    found = {}
    for package in _VERSIONS:
        with suppress(PackageNotFoundError):
            found[package] = version_of(package)
    return found
