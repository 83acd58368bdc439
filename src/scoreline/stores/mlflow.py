"""Where MLflow keeps its things when no server is named, and the settings that keep it quiet and bounded.

Whoever calls MLflow calls `settings` first: MLflow reads most of this when it is imported. This module imports no
MLflow itself, so that asking for a place costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

TRACKING, REGISTRY = "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"

_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "GIT_PYTHON_REFRESH": "quiet",  # MLflow warns of a missing git on standard error
    # A server that is down is found out within seconds, not within the minutes of MLflow's own defaults.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def settings(home: Path, environment: MutableMapping[str, str] = os.environ) -> str:
    """The tracking URI, by ``MLFLOW_TRACKING_URI`` or else in the home; sets what the user has not set.

    Args:
        home: Scoreline's folder.
        environment: the process's own, which MLflow reads.
    """
    for name, value in _DEFAULTS.items():
        environment.setdefault(name, value)
    return environment.get(TRACKING) or f"sqlite:///{database(home)}"


def registry_uri(home: Path, environment: MutableMapping[str, str] = os.environ) -> str:
    """The registry's URI, by ``MLFLOW_REGISTRY_URI`` or else the same as the tracking URI."""
    return environment.get(REGISTRY) or settings(home, environment)


def database(home: Path) -> Path:
    """The SQLite file of the default store; whoever writes to it makes its folder."""
    return home / "mlflow" / "mlflow.db"


def artifacts(home: Path) -> Path:
    """The folder where experiments of the default store keep their artifacts."""
    return home / "mlflow" / "artifacts"
