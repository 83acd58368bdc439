"""Health: findings about this installation and this machine, each with the next command where something is wrong.

It must not know jobs. Nothing here changes anything but for one empty file that is made and removed to see whether a
folder can be written to.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import tempfile
import zoneinfo
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from scoreline import resources

OK, WARNING, PROBLEM = "ok", "warning", "problem"
EXTRAS = {
    "lightgbm": ("lightgbm",),
    "metrics": ("prometheus-client",),
    "mlflow": ("mlflow", "pyyaml"),
    "onnx": ("onnxruntime",),
    "sklearn": ("cloudpickle", "pandas", "pyyaml", "scikit-learn", "skops"),
    "trees": ("numba",),
    "xgboost": ("xgboost-cpu",),
}
"""Extra -> its packages."""

_ALSO = {"onnxruntime": "onnxruntime-gpu", "xgboost-cpu": "xgboost"}
"""Package -> another one that has the same modules."""
_LEAST_PYTHON = (3, 11)
_LOW_DISK, _NO_DISK = 1 << 30, 100 << 20
_LOW_MEMORY, _NO_MEMORY = 1 << 30, 256 << 20
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)[^;>]*(?:>=([0-9.]+))?[^;]*(;.*extra.*)?")
_WRITTEN_IN = 2026
"""A clock before this year was never set."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's.

    Attributes:
        name: what was looked at.
        state: ok, warning or problem.
        detail: what was found.
        next: the command that mends it, or tells more; None where nothing is to be done.
    """

    name: str
    state: str
    detail: str
    next: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def installation() -> Iterator[Finding]:
    """Python, libraries, extras, clock and memory."""
    yield _python()
    yield from _libraries()
    yield _extras()
    yield _time()
    yield memory()


def _python() -> Finding:
    text = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < _LEAST_PYTHON:
        return Finding("python", PROBLEM, f"{text} is too old: 3.11 is needed", "python3.11 -m venv .venv")
    return Finding("python", OK, f"{text}, {sys.executable}")


def installed(package: str) -> str | None:
    """Version of an installed package, None where it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _libraries() -> Iterator[Finding]:
    needed = [found for one in requires("scoreline") or () if (found := _REQUIREMENT.match(one)) and not found[3]]
    pairs = [(found[1], found[2] or "0", installed(found[1])) for found in needed]
    for name, least, there in pairs:
        if there is None or _ordered(there) < _ordered(least):
            said = "is not installed" if there is None else f"{there} is too old: {least} is needed"
            yield Finding("libraries", PROBLEM, f"{name} {said}", f"pip install '{name}>={least}'")
    listed = ", ".join(f"{name} {there}" for name, _, there in pairs if there)
    yield Finding("libraries", OK, f"scoreline {installed('scoreline')} with {listed}")


def _ordered(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def missing_from(extra: str) -> list[str]:
    """Packages of an extra that are not installed."""
    return [one for one in EXTRAS[extra] if installed(one) is None and installed(_ALSO.get(one, one)) is None]


def _extras() -> Finding:
    there = [extra for extra in EXTRAS if not missing_from(extra)]
    absent = [extra for extra in EXTRAS if extra not in there]
    said = [f"installed: {', '.join(there)}"] * bool(there) + [f"not installed: {', '.join(absent)}"] * bool(absent)
    return Finding("extras", OK, "; ".join(said))


def _time() -> Finding:
    now = datetime.now(UTC)
    if now.year < _WRITTEN_IN:
        return Finding("time", PROBLEM, f"the clock says {now:%Y-%m-%d}", "timedatectl set-ntp true")
    try:
        zoneinfo.ZoneInfo("Africa/Cairo")
    except zoneinfo.ZoneInfoNotFoundError:
        return Finding("time", PROBLEM, "no time zones are known", "pip install tzdata")
    return Finding("time", OK, f"{now:%Y-%m-%d %H:%M:%S} UTC; time zones are known")


def memory(root: Path = Path("/")) -> Finding:
    """What this process may still use: the machine's available memory, or what its control group leaves."""
    free, limit = resources.memory_available(root), resources.memory_limit(root)
    if free is None or limit is None:
        return Finding("memory", WARNING, "the system does not say how much there is", "free -h")
    said = f"{_size(free)} available of {_size(limit)}"
    if free < _NO_MEMORY:
        return Finding("memory", PROBLEM, f"{said}: too little for a run", "ps -e -o pid,rss,args --sort=-rss | head")
    if free < _LOW_MEMORY:
        return Finding("memory", WARNING, f"{said}: run with --workers 1", "ps -e -o pid,rss,args --sort=-rss | head")
    return Finding("memory", OK, said)


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def folder(name: str, path: Path) -> Finding:
    """Whether a folder can be written to, or made."""
    there = nearest(path)
    if not there.is_dir():
        return Finding(
            name,
            PROBLEM,
            f"{there} is a file, and {path} has to be a folder",
            f"mv {shlex.quote(str(there))} {shlex.quote(f'{there}.aside')}",
        )
    try:
        with tempfile.TemporaryFile(dir=there, prefix=".scoreline-"):  # without a name, where the file system can
            pass
    except OSError as error:
        return Finding(
            name, PROBLEM, f"{there} cannot be written to: {error.strerror}", f"ls -ld {shlex.quote(str(there))}"
        )
    return Finding(name, OK, f"{path}" if there == path else f"{path} will be made when it is needed")


def disk(name: str, path: Path) -> Finding:
    """Space where a folder is, or would be."""
    there = nearest(path)
    free = resources.disk_free(path)
    command = f"df -h {shlex.quote(str(there))}"
    if free is None:
        return Finding(name, WARNING, f"the system does not say how much is free at {there}", command)
    if free < _NO_DISK:
        return Finding(name, PROBLEM, f"{_size(free)} free at {there}: the disk is full", command)
    if free < _LOW_DISK:
        return Finding(name, WARNING, f"{_size(free)} free at {there}", command)
    return Finding(name, OK, f"{_size(free)} free at {there}")


def nearest(path: Path) -> Path:
    """The path itself, or the nearest place above it that is there."""
    while not os.path.lexists(path):
        path = path.parent
    return path
