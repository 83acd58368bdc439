"""Joined: one file made of many parts, counted and hashed as it is written. It needs the standard library alone."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

Buffer: TypeAlias = bytes | memoryview

_CHUNK: Final = 4 * 1024 * 1024
_LARGE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class JoinReceipt:
    """What was written.

    Attributes:
        rows: of the file, counted in what was written and not by who wrote it.
        bytes: size of the file.
        sha256: of the file's bytes, in hexadecimal.
        form: what has to be known to read it again, for a format that cannot say it in the file; see
            `scoreline.formats.labels`.
    """

    rows: int
    bytes: int
    sha256: str
    form: dict[str, Any] | None = None


class HashedOutput:
    """Counts and hashes what it writes."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: Buffer) -> None:
        """Writes all of it."""
        self.size += len(data)
        if len(data) < _LARGE:
            self._digest.update(data)
            self._write(data)
            return
        # Both let go of the interpreter, and each takes as long as the other.
        hashing = threading.Thread(target=self._digest.update, args=(data,))
        hashing.start()
        try:
            self._write(data)
        finally:
            hashing.join()

    def _write(self, data: Buffer) -> None:
        left = memoryview(data)
        while left:  # an unbuffered file may take less than it is given
            left = left[self._target.write(left) :]

    def copy(self, source: BinaryIO, start: int, end: int) -> None:
        """Writes these bytes of another file, a few at a time.

        Raises:
            ValueError: the file ends before.
        """
        source.seek(start)
        while start < end:
            data = source.read(min(_CHUNK, end - start))
            if not data:
                raise ValueError(f"was cut off at byte {start} while it was copied")
            self.write(data)
            start += len(data)

    @property
    def sha256(self) -> str:
        """Hash of all that was written."""
        return self._digest.hexdigest()


@contextmanager
def named(source: Path | BinaryIO) -> Iterator[None]:
    """Puts the name of the file before the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        name = source if isinstance(source, Path) else getattr(source, "name", "the open file")
        raise ValueError(f"{name}: {error}") from error
