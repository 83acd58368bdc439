"""Cache: compiled forms as files in Scoreline's home, each named by what it was made of and by which versions.

A form is read whole, from one open file, and nothing but speed depends on it: what is gone, or damaged, is made anew.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

from scoreline import durable
from scoreline.abc import Compiled, Parity
from scoreline.codebase import version_of
from scoreline.models.compiled.form import Form, about_in, packed, unpacked

COMPILER = 3
"""Raised when a form of the same model would be another one."""
COMPILED, MACHINE_CODE = "compiled", "machine-code"
"""Folders: of all that belongs to forms in a home, and in it of what Numba has made."""

_SUFFIX = ".form"
_VERSIONS = ("scoreline", "polars", "numpy", "scikit-learn", "numba")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeptForm:
    """A kept form, as its file tells it.

    Attributes:
        path: of the file.
        size: bytes.
        at: when it was written, ISO 8601.
        current: whether the versions that run here read it.
        about: ``form``, ``features``, ``predict``, ``versions``, ``model``, ``notes`` and ``shown``; empty where the
            file is damaged.
    """

    path: Path
    size: int
    at: str
    current: bool
    about: dict[str, Any]


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
            "form": form.describe()["kind"],
            "features": list(features),
            "predict": predict,
            "versions": running_versions(),
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

    def remove(self, features: Sequence[str], predict: str = "value") -> None:
        """Removes the form for these features that the running versions made."""
        self._path(features, predict).unlink(missing_ok=True)

    def kept(self) -> list[KeptForm]:
        """All forms that are kept, the newest first; none of them is made."""
        found = []
        for path in self.folder.glob(f"*{_SUFFIX}"):
            with suppress(FileNotFoundError):
                content, stat = path.read_bytes(), path.stat()
                at = datetime.fromtimestamp(stat.st_mtime, UTC).isoformat(timespec="seconds")
                found.append(KeptForm(path, len(content), at, is_current(path), _about(content)))
        return sorted(found, key=lambda one: (one.at, one.path), reverse=True)

    def _path(self, features: Sequence[str], predict: str) -> Path:
        return self.folder / f"{_hashed(list(features), predict)}-{_stamp()}{_SUFFIX}"


def is_current(path: Path) -> bool:
    """Whether the versions that run here would read a form by this name."""
    return path.name.endswith(f"-{_stamp()}{_SUFFIX}")


def running_versions() -> dict[str, str]:
    """Package -> version of what a form, or the verdict on it, may depend on."""
    found = {}
    for package in _VERSIONS:
        with suppress(PackageNotFoundError):
            found[package] = version_of(package)
    return found


def _stamp() -> str:
    return _hashed(COMPILER, running_versions())[:16]


def _hashed(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def _about(content: bytes) -> dict[str, Any]:
    try:
        return about_in(content)
    except (ValueError, KeyError, OSError):
        return {}


@functools.lru_cache(maxsize=8)
def _read(path: Path, modified: int, size: int) -> Compiled:
    """The time and size are part of what is remembered, so that a form that was made anew is read anew."""
    del modified, size
    form, about = unpacked(path.read_bytes())
    shown = {types: Parity(**parity) for types, parity in about["shown"].items()}
    return Compiled(form, about["model"], tuple(about["notes"]), shown)
