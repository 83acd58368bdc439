"""Durable: writing and removing local files so that a crash at any instant leaves the old or the new, never a half.

The order is always: write under another name, fsync the file, rename, fsync the folder. What has the new name is
complete. It must not know what the files mean.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

_SYSTEM_ERROR = re.compile(r"\(os error (\d+)\)")
"""How libraries written in Rust, such as Polars, tell what the system refused."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def is_intact(path: Path, size: int, sha256: str) -> bool:
    """Whether a file is there with this size and hash."""
    return path.is_file() and path.stat().st_size == size and sha256_of(path) == sha256


def sync_file(handle: BinaryIO) -> None:
    """Brings a written file to stable storage."""
    handle.flush()
    os.fsync(handle.fileno())


def sync_folder(folder: Path) -> None:
    """Brings a folder's names to stable storage."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def written(path: Path, *, durable: bool) -> Iterator[BinaryIO]:
    """A handle whose bytes appear under ``path`` at the end, all at once, or never.

    Args:
        path: the name that appears; its folder exists.
        durable: fsync the file before the rename and its folder after it.

    Raises:
        OSError: also where a library wrote past Python, and told it as an error of its own.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        with temporary.open("wb") as handle:
            yield handle
            if durable:
                sync_file(handle)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        told = None if isinstance(error, OSError) else _SYSTEM_ERROR.search(str(error))
        if told is None:
            raise
        raise OSError(int(told[1]), os.strerror(int(told[1])), str(path)) from error
    if durable:
        sync_folder(path.parent)


def write_json(path: Path, value: Any, *, durable: bool = False, parents: bool = True) -> None:
    """Writes a small JSON file, whole or not at all; with ``parents``, into a folder that is made where it is not."""
    if parents:
        path.parent.mkdir(parents=True, exist_ok=True)
    with written(path, durable=durable) as handle:
        handle.write(json.dumps(value).encode())


def append_json(folder: Path, value: Any) -> int:
    """Writes a small JSON file under the next free number of a folder, ``000001.json``, on stable storage.

    Whoever does so at the same time gets another number; what has a number is whole.
    """
    temporary = folder / f".{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("wb") as handle:
            handle.write(json.dumps(value).encode())
            sync_file(handle)
        number = 1 + max((int(path.stem) for path in folder.glob("[0-9]*.json")), default=0)
        while True:
            try:
                (folder / f"{number:06d}.json").hardlink_to(temporary)
                break
            except FileExistsError:
                number += 1
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(folder)
    return number


def read_json(path: Path) -> Any | None:
    """A small JSON file's value; None when it is not there, or a power failure has left it empty."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def remove_tree(folder: Path, keep: Collection[Path] = ()) -> None:
    """Removes a folder with all in it, but for some files; another process may be doing the same."""
    if not any(path.is_relative_to(folder) for path in keep):
        shutil.rmtree(folder, ignore_errors=True)
        return
    for place, _, names in os.walk(folder, topdown=False):
        for path in (Path(place) / name for name in names):
            if path not in keep:
                path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            Path(place).rmdir()


def make_folder(folder: Path) -> None:
    """Makes a folder with its parents, their names on stable storage."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        sync_folder(place.parent)
