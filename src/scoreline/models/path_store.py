"""Models by path: a file is pinned by the SHA-256 of its bytes and kept under that name in Scoreline's home.

So a file that is replaced while a run goes on changes nothing for that run, and a later one sees the new file.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from scoreline import durable
from scoreline.abc import ModelFile, ModelVersion
from scoreline.errors import ModelInvalid, ModelMissing, ModelUntrusted
from scoreline.models.sklearn import PickledModel
from scoreline.models.trust import Trust
from scoreline.stores import local

PICKLES = {".bin", ".pkl", ".pickle", ".joblib"}


@dataclass(frozen=True)
class PathStore:
    """Implements `scoreline.abc.ModelStore` for pickled scikit-learn models in files.

    Args:
        base: folder where relative paths begin.
        home: Scoreline's folder, for pinned copies.
        trust: which pickles may be loaded.
        trust_command: the command that trusts a path, for hints.
    """

    base: Path
    home: Path
    trust: Trust
    trust_command: str = "scoreline models trust"

    def resolve(self, uri: str) -> ModelVersion:
        """See `scoreline.abc.ModelStore.resolve`."""
        # Links are followed once: what is judged, hashed and copied is then the same file.
        path = (self.base / Path(uri).expanduser()).resolve()
        if path.is_dir():
            raise ModelInvalid(f"the model {path} is a folder", hint="name the pickled file inside, such as model.pkl")
        if not path.is_file():
            raise ModelMissing(f"there is no model at {path}", hint="correct model= in the job, or give --model PATH")
        if path.suffix.lower() not in PICKLES:
            raise ModelInvalid(
                f"the kind of the model {path} is unknown",
                hint=f"name a file that ends in {', '.join(sorted(PICKLES))}",
            )
        digest = durable.sha256_of(path)
        return ModelVersion(uri, digest, digest[:12], path, path.stat().st_size)

    def fetch(self, version: ModelVersion) -> ModelFile:
        """See `scoreline.abc.ModelStore.fetch`."""
        if self.trust.reason(version.digest, version.path) is None:
            against = self.trust.refusal(version.path)
            raise ModelUntrusted(
                f"{version.path} is a pickle, and loading it runs its code; nobody has trusted it"
                + (f" ({against})" if against else ""),
                hint=f"if you know where it comes from: {self.trust_command} {shlex.quote(str(version.path))}",
                digest=version.digest,
            )
        kept = self.home / "models" / version.digest / version.path.name
        # A model may be nobody else's business, so its copy is not either.
        kept.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        whole = kept.is_file() and kept.stat().st_size == version.size
        if not whole:
            local.copy_in(version.path, kept, version.digest)
        return PickledModel(str(kept), version.digest, str(self.base))
