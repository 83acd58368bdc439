"""Budget: how many threads a model's library may use in a call, so that splits side by side use no more than the cores.

Engines say how many splits are scored at the same time, adapters of models ask what is left for one. It must not know
any library.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from scoreline.resources import cores

_LOCK = threading.Lock()
_at_once = 0


@contextmanager
def shared(splits: int) -> Iterator[None]:
    """Within it so many more splits are scored at the same time by this process, or beside it by its siblings."""
    global _at_once  # noqa: PLW0603 - all runs of a process share its cores
    with _LOCK:
        _at_once += splits
    try:
        yield
    finally:
        with _LOCK:
            _at_once -= splits


def threads(splits: int | None = None) -> int:
    """Threads of one call, at least one.

    Args:
        splits: that are scored at the same time; by default as many as `shared` was told.
    """
    return max(1, cores() // max(1, _at_once if splits is None else splits))
