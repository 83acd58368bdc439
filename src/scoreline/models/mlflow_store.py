"""Models in MLflow: ``runs:/`` and ``models:/`` URIs, found by MLflow's own client and read as model folders.

What a URI means is asked anew each time; where it lies then is read as any other folder, or downloaded and kept. So a
model has one digest, however it is named. MLflow is imported, after its settings, when it has to be asked itself.
"""

from __future__ import annotations

import re
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scoreline import durable
from scoreline.abc import ModelFile, ModelVersion
from scoreline.errors import MissingExtra, ModelInvalid, ModelMissing, ModelUnreachable, ScorelineError
from scoreline.models.folder import local_path
from scoreline.models.located import Located
from scoreline.models.path_store import PathStore, is_whole
from scoreline.stores import mlflow as place

SCHEMES = ("runs", "models")
_LISTED = 8
_LATER = {"TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "DEADLINE_EXCEEDED"}
_CLOSED = {"UNAUTHENTICATED", "PERMISSION_DENIED"}


@dataclass(frozen=True)
class MlflowStore:
    """Implements `scoreline.abc.ModelStore`.

    Args:
        home: Scoreline's folder; holds MLflow's store where no server is named.
        paths: pins and keeps the folders that are found.
    """

    home: Path
    paths: PathStore
    _downloaded: dict[str, Path] = field(default_factory=dict, compare=False, repr=False)

    def resolve(self, uri: str) -> ModelVersion:
        """See `scoreline.abc.ModelStore.resolve`.

        Raises:
            ModelUnreachable: the server does not answer.
        """
        tracking = place.settings(self.home)
        registry = place.registry_uri(self.home)
        for store in (tracking, registry):
            _require_database(store, self.paths.train_command)
        located = Located(self.home, tracking, registry)
        with _told(uri, tracking):
            folder = self._at_hand(located, uri)
            if folder is None:
                before = located.state()
                found = _Finder(_client(tracking, registry), tracking).locate(uri)
                located.remember(uri, found, before)
                folder = self._folder(found, tracking)
                located.keep(found, folder)
        return self.paths.pinned(uri, folder)

    def fetch(self, version: ModelVersion) -> ModelFile:
        """See `scoreline.abc.ModelStore.fetch`."""
        return self.paths.fetch(version)

    def _at_hand(self, located: Located, uri: str) -> Path | None:
        """The folder of a model, where it can be found without MLflow."""
        location = located.location(uri)
        if location is None:
            return None
        if _is_local(location):
            folder = local_path(location).resolve()
            return folder if folder.is_dir() else None
        known = self._downloaded.get(location) or located.kept(location)
        return known if known is not None and is_whole(known, known.name) else None

    def _folder(self, location: str, tracking: str) -> Path:
        """The folder of artifacts at a location; a remote one is downloaded once in a process, and kept."""
        if _is_local(location):
            folder = local_path(location).resolve()
            if not folder.is_dir():
                raise ModelMissing(
                    f"MLflow keeps the model in {folder}, which is not there",
                    hint="was it removed, or does it lie on another machine? a server can hand it out: "
                    "mlflow server --serve-artifacts",
                )
            return folder
        known = self._downloaded.get(location)
        if known is None or not is_whole(known, known.name):
            known = self._downloaded[location] = self._download(location, tracking)
        return known

    def _download(self, location: str, tracking: str) -> Path:
        from mlflow.artifacts import download_artifacts

        target = self.home / "models" / f".download.{uuid.uuid4().hex[:12]}"
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            found = download_artifacts(artifact_uri=location, dst_path=str(target), tracking_uri=tracking)
            return self.paths.keep(Path(found)).resolve()
        finally:
            durable.remove_tree(target)


@dataclass(frozen=True)
class _Finder:
    """Asks one MLflow where models lie."""

    client: Any
    tracking: str

    def locate(self, uri: str) -> str:
        """Where the artifacts of a model URI lie: a URI of a folder."""
        scheme, _, rest = uri.partition(":")
        if scheme not in SCHEMES:
            return uri
        parts = rest.strip("/").split("/")
        if rest.startswith("//") or ".." in parts or not all(parts):
            raise ModelInvalid(f"{uri} is no model URI", hint=_FORMS)
        if scheme == "runs":
            return self._of_run(parts[0], "/".join(parts[1:]))
        if len(parts) == 1 and "@" in parts[0]:
            name, _, alias = parts[0].rpartition("@")
            return self._of_alias(name, alias)
        if len(parts) == 1 and parts[0].startswith("m-"):
            return self._of_id(parts[0])
        if len(parts) == 2:
            return self._of_version(*parts)
        known = self._known(parts[0]) if len(parts) == 1 else ""
        raise ModelInvalid(f"{uri} names neither a version nor an alias", hint=known or _FORMS)

    def _of_run(self, run_id: str, path: str) -> str:
        run = self._asked(lambda: self.client.get_run(run_id), f"no run {run_id}")
        ids = [one.model_id for one in getattr(run.outputs, "model_outputs", None) or ()]
        logged = [model for model in map(self._logged, ids) if model is not None]
        # A run may log one name several times, as checkpoints; the newest is what it ended with.
        for model in sorted(logged, key=lambda one: -one.creation_timestamp):
            if path and model.name == path:
                return str(model.artifact_location)
        below = [entry.path for entry in self.client.list_artifacts(run_id, path or None)]
        if path and f"{path}/MLmodel" in below:
            return f"{run.info.artifact_uri.rstrip('/')}/{path}"
        names = list(dict.fromkeys(model.name for model in logged)) or [self._old_layout(run_id)]
        offered = [f"runs:/{run_id}/{name}" for name in names if name]
        raise ModelMissing(
            f"run {run_id} has no model {path!r}",
            hint=f"it has {', '.join(offered)}" if offered else "log one with mlflow.sklearn.log_model",
        )

    def _old_layout(self, run_id: str) -> str:
        folders = [entry.path for entry in self.client.list_artifacts(run_id) if entry.is_dir]
        holds = (name for name in folders if f"{name}/MLmodel" in _paths(self.client.list_artifacts(run_id, name)))
        return next(holds, "")

    def _of_id(self, model_id: str) -> str:
        found = self._asked(lambda: self.client.get_logged_model(model_id), f"no model {model_id}")
        return str(found.artifact_location)

    def _of_alias(self, name: str, alias: str) -> str:
        found = self._asked(
            lambda: self.client.get_model_version_by_alias(name, alias),
            f"no alias {alias!r} of the model {name!r}",
            name,
        )
        return self._of_found(name, found.version)

    def _of_version(self, name: str, which: str) -> str:
        if which.isdigit():
            self._asked(
                lambda: self.client.get_model_version(name, which), f"no version {which} of the model {name!r}", name
            )
            return self._of_found(name, which)
        missing = f"no version of the model {name!r} in stage {which!r}"
        if which.lower() == "latest":
            found = self._asked(lambda: self._versions(name), missing, name)
        else:
            found = self._asked(lambda: self._in_stage(name, which), missing, name)
        if not found:
            raise self._missing(missing, name)
        return self._of_found(name, str(max(int(one.version) for one in found)))

    def _of_found(self, name: str, version: str) -> str:
        at = str(self.client.get_model_version_download_uri(name, version))
        return self.locate(at) if at.startswith(("models:/m-", "runs:/")) else at

    def _in_stage(self, name: str, stage: str) -> list[Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # stages are deprecated, and still used
            return list(self.client.get_latest_versions(name, [stage]))

    def _logged(self, model_id: str) -> Any | None:
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_logged_model(model_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":  # deleted since
                return None
            raise

    def _asked(self, question: Callable[[], Any], missing: str, name: str | None = None) -> Any:
        """MLflow's answer; that it knows no such thing becomes `ModelMissing`, with what it does know."""
        from mlflow.exceptions import MlflowException

        try:
            return question()
        except MlflowException as error:
            # An unknown alias or stage is an "invalid parameter" to MLflow.
            if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"}:
                raise
            raise self._missing(missing, name) from error

    def _missing(self, what: str, name: str | None) -> ModelMissing:
        known = self._known(name) if name else ""
        return ModelMissing(
            f"MLflow at {_masked(self.tracking)} knows {what}",
            hint=known or f"does {place.TRACKING} name the right server?",
        )

    def _known(self, name: str) -> str:
        """What there is instead: aliases and versions of the model, or the registered models."""
        with suppress(Exception):  # a hint must not hide what it hints at
            versions = [f"models:/{name}/{one.version}" for one in self._versions(name)]
            aliases = [f"models:/{name}@{alias}" for alias in self.client.get_registered_model(name).aliases]
            return f"there is {', '.join([*aliases, *versions][:_LISTED])}" if versions else "it has no versions"
        with suppress(Exception):
            models = [one.name for one in self.client.search_registered_models(max_results=_LISTED)]
            return f"registered models: {', '.join(models)}" if models else "no model is registered there"
        return ""

    def _versions(self, name: str) -> list[Any]:
        quoted = name.replace("'", "''")
        found = self.client.search_model_versions(f"name='{quoted}'")
        return sorted(found, key=lambda one: -int(one.version))


_FORMS = "write runs:/<run id>/<name>, models:/<name>@<alias>, models:/<name>/<version> or models:/m-<id>"


def _is_local(location: str) -> bool:
    return urlsplit(location).scheme in {"", "file"}


def _paths(entries: list[Any]) -> list[str]:
    return [entry.path for entry in entries]


def _client(tracking: str, registry: str) -> Any:
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        raise MissingExtra(
            "MLflow is not installed, and the model's URI needs it", hint="pip install 'scoreline[mlflow]'"
        ) from error
    return MlflowClient(tracking, registry)


def _require_database(store: str, train: str) -> None:
    """Refuses to look into a database that is not there: MLflow would make an empty one."""
    path = Path(store.removeprefix("sqlite:///"))
    if store.startswith("sqlite:///") and not path.is_file():
        raise ModelMissing(
            f"there is no MLflow store at {path}",
            hint=f"set {place.TRACKING}, or train a model first: {train}",
        )


@contextmanager
def _told(uri: str, tracking: str) -> Iterator[None]:
    """Says in Scoreline's words what MLflow raises."""
    try:
        yield
    except ScorelineError:
        raise
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"MLflow at {_masked(tracking)} needs {error.name}, which is not installed",
            hint=f"pip install {error.name}",
        ) from error
    except Exception as error:
        raise _meaning(error, uri, tracking) from error


def _meaning(error: Exception, uri: str, tracking: str) -> ScorelineError:
    server, code = _masked(tracking), getattr(error, "error_code", "")
    if code in _LATER or _is_connection(error):
        return ModelUnreachable(
            f"MLflow at {server} does not answer, so nobody can tell what {uri} is",
            hint=f"is it running, and does {place.TRACKING} name it? then run the same command again",
        )
    if code in _CLOSED:
        return ModelMissing(
            f"MLflow at {server} refuses to say what {uri} is",
            hint="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
        )
    said = _masked(str(error).strip().split("\n", 1)[0])[:300]
    return ModelMissing(
        f"MLflow at {server} cannot tell what {uri} is: {said}", hint=f"does {place.TRACKING} name an MLflow server?"
    )


def _is_connection(error: BaseException | None) -> bool:
    """Whether a failed connection is at the bottom; MLflow hides it behind an error of its own."""
    while error is not None:
        if isinstance(error, OSError) and not isinstance(error, (FileNotFoundError, PermissionError)):
            return True
        if type(error).__name__ == "OperationalError":  # SQLAlchemy's: locked, or the server is away
            return True
        error = error.__cause__ or error.__context__
    return False


def _masked(text: str) -> str:
    """Without passwords in URLs."""
    return re.sub(r"//[^/@\s]+@", "//***@", text)
