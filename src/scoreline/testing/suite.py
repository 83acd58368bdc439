"""Suite: checks by name, without a test framework; and the few words that checks are made of."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

_PREFIX = "check_"
_WAIT_SECONDS = 60.0

Raised = TypeVar("Raised", bound=BaseException)
Result = TypeVar("Result")

THREADS = 8
"""How many threads race in a check."""


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


def refused(
    kind: type[Raised] | tuple[type[Raised], ...],
    why: str,
    call: Callable[..., object],
    *arguments: Any,
    **named: Any,
) -> Raised:
    """The error of ``kind`` that a call raises; fails, saying why one was expected, when there is none."""
    try:
        call(*arguments, **named)
    except kind as error:
        return error
    names = " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
    raise AssertionError(f"no {names}: {why}")


def together(call: Callable[[int], Result]) -> list[Result]:
    """Calls ``call(0)``, ``call(1)`` ... from `THREADS` threads at the same instant; results in that order."""
    gate = threading.Barrier(THREADS)

    def one(number: int) -> Result:
        gate.wait()
        return call(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, range(THREADS)))


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
