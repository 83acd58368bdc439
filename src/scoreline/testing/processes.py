"""Functions in processes of their own, for checks that no thread can stand in for."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_CHILD = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
function, arguments = pickle.load(sys.stdin.buffer)
function(*arguments)
"""


@contextmanager
def started(function: Callable[..., object], *arguments: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A fresh Python process that calls ``function(*arguments)``; it is killed at the end of the block.

    Function and arguments travel by pickle. The function may read its standard input with `hear` and write to its
    standard output with `say`; the other ends are the process's ``stdin`` and ``stdout``.
    """
    command = [sys.executable, "-c", _CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own
        try:
            assert process.stdin is not None
            process.stdin.write(pickle.dumps(sys.path) + pickle.dumps((function, arguments)))
            process.stdin.flush()
            yield process
        finally:
            process.kill()


def say(text: str) -> None:
    """In the process: one line to whoever started it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def hear() -> str:
    """In the process: waits for one line of whoever started it; empty when that one has gone."""
    return sys.stdin.buffer.readline().decode().strip()


def tell(process: subprocess.Popen[bytes], text: str) -> None:
    """One line to the process."""
    assert process.stdin is not None
    process.stdin.write(f"{text}\n".encode())
    process.stdin.flush()


def answer(process: subprocess.Popen[bytes]) -> str:
    """Waits for one line of the process; empty when it has ended."""
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()
