"""Local disk: whether a folder lies on one. SQLite's locks hold there, and not on network file systems."""

from __future__ import annotations

import functools
from pathlib import Path

from scoreline.errors import StorageUnfit

_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs"}


def require_local(folder: Path) -> None:
    """Refuses a folder, which is there, on a network file system.

    Raises:
        StorageUnfit: it lies on one.
    """
    kind = _kind_of(folder.resolve(), folder.stat().st_dev)
    if kind in _NETWORK:
        raise StorageUnfit(
            f"{folder} lies on a network file system ({kind}), where SQLite's locks do not hold",
            hint="set SCORELINE_HOME to a folder on a local disk",
        )


@functools.lru_cache(maxsize=8)
def _kind_of(folder: Path, _device: int) -> str:
    """The same as long as the same device is mounted there."""
    return file_system(folder)


def file_system(folder: Path) -> str:
    """Type of the file system that holds ``folder``, by the longest mount point above it."""
    best, kind = "", ""
    for line in Path("/proc/self/mountinfo").read_text("utf-8", errors="replace").splitlines():
        left, _, right = line.partition(" - ")
        point = left.split()[4].replace("\\040", " ")
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind
