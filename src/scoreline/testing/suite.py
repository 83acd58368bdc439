"""Suite: checks by name, without a test framework; and the few words that checks are made of."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_PREFIX = "check_"
_WAIT_SECONDS = 60.0

Raised = TypeVar("Raised", bound=BaseException)


class Suite:
    """Many small checks of one contract. Each needs a suite of its own, made over an empty place.

    A check is a method whose name begins with ``check_``; it raises `AssertionError` where the guarantee in its
    docstring does not hold.
    """

    @classmethod
    def checks(cls) -> tuple[str, ...]:
        """Names of all checks without their prefix, inherited ones first, in the order of the source."""
        names = (name for kind in reversed(cls.__mro__) for name in vars(kind) if name.startswith(_PREFIX))
        return tuple(dict.fromkeys(name.removeprefix(_PREFIX) for name in names))

    def run(self, check: str) -> None:
        """Runs one check by its name."""
        getattr(self, _PREFIX + check)()


def refused(kind: type[Raised], call: Callable[[], object], why: str) -> Raised:
    """The error of ``kind`` that ``call`` raises; it fails when there is none. Other errors pass.

    Args:
        kind: what must be raised.
        call: what must raise it.
        why: what it would mean if it did not.
    """
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}: {why}")


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Polls until ``condition()`` is true; it fails when that takes a minute."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain: {what}")
        time.sleep(0.005)


def is_running(pid: int) -> bool:
    """True while a process runs; one that only waits for its parent to look (a zombie) does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def is_stopped(pid: int) -> bool:
    """True while a process is stopped by a signal."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "T"


def file_names(folder: Path) -> list[str]:
    """Relative paths of everything that is no folder below ``folder``, hidden or not, sorted."""
    found = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return sorted(path.relative_to(folder).as_posix() for path in found)
