"""Models by path: a file or folder is pinned by its digest and kept under that name in Scoreline's home.

So a model that is replaced while a run goes on changes nothing for that run, and a later one sees the new model.
"""

from __future__ import annotations

import shlex
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scoreline import durable
from scoreline.abc import ModelFile, ModelVersion
from scoreline.card import running_versions
from scoreline.errors import InputChanged, ModelInvalid, ModelMissing, ModelUntrusted
from scoreline.models.compiled.cache import COMPILED
from scoreline.models.folder import ModelFolder, digest_of, local_path, read_folder
from scoreline.models.kept import KeptModel
from scoreline.models.kinds import (
    LIBRARIES,
    PICKLES,
    PYFUNC,
    SKOPS,
    SUFFIXES,
    is_old_binary,
    kind_of,
    needs_no_trust,
    refuse_old_binary,
)
from scoreline.models.trust import Trust
from scoreline.stores import local


@dataclass(frozen=True)
class PathStore:
    """Implements `scoreline.abc.ModelStore` for models in files and folders.

    Args:
        base: folder where relative paths begin.
        home: Scoreline's folder, for pinned copies.
        trust: which pickles may be loaded.
        trust_command: the command that trusts a path, for hints.
        batch: rows of one predict call of a model without an accelerated form; None leaves it to the adapter.
        train_command: the command that trains a model, for hints.
    """

    base: Path
    home: Path
    trust: Trust
    trust_command: str = "scoreline models trust"
    batch: int | None = None
    train_command: str = "scoreline train JOB RANGE"

    def resolve(self, uri: str) -> ModelVersion:
        """See `scoreline.abc.ModelStore.resolve`."""
        # Links are followed once: what is judged, hashed and copied is then the same file.
        path = _meant(self.base / local_path(uri)).resolve()
        if path.is_dir():
            return self.pinned(uri, path)
        if not path.is_file():
            raise ModelMissing(
                f"there is no model at {path}",
                hint=f"correct model= in the job or the path that you gave, or train one: {self.train_command}",
            )
        if path.suffix.lower() not in SUFFIXES:
            raise ModelInvalid(
                f"the kind of the model {path} is unknown",
                hint=f"name a model folder, or a file that ends in {', '.join(sorted(SUFFIXES))}",
            )
        if kind_of(path) != "onnx":
            _require_current(path)
        digest = durable.sha256_of(path)
        return ModelVersion(uri, digest, digest[:12], path, path.stat().st_size)

    def pinned(self, uri: str, folder: Path) -> ModelVersion:
        """The version of a model folder; MLflow's are called by their run id.

        Raises:
            ModelInvalid: it holds no model that Scoreline reads.
        """
        found = read_folder(folder)
        digest = digest_of(found.hashes())
        return ModelVersion(uri, digest, found.run_id or digest[:12], folder, found.size)

    def keep(self, folder: Path) -> Path:
        """Copies the loaded files of a model folder into the home, under its digest; the kept folder."""
        found = read_folder(folder)
        hashes = found.hashes()
        return self._keep(digest_of(hashes), found, hashes)

    def trust_reason(self, version: ModelVersion) -> str | None:
        """Why this model may be loaded although it runs code, None when it may not."""
        files = _files(version.path)
        # What lies in the home came from anywhere, so the folder that it is kept in says nothing.
        elsewhere = files and not version.path.is_relative_to(self.home.resolve() / "models")
        trust = self.trust if elsewhere else Trust(self.home)
        reasons = [trust.reason(version.digest, file) for file in files or [version.path]]
        return reasons[0] if all(reasons) else None

    def may_be_loaded(self, version: ModelVersion) -> str:
        """Why this model may be loaded; nothing of it is.

        Raises:
            ModelUntrusted: it may not; the hint ends in the command that trusts it.
        """
        file = version.path / read_folder(version.path).model if version.path.is_dir() else version.path
        self._may_run_code(version, file)
        if needs_no_trust(file):
            return (
                f"a file of {LIBRARIES[kind_of(file)].called}'s own format, which runs no code and needs nobody's trust"
            )
        return self.trust_reason(version) or "a skops file of known types, which needs nobody's trust"

    def fetch(self, version: ModelVersion) -> ModelFile:
        """See `scoreline.abc.ModelStore.fetch`."""
        file = self._place(version.digest) / version.path.name
        if version.path.is_dir() or not (version.path.is_file() or file.is_file()):
            return self._fetch_folder(version)
        trusted = self._may_run_code(version, version.path if version.path.is_file() else file)
        whole = file.is_file() and file.stat().st_size == version.size
        if not whole:
            self._make_home()
            local.copy_in(version.path, file, version.digest)
        return KeptModel(
            str(file), version.digest, str(self.base), trusted=trusted, batch=self.batch, forms=str(self.forms(version))
        )

    def _fetch_folder(self, version: ModelVersion) -> ModelFile:
        kept = self._place(version.digest)
        if not is_whole(kept, version.digest):
            if not version.path.is_dir():
                raise ModelMissing(f"the model {version.path} is gone", hint="run the same command again")
            found = read_folder(version.path)
            hashes = found.hashes()
            if digest_of(hashes) != version.digest:
                raise InputChanged(
                    f"the model {version.path} changed while it was pinned", hint="run the same command again"
                )
            self._may_run_code(version, version.path / found.model)
            self._keep(version.digest, found, hashes)
        found = read_folder(kept)
        file = kept / found.model
        trusted = self._may_run_code(version, file)
        sha256 = durable.sha256_of(file)
        forms = str(self.forms(version))
        return KeptModel(str(file), version.digest, str(self.base), str(kept), sha256, trusted, self.batch, forms)

    def _may_run_code(self, version: ModelVersion, file: Path) -> bool:
        """Whether somebody has trusted the model; a skops file of known types needs nobody's trust."""
        if needs_no_trust(file):
            return False
        if self.trust_reason(version):
            return True
        hint = f"if you know where it comes from: {self.trust_command} {shlex.quote(str(version.path))}"
        what = f"{version.path} is a pickle, and loading it runs its code; nobody has trusted it"
        if kind_of(file) == PYFUNC:
            what = f"{version.path} is a pyfunc of MLflow, and loading it runs its code; nobody has trusted it"
        if file.suffix.lower() == SKOPS:
            types = self._unknown_types(version, file)
            if not types:
                return False
            what = f"{version.path} holds types that skops does not know and nobody has trusted: {', '.join(types)}"
        open_to_others = [one for one in _files(version.path) if self.trust.reason(version.digest, one) is None]
        against = next(filter(None, map(self.trust.refusal, open_to_others)), "")
        raise ModelUntrusted(what + (f" ({against})" if against else ""), hint=hint, digest=version.digest)

    def _unknown_types(self, version: ModelVersion, file: Path) -> list[str]:
        """Types in a skops file that skops does not know.

        That there are none is noted beside the kept model, for the versions that said so: to ask imports scikit-learn.
        """
        told = "-".join(running_versions(("skops", "scikit-learn")).values())
        mark = self._place(version.digest) / f".known-types-{told}"
        if mark.is_file():
            return []
        from scoreline.models.loading import untrusted_types

        types = untrusted_types(file)
        if not types and mark.parent.is_dir():
            with suppress(OSError):  # a home may be read-only
                mark.touch()
        return types

    def _keep(self, digest: str, found: ModelFolder, hashes: dict[str, str]) -> Path:
        """A half-made folder never has the kept name: it is made under another one and renamed."""
        kept = self._place(digest)
        if is_whole(kept, digest):
            return kept
        self._make_home()
        made = kept.with_name(f".{digest[:12]}.{uuid.uuid4().hex[:12]}")
        try:
            for name, sha256 in hashes.items():
                local.copy_in(found.path / name, made / name, sha256)
            if kept.exists():
                kept.rename(made.with_name(f"{made.name}.damaged"))
            try:
                made.rename(kept)
            except OSError:
                if not is_whole(kept, digest):  # else another process has made the same one meanwhile
                    raise
        finally:
            durable.remove_tree(made)
            durable.remove_tree(made.with_name(f"{made.name}.damaged"))
        return kept

    def forms(self, version: ModelVersion) -> Path:
        """Where the compiled forms of a model are kept."""
        return self.home / COMPILED / version.digest

    def _place(self, digest: str) -> Path:
        return self.home / "models" / digest

    def _make_home(self) -> None:
        # A model may be nobody else's business, so its copy is not either.
        (self.home / "models").mkdir(mode=0o700, parents=True, exist_ok=True)


def _require_current(path: Path) -> None:
    """Refuses XGBoost's old binary files, whatever they are called; they look like nothing else."""
    with path.open("rb") as handle:
        if is_old_binary(handle.read(512)):
            raise refuse_old_binary(str(path))


def _meant(path: Path) -> Path:
    """The path itself, or, where it is a model's name without a suffix, the file of that name.

    Raises:
        ModelInvalid: there are several models of this name, and nothing tells which one is meant.
    """
    if path.is_file() or path.suffix.lower() in SUFFIXES:
        return path
    named = [path.with_name(path.name + suffix) for suffix in sorted(PICKLES | {SKOPS})]
    found = [one for one in (path, *named) if one.exists()]
    if len(found) > 1:
        raise ModelInvalid(
            f"{path} may mean {' or '.join(one.name for one in found)}, which are both there",
            hint=f"remove one, or name the one that is meant, such as --model {found[-1]}",
        )
    return found[0] if found else path


def _files(path: Path) -> list[Path]:
    """The files at a model's path that are loaded, [] when they are gone."""
    if path.is_dir():
        found = read_folder(path)
        return [path / name for name in found.files]
    return [path] if path.is_file() else []


def is_whole(kept: Path, digest: str) -> bool:
    """Whether a kept folder still holds the model of this digest."""
    try:
        return kept.is_dir() and digest_of(read_folder(kept).hashes()) == digest
    except (ModelInvalid, OSError):
        return False
