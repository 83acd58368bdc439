"""Codebase: which code made a prediction: versions, the job's file, and its commit where there is one."""

from __future__ import annotations

import functools
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from scoreline.durable import sha256_of

_GIT_SECONDS = 5.0
_STATUS = ("status", "--porcelain=v2", "--branch", "--no-ahead-behind", "--untracked-files=no", "--", ".")
_OID = "# branch.oid "


@functools.cache
def version_of(package: str) -> str:
    """Installed version of a package; it is looked up once, because that means parsing all of its metadata.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    return version(package)


def facts(job_file: Path | None) -> dict[str, Any]:
    """What a run records of its code; None stands for what cannot be told."""
    return {
        "scoreline": version_of("scoreline"),
        "polars": version_of("polars"),
        "python": platform.python_version(),
        "job_file": str(job_file) if job_file else None,
        "job_sha256": sha256_of(job_file) if job_file and job_file.is_file() else None,
        "git": _commit(job_file.parent) if job_file else None,
    }


def _commit(folder: Path) -> str | None:
    """The commit that is checked out around a folder; ``+changes`` where tracked files differ from it."""
    if not any((place / ".git").exists() for place in (folder, *folder.parents)):
        return None
    head, changes = None, []
    for line in _git_status(folder):
        if line.startswith(_OID):
            head = line.removeprefix(_OID)
        elif not line.startswith("#"):
            changes.append(line)
    if head in {None, "(initial)"}:
        return None
    return f"{head}+changes" if changes else head


def _git_status(folder: Path) -> list[str]:
    """What git says of a folder: lines on the branch that begin with ``#``, and one for each change."""
    try:
        done = subprocess.run(  # noqa: S603 - constant arguments
            ["git", "--no-optional-locks", "-C", str(folder), *_STATUS],  # noqa: S607 - found on the path, as its user does
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []
