"""File calls, watched: which files are brought to stable storage, and which take another one's name, in which order.

The real `os.fsync`, `os.replace`, `os.rename` and `os.link` are called; `pathlib` goes through them. What a library
does outside Python is not seen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from scoreline.testing.dying import Died

_SYNCS = ("fsync", "fdatasync")
_NAMINGS = ("replace", "rename", "link")


@dataclass(frozen=True, slots=True)
class FileCall:
    """One call.

    Attributes:
        name: of the function in `os`.
        inode: of the file or folder that is synchronised, or gets a name.
        size: of it, in bytes, at that instant.
        target: the name that it gets; None for a synchronisation.
    """

    name: str
    inode: int
    size: int
    target: Path | None = None


@dataclass
class FileCalls:
    """The calls that were made, in order.

    Args:
        before: called before each of them, with its name.
        die_at: the number of the call, from 1 on, that dies instead; 0 never does.
    """

    before: Callable[[str], object] = lambda _: None
    die_at: int = 0
    made: list[FileCall] = field(default_factory=list)
    begun: int = 0

    def naming(self, target: Path) -> int:
        """Position of the last call that gave a file the name ``target``; -1 when there is none."""
        found = [position for position, call in enumerate(self.made) if call.target == target]
        return found[-1] if found else -1

    def syncs(self, path: Path) -> list[int]:
        """Positions of the calls that brought what is now at ``path`` to stable storage, as it is now."""
        stat = path.stat()
        size = None if path.is_dir() else stat.st_size
        return [
            position
            for position, call in enumerate(self.made)
            if call.target is None and call.inode == stat.st_ino and size in {None, call.size}
        ]

    def synchronise(self, name: str, real: Callable[..., Any], descriptor: Any) -> Any:
        """Stands for `os.fsync` and the like."""
        self._begin(name)
        stat = os.fstat(descriptor)
        result = real(descriptor)
        self.made.append(FileCall(name, stat.st_ino, stat.st_size))
        return result

    def give_name(self, name: str, real: Callable[..., Any], source: Any, target: Any, **named: Any) -> Any:
        """Stands for `os.replace` and the like."""
        self._begin(name)
        stat = Path(source).stat()
        result = real(source, target, **named)
        self.made.append(FileCall(name, stat.st_ino, stat.st_size, Path(target)))
        return result

    def _begin(self, name: str) -> None:
        self.before(name)
        self.begun += 1
        if 0 < self.die_at <= self.begun:
            raise Died


@contextmanager
def watched(calls: FileCalls) -> Iterator[FileCalls]:
    """Notes the file calls of this process, from any thread, until the end of the block."""
    with ExitStack() as stack:
        for name in _SYNCS:
            stack.enter_context(patch.object(os, name, partial(calls.synchronise, name, getattr(os, name))))
        for name in _NAMINGS:
            stack.enter_context(patch.object(os, name, partial(calls.give_name, name, getattr(os, name))))
        yield calls
