"""Throw-away environments: one scikit-learn each, installed from pinned requirements, used once and removed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements/versions"
CURRENT = "current"
VERSIONS = [*sorted(file.stem for file in REQUIREMENTS.glob("?.?.txt")), CURRENT]
"""Minor releases of scikit-learn, and the one that runs."""

_SCRIPT = Path(__file__).with_name("make_models.py")
_PYTHON = "3.11"
"""The newest Python for which scikit-learn 1.1 has wheels; 1.0 has none and is built, once for uv's cache."""


def make_models(version, rows, folder):
    """Has one version train all kinds, in an environment beside ``folder`` that is gone afterwards."""
    folder.mkdir()
    if version == CURRENT:
        _do(sys.executable, _SCRIPT, rows, folder)
        return
    place = folder.with_name(f"environment-{version}")
    try:
        _do(_uv(), "venv", "--quiet", "--python", _PYTHON, place)
        for file in (REQUIREMENTS / f"{version}-build.txt", REQUIREMENTS / f"{version}.txt"):
            if file.exists():
                _install(place, file, builds=(REQUIREMENTS / f"{version}-build.txt").exists())
        _do(place / "bin/python", _SCRIPT, rows, folder)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _install(place, file, *, builds):
    # Wheels only, but for a version that says what it is built with.
    how = ["--no-build-isolation"] if builds else ["--only-binary", ":all:"]
    _do(_uv(), "pip", "install", "--quiet", "--python", place / "bin/python", "--require-hashes", *how, "-r", file)


def _uv():
    found = Path(sys.prefix) / "bin/uv"
    assert found.exists(), f"{found} is not there: it makes the environments (make setup installs it)"
    return found


def _do(*command):
    # Nice: building scikit-learn takes minutes.
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        ["nice", "-n", "10", *map(str, command)],
        env=clean | {"UV_PYTHON_DOWNLOADS": "never"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}"
