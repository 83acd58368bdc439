"""Trained models in MLflow: a run with parameters, metrics and data, its model, a registered version, an alias.

The client is told where to go with every call: MLflow's global state belongs to the user's own code. The model's folder
holds the card and the golden rows beside ``MLmodel``, so that they travel with it wherever it is loaded from.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoreline.abc import Trained
from scoreline.card import CARD, GOLDEN, PREDICTED
from scoreline.errors import MissingExtra, ScorelineError, StorageFailed, TrainingFailed, UsageError
from scoreline.stores import mlflow as place

NAME = "model"
"""Of the model in its run: ``runs:/<run id>/model``."""

_URI = re.compile(r"models:/([^/@]+)(?:@([^/@]+)|/([^/@]+))?\Z")
_AT_ONCE = 100  # parameters that MLflow takes in one call
_FINAL = {"INVALID_PARAMETER_VALUE", "PERMISSION_DENIED", "UNAUTHENTICATED", "RESOURCE_DOES_NOT_EXIST", "BAD_REQUEST"}


@dataclass(frozen=True)
class MlflowRegistry:
    """Implements `scoreline.abc.Registry` for MLflow, on a server or in Scoreline's home.

    Args:
        home: Scoreline's folder; holds MLflow's store where no server is named.
        experiment: name of the experiment; ``MLFLOW_EXPERIMENT_NAME`` goes before it.
    """

    home: Path
    experiment: str

    def check(self, uri: str, alias: str | None) -> None:
        """See `scoreline.abc.Registry.check`; asks the server for the experiment, so it has to answer."""
        _names(uri, alias)
        with self._told():
            _experiment(self._client(), self._experiment_name, self._location)

    def log(self, trained: Trained) -> str:
        """See `scoreline.abc.Registry.log`; the alias moves last."""
        name, alias = _names(trained.uri, trained.alias)
        with self._told():
            client = self._client()
            experiment = _experiment(client, self._experiment_name, self._location)
            run_id, model = _logged(client, experiment, trained)
            if name is None:
                return f"runs:/{run_id}/{NAME}"
            version = _registered(client, name, model, run_id)
            if alias is not None:
                client.set_registered_model_alias(name, alias, version)
            return f"models:/{name}/{version}"

    @property
    def _experiment_name(self) -> str:
        return os.environ.get("MLFLOW_EXPERIMENT_NAME") or self.experiment

    @property
    def _location(self) -> str | None:
        """Where a new experiment keeps artifacts: a server decides itself, else MLflow takes the working directory."""
        if place.TRACKING in os.environ:
            return None
        return (place.artifacts(self.home) / re.sub(r"[^A-Za-z0-9._-]", "_", self._experiment_name)).as_uri()

    def _client(self) -> Any:
        tracking = place.settings(self.home)
        if place.TRACKING not in os.environ:
            place.database(self.home).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            from mlflow import MlflowClient
        except ImportError as error:
            raise MissingExtra(
                "MLflow is not installed, and the model's URI needs it", hint="pip install 'scoreline[mlflow]'"
            ) from error
        return MlflowClient(tracking, place.registry_uri(self.home))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Says in Scoreline's words what MLflow raises."""
        server = re.sub(r"//[^/@\s]+@", "//***@", place.settings(self.home))
        try:
            yield
        except (ScorelineError, OSError):
            raise
        except Exception as error:
            said = re.sub(r"//[^/@\s]+@", "//***@", str(error).strip().split("\n", 1)[0])[:300]
            message = f"MLflow at {server} does not keep the model: {said}"
            if getattr(error, "error_code", "") in _FINAL:
                raise TrainingFailed(
                    message, hint=f"correct model= and experiment= in the job, or {place.TRACKING}"
                ) from error
            raise StorageFailed(message, hint=f"is it running, and does {place.TRACKING} name it?") from error


def _names(uri: str, alias: str | None) -> tuple[str | None, str | None]:
    """Name and alias under which a model is registered; no name, no registration.

    Raises:
        UsageError: an alias without a name, or no URI of MLflow.
    """
    if uri.startswith("runs:/"):
        if alias is not None:
            raise UsageError(
                f"{uri} has no name that the alias {alias!r} could point from",
                hint=f"name a registered model: --model models:/NAME@{alias}",
            )
        return None, None
    found = _URI.match(uri)
    if found is None or found[1].startswith("m-"):
        raise UsageError(
            f"no model can be registered as {uri}", hint="write models:/NAME@ALIAS, or a path for a model in a folder"
        )
    return found[1], alias or found[2]


def _experiment(client: Any, name: str, location: str | None) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)  # another process was quicker
    if found.lifecycle_stage != "active":
        raise TrainingFailed(
            f"MLflow's experiment {name!r} is deleted", hint="restore it, or set MLFLOW_EXPERIMENT_NAME"
        )
    return str(found.experiment_id)


def _logged(client: Any, experiment: str, trained: Trained) -> tuple[str, Any]:
    """Run id and logged model of a complete run; one that fails on the way is marked as failed."""
    card = trained.card
    trained_on = card.trained_on.get("partitions", [])
    tags = {"mlflow.source.name": "scoreline train", "scoreline.job": card.job, "scoreline.digest": trained.digest}
    title = f"{card.job} {_range(trained_on)}".strip()
    run_id = client.create_run(experiment, tags=tags, run_name=title).info.run_id
    try:
        model = _model(client, experiment, run_id, trained)
        _facts(client, run_id, model.model_id, trained)
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id, "FINISHED")
    return run_id, model


def _range(slugs: list[str]) -> str:
    return slugs[0] if len(slugs) == 1 else f"{slugs[0]}..{slugs[-1]}" if slugs else ""


def _facts(client: Any, run_id: str, model_id: str, trained: Trained) -> None:
    """Parameters, metrics, data set and feature declarations of the run."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

    card, now = trained.card, int(time.time() * 1000)
    trained_on = card.trained_on
    params = card.params | {"training": _range(trained_on.get("partitions", [])), "target": card.target}
    listed = [Param(name, value) for name, value in params.items()]
    for start in range(0, len(listed), _AT_ONCE):
        client.log_batch(run_id, params=listed[start : start + _AT_ONCE])
    metrics = [Metric(name, value, now, 0, model_id=model_id, run_id=run_id) for name, value in card.metrics.items()]
    client.log_batch(run_id, metrics=metrics)
    client.log_dict(run_id, {"features": list(card.features), "target": card.target}, "features.json")
    client.log_dict(run_id, trained_on, "trained_on.json")
    digest = str(trained_on.get("digest", ""))
    if digest:
        client.set_tag(run_id, "scoreline.trained_on", digest)
        source, profile = json.dumps(trained_on.get("files", [])), json.dumps({"num_rows": trained_on.get("rows")})
        # MLflow takes 36 characters: the digest without the name of its kind.
        rows = Dataset(card.job, digest.rpartition(":")[2][:36], "scoreline", source[:65_000], profile=profile)
        client.log_inputs(run_id, [DatasetInput(rows, [InputTag("mlflow.data.context", "training")])])


def _model(client: Any, experiment: str, run_id: str, trained: Trained) -> Any:
    """Logs the model's folder; it can be loaded from the run once all its files are there."""
    from mlflow.entities import LoggedModelOutput

    model = client.create_logged_model(experiment, NAME, source_run_id=run_id, params=trained.card.params)
    try:
        with tempfile.TemporaryDirectory(prefix="scoreline-") as folder:
            saved = Path(folder) / NAME
            _save(saved, run_id, model, trained)
            client.log_model_artifacts(model.model_id, str(saved))
    except BaseException:
        client.finalize_logged_model(model.model_id, "FAILED")
        raise
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    return model


def _save(folder: Path, run_id: str, model: Any, trained: Trained) -> None:
    """An MLflow model in the scikit-learn flavour, around the very file that was checked."""
    import mlflow.sklearn
    from mlflow.models import Model

    ours = next(file for file in trained.folder.iterdir() if file.name not in {CARD, GOLDEN})
    skops = ours.suffix == ".skops"
    described = Model(artifact_path=model.artifact_location, run_id=run_id, model_id=model.model_id)
    with warnings.catch_warnings():
        # MLflow warns that whole numbers may come as floats some day (Scoreline's casts lose nothing), and that a
        # pickle is one, which the report says. It validates no example here: pyfunc feeds a DictVectorizer a DataFrame.
        warnings.simplefilter("ignore")
        mlflow.sklearn.save_model(
            trained.estimator,
            str(folder),
            mlflow_model=described,
            serialization_format="skops" if skops else "cloudpickle",
            skops_trusted_types=_types(ours) if skops else None,
            signature=_signature(trained),
            input_example=trained.example.to_pandas(),
            # Given, because MLflow would start a process to find them out.
            pip_requirements=_requirements(trained.card.made_with, "skops" if skops else "cloudpickle"),
        )
    for file in trained.folder.iterdir():
        shutil.copyfile(file, folder / file.name)
    described.model_size_bytes = sum(file.stat().st_size for file in folder.iterdir())
    described.save(str(folder / "MLmodel"))


def _types(file: Path) -> list[str]:
    import skops.io

    return list(skops.io.get_untrusted_types(file=file))


def _signature(trained: Trained) -> Any:
    import polars as pl
    from mlflow.models import infer_signature

    golden = pl.read_parquet(trained.folder / GOLDEN, n_rows=trained.example.height)
    return infer_signature(trained.example.to_pandas(), golden[PREDICTED].to_numpy())


def _requirements(made_with: dict[str, str], kind: str) -> list[str]:
    from importlib.metadata import version

    return [f"{name}=={known}" for name, known in sorted(made_with.items()) if name != "python"] + [
        f"{kind}=={version(kind)}"
    ]


def _registered(client: Any, name: str, model: Any, run_id: str) -> str:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    # By its location: models:/<id> is looked up where MLflow's global state says, not where this client does.
    made = client.create_model_version(name, model.artifact_location, run_id, model_id=model.model_id)
    return str(made.version)
