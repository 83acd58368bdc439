"""MLflow for tests: a store in a home, and a real server that is stopped with all its processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from contextlib import contextmanager
from pathlib import Path

from scoreline.stores.mlflow import artifacts, database, settings

NAME, EXPERIMENT = "rides", "nyc-taxi-experiment"


class Tracking:
    """One MLflow, as somebody logs models to it with MLflow itself.

    Args:
        uri: of the tracking server or database.
        location: where a new experiment keeps its artifacts, None for where the server does.
    """

    def __init__(self, uri, location=None):
        from mlflow import MlflowClient

        self.uri = uri
        self.client = MlflowClient(uri, uri)
        self.experiment = self.client.create_experiment(EXPERIMENT, artifact_location=location)

    def log(self, model, serialization_format="skops", **more):
        """Logs and registers a model; the logged model's description."""
        import mlflow

        before = dict(os.environ)
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        try:
            with warnings.catch_warnings(), mlflow.start_run(experiment_id=self.experiment):
                warnings.simplefilter("ignore")  # MLflow's advice to whoever logs
                return mlflow.sklearn.log_model(
                    model,
                    name="model",
                    serialization_format=serialization_format,
                    registered_model_name=NAME,
                    pip_requirements=more.pop("pip_requirements", ["scikit-learn", "skops", "numpy", "cloudpickle"]),
                    **more,
                )
        finally:
            mlflow.set_tracking_uri(None)
            mlflow.set_registry_uri(None)
            for name in set(os.environ) - set(before):
                del os.environ[name]  # MLflow keeps its choice there

    def alias(self, name, version):
        self.client.set_registered_model_alias(NAME, name, str(version))

    def stage(self, stage, version):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            self.client.transition_model_version_stage(NAME, str(version), stage)

    def run_in_old_layout(self, folder):
        """A run with a model folder among its artifacts, as MLflow 2 logged it; its id."""
        run_id = self.client.create_run(self.experiment).info.run_id
        text = (folder / "MLmodel").read_text()
        old = next(line for line in text.splitlines() if line.startswith("run_id:"))
        (folder / "MLmodel").write_text(text.replace(old, f"run_id: {run_id}"))
        self.client.log_artifacts(run_id, str(folder), "model")
        return run_id


def in_home(home):
    """The default store."""
    uri = settings(home)
    database(home).parent.mkdir(parents=True)
    return Tracking(uri, artifacts(home).as_uri())


@contextmanager
def server(folder):
    """A tracking server on loopback that hands out artifacts itself; gives its address."""
    folder.mkdir()
    port = _free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", f"{folder}/kept"]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | quiet, stdout=log, stderr=log, start_new_session=True
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(address, process, Path(log.name))
            yield address
        finally:
            stop(process)


def stop(process):
    """Ends a process with its whole group, by its own id."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def _wait_for(address, process, log):
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):  # noqa: S310 - our own server
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
