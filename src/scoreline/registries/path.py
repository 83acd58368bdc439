"""Trained models in local folders: the job's model path is a link to the newest of the versions beside it.

``models/green`` -> ``green.versions/<digest>``. A version is complete before it has its name and never changes; the
link is replaced in one step. So a crash, or a scoring run at the same time, finds the old model or the new one, and
the earlier ones stay until somebody removes them.
"""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scoreline import durable
from scoreline.abc import Trained
from scoreline.errors import UsageError
from scoreline.stores import local

_LOCK_SECONDS = 30.0
_DIGITS = 12


@dataclass(frozen=True)
class PathRegistry:
    """Implements `scoreline.abc.Registry` for a path.

    Args:
        base: folder where relative paths begin.
    """

    base: Path

    def check(self, uri: str, alias: str | None) -> None:
        """See `scoreline.abc.Registry.check`."""
        if alias is not None:
            raise UsageError(
                f"the model {uri} is a path, and a path has no alias {alias!r}",
                hint=f"leave --alias out, or name a model of MLflow: --model models:/NAME@{alias}",
            )
        place = self._place(uri)
        if place.is_file() or place.suffix.lower() in {".bin", ".pkl", ".pickle", ".joblib", ".skops"}:
            raise UsageError(
                f"the model {uri} names a file, and a trained model is a folder: the model, its card, its golden rows",
                hint=f"let model= in the job, or --model, name a folder: {Path(uri).with_suffix('')}",
            )

    def log(self, trained: Trained) -> str:
        """See `scoreline.abc.Registry.log`."""
        self.check(trained.uri, trained.alias)
        place = self._place(trained.uri)
        versions = place.with_name(f"{place.name}.versions")
        # What others may write, nobody may trust.
        durable.make_folder(place.parent)
        versions.mkdir(mode=0o755, exist_ok=True)
        with local.locked(versions / ".lock", _LOCK_SECONDS):
            version = _added(trained.folder, versions / trained.digest[:_DIGITS])
            _point(place, version)
        return str(version)

    def _place(self, uri: str) -> Path:
        return self.base / Path(uri).expanduser()


def _added(folder: Path, version: Path) -> Path:
    """The folder's content under the version's name, complete and on stable storage."""
    if _same(folder, version):
        return version
    staged = version.with_name(f".{version.name}.{uuid.uuid4().hex[:12]}")
    try:
        staged.mkdir(mode=0o755)
        for file in sorted(folder.iterdir()):
            with durable.written(staged / file.name, durable=True) as target, file.open("rb") as source:
                shutil.copyfileobj(source, target)
        if version.exists():
            version.rename(_aside(version))  # a damaged one: equal digests were equal files
        staged.rename(version)
        durable.sync_folder(version.parent)
    finally:
        durable.remove_tree(staged)
    return version


def _same(folder: Path, version: Path) -> bool:
    return version.is_dir() and _hashes(folder) == _hashes(version)


def _hashes(folder: Path) -> dict[str, str]:
    return {file.name: durable.sha256_of(file) for file in folder.iterdir()}


def _point(place: Path, version: Path) -> None:
    """Lets the job's path mean this version."""
    if place.is_dir() and not place.is_symlink():
        place.rename(_aside(place))  # somebody else's folder, kept
    link = place.with_name(f".{place.name}.{uuid.uuid4().hex[:12]}")
    link.symlink_to(version.relative_to(place.parent))
    link.replace(place)
    durable.sync_folder(place.parent)


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.until-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
