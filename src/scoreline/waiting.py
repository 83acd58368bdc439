"""Waiting for futures in a way that a signal ends.

Python runs signal handlers in the main thread, and only once that thread wakes up. The kernel may hand a signal to any
thread, so a main thread that waits without a limit can sleep through Ctrl-C until all work is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TypeVar

T = TypeVar("T")
_HEED_SECONDS = 0.1


def completed(futures: Iterable[Future[T]], look: Callable[[], None] = lambda: None) -> Iterator[Future[T]]:
    """The futures as they complete; signal handlers run meanwhile, a tenth of a second late at most.

    Args:
        futures: to wait for; one that is cancelled is not told.
        look: called after each look at them, ten times a second; what it raises ends the waiting.
    """
    left = set(futures)
    while left:
        done, left = wait(left, _HEED_SECONDS, FIRST_COMPLETED)
        yield from (future for future in done if not future.cancelled())
        look()
