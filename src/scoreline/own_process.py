"""Own process: whether nobody but Scoreline imports anything here, as in its command line and its workers.

There it may keep a library from importing what scoring has no use for, and settle how memory is allocated. In a
notebook that would be somebody's loss.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ALLOCATOR, _PATIENT = "_RJEM_MALLOC_CONF", "dirty_decay_ms:2000,muzzy_decay_ms:-1"
"""How Polars' allocator (jemalloc) is told, before Polars is imported, to keep freed memory for two seconds. By itself
it gives back what the next unit asks for again, which took a tenth of the time of a long run."""
BLAS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
"""How linear algebra is told, before it is imported, how many threads it may begin."""
_ONE = threading.RLock()
_mine = False


def claim() -> None:
    """Says that this process, and what it starts, is Scoreline's own."""
    global _mine  # noqa: PLW0603 - a fact about the process
    _mine = True
    os.environ.setdefault(_ALLOCATOR, _PATIENT)


def one_blas_thread() -> None:
    """Tells libraries of linear algebra to begin no thread, where the process is Scoreline's own and they are not told.

    Models predict with one in any case; others that only wait took 1 to 3 % of a run.
    """
    if _mine:
        for name in BLAS:
            os.environ.setdefault(name, "1")


@contextmanager
def without(package: str) -> Iterator[None]:
    """Within, a library does not find a package that it would merely use if it were there.

    Nothing happens where the package is imported already, or where the process is not Scoreline's own.
    """
    with _ONE:  # of several partitions at a time, each on its thread
        if not _mine or package in sys.modules:
            yield
            return
        sys.modules[package] = None  # type: ignore[assignment]
        try:
            yield
        finally:
            del sys.modules[package]
