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
    head = _git(folder, "rev-parse", "HEAD")
    changed = head and _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    return f"{head}+changes" if head and changed else head or None


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - constant arguments
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - found on the path, as its user does
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
