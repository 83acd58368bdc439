"""Moving files that may not be lost: never over another one, never the wrong one, and as often as it takes.

A file is moved only while it is the one that is meant; what was put in its place meanwhile stays, or is given back.
Between two folders of one file system that is one step; between two file systems the copy is complete before the
original goes.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import functools
import itertools
import logging
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from scoreline import crashpoints
from scoreline.durable import sha256_of, sync_file, sync_folder
from scoreline.splits import FileIdentity

_log = logging.getLogger(__name__)
_AT_FDCWD, _NO_REPLACE = -100, 1
_NOT_HERE = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}
"""How systems and file systems answer that cannot rename without overwriting."""


def is_file_of(path: Path, known: FileIdentity) -> bool:
    """Whether a file is there and is the known one; see `as_it_lies`."""
    return as_it_lies(path, known) is not None


def as_it_lies(path: Path, known: FileIdentity) -> FileIdentity | None:
    """The known file as it lies under a path; None when it does not.

    It is known by size, modification time and inode. On another device than it was on, it is known without its inode: a
    move to there has made a copy, and devices may have other numbers after a reboot.
    """
    try:
        now = path.stat()
    except OSError:
        return None
    inode = f"{now.st_dev}:{now.st_ino}"
    is_elsewhere = inode.partition(":")[0] != known.inode.partition(":")[0]
    if (now.st_size, now.st_mtime_ns) != (known.size, known.mtime_ns) or not (is_elsewhere or inode == known.inode):
        return None
    return replace(known, path=str(path), inode=inode)


def same_bytes(one: Path, other: Path) -> bool:
    """Whether two files hold the same; not where one of them is gone, as somebody may move it meanwhile."""
    try:
        if one.samefile(other):
            return True
        return one.stat().st_size == other.stat().st_size and sha256_of(one) == sha256_of(other)
    except FileNotFoundError:
        return False


def move(path: Path, known: FileIdentity, place_of: Callable[[int], Path]) -> Path | None:
    """Moves a file to the first free place, on stable storage; None when it is not the known one any more.

    Args:
        path: of the file.
        known: what is meant.
        place_of: where it may go: 0 -> the best place, 1 -> the next ...; all in one folder, which is there.

    Raises:
        OSError: it cannot be moved; then it lies where it lay.
    """
    if not is_file_of(path, known):
        return None
    try:
        place = _first_free(path, place_of)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return _move_by_copy(path, known, place_of)
    crashpoints.reach("close.moved")
    meant = is_file_of(place, known)
    if not meant:
        # Somebody replaced it between the look and the move: what was moved is newer, and goes back.
        with suppress(FileExistsError):
            rename_new(place, path)
    sync_folder(place.parent)
    sync_folder(path.parent)
    return place if meant else None


def rename_new(path: Path, target: Path) -> None:
    """Renames a file, never over another one.

    Raises:
        FileExistsError: the target is there.
        OSError: it cannot be renamed, such as to another file system.
    """
    call = _renameat2()
    if call is not None:
        code = call(_AT_FDCWD, os.fsencode(path), _AT_FDCWD, os.fsencode(target), _NO_REPLACE)
        if code == 0:
            return
        number = ctypes.get_errno()
        if number not in _NOT_HERE:
            raise OSError(number, os.strerror(number), str(target if number == errno.EEXIST else path))
    _rename_by_link(path, target)


def remove(path: Path, is_meant: Callable[[Path], bool]) -> bool:
    """Removes a file if it is what is meant; what was put in its place meanwhile is given back.

    It is taken aside first: a file that is judged under its own name may be another one when it is removed.
    """
    taken = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        path.rename(taken)
    except FileNotFoundError:
        return False
    meant = False
    try:
        meant = is_meant(taken)
    finally:  # also where the look at it fails: under this name nobody finds it
        if meant:
            taken.unlink()
        else:
            _give_back(taken, path)
        sync_folder(path.parent)
    return meant


def _give_back(taken: Path, path: Path) -> None:
    try:
        rename_new(taken, path)
    except FileExistsError:
        _log.warning("%s was replaced twice while it was looked at; the older one is kept as %s", path, taken)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keeps other processes that move files into a folder waiting; without a lock where the folder cannot have one."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Without it nothing is lost either: each step refuses to overwrite. It saves a second copy of the same file.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _first_free(path: Path, place_of: Callable[[int], Path]) -> Path:
    for number in itertools.count():
        with suppress(FileExistsError):
            rename_new(path, place_of(number))
            return place_of(number)
    raise AssertionError


def _move_by_copy(path: Path, known: FileIdentity, place_of: Callable[[int], Path]) -> Path | None:
    """The copy has the modification time of the original, so that it is known as the same file, and its permissions."""
    copy = place_of(0).with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        with path.open("rb") as reader, copy.open("wb") as writer:
            os.fchmod(writer.fileno(), stat.S_IMODE(os.fstat(reader.fileno()).st_mode))
            shutil.copyfileobj(reader, writer, 1 << 22)
            writer.flush()
            os.utime(writer.fileno(), ns=(known.mtime_ns, known.mtime_ns))
            sync_file(writer)
        if not is_file_of(path, known):
            return None
        place = _first_free(copy, place_of)
    finally:
        copy.unlink(missing_ok=True)
    sync_folder(place.parent)
    crashpoints.reach("close.copied")
    remove(path, lambda taken: is_file_of(taken, known))
    return place


def _rename_by_link(path: Path, target: Path) -> None:
    os.link(path, target)  # raises where the target is there
    remove(path, target.samefile)


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    """The system's own call; Python has no function for it."""
    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
