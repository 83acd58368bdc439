"""Local folders: listing, identities of files, locks, and copies."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from scoreline.durable import written
from scoreline.errors import Busy, InputChanged, InputMissing, StorageUnfit
from scoreline.splits import FileIdentity

_CHUNK = 1 << 22


def matching(folder: Path, pattern: str) -> list[Path]:
    """Files below ``folder`` whose relative path matches a pattern with ``*`` and ``?``, sorted by relative path.

    Hidden names never match a wildcard.
    """
    parts = pattern.split("/")
    found = [folder]
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        found = [entry for place in found for entry in _entries(place, part, want_file=last)]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _entries(folder: Path, part: str, *, want_file: bool) -> list[Path]:
    if "*" not in part and "?" not in part:
        candidates = [folder / part]
    elif folder.is_dir():
        form = re.compile(re.escape(part).replace(r"\*", ".*").replace(r"\?", "."))
        candidates = [path for path in folder.iterdir() if form.fullmatch(path.name) and not path.name.startswith(".")]
    else:
        candidates = []
    return [path for path in candidates if (path.is_file() if want_file else path.is_dir())]


def all_files(folder: Path, depth: int) -> Iterator[str]:
    """Relative paths of all files below ``folder`` that are not hidden, at most ``depth`` folders down."""
    for place, folders, names in os.walk(folder):
        deep = len(Path(place).relative_to(folder).parts) >= depth
        folders[:] = [] if deep else sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield (Path(place) / name).relative_to(folder).as_posix()


def files_below(folder: Path) -> Iterator[tuple[Path, int]]:
    """All files in a folder and below it, hidden ones too, with their sizes; none where there is no folder."""
    for place, _, names in os.walk(folder):
        for path in (Path(place) / name for name in sorted(names)):
            with suppress(FileNotFoundError):
                yield path, path.lstat().st_size


def open_input(path: Path) -> BinaryIO:
    """Opens an input file for reading.

    Raises:
        InputMissing: it is not there.
    """
    try:
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputMissing(f"the input file {path} is not there") from error


def identity(handle: BinaryIO, path: Path, footer: str, rows: int) -> FileIdentity:
    """Identity of an open file."""
    stat = os.fstat(handle.fileno())
    return FileIdentity(str(path), stat.st_size, stat.st_mtime_ns, f"{stat.st_dev}:{stat.st_ino}", footer, rows)


def is_same(handle: BinaryIO, known: FileIdentity) -> bool:
    """True while an open file is still the one that was planned, by inode, size and modification time."""
    now = identity(handle, Path(known.path), known.footer, known.rows)
    return now == known


@contextmanager
def locked(path: Path, seconds: float) -> Iterator[None]:
    """Holds the exclusive lock of a lock file, which stays; a dead holder's lock is free at once.

    Raises:
        Busy: somebody else held it for ``seconds``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as handle:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    raise Busy(f"the lock {path} is held by another process") from error
                time.sleep(0.05)
        yield


def require_one_file_system(staging: Path, target: Path) -> None:
    """Checks that a rename from ``staging`` to ``target`` is one step.

    Raises:
        StorageUnfit: they lie on different file systems.
    """
    if staging.stat().st_dev != target.stat().st_dev:
        raise StorageUnfit(
            f"{staging} and {target} lie on different file systems, so nothing can be published in one step",
            hint="let under= name a folder inside the mounted file system, not the mount point itself",
        )


def copy_in(source: Path, target: Path, sha256: str) -> None:
    """Copies a file to ``target``, whole and with this hash, or not at all.

    Raises:
        InputChanged: its bytes have another hash by now.
    """
    digest = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as reader, written(target, durable=False) as writer:
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
            writer.write(chunk)
        if digest.hexdigest() != sha256:
            raise InputChanged(f"{source} changed while it was being copied", hint="run the same command again")
