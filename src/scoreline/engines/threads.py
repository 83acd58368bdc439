"""Splits on threads of this process: right for models that let go of the interpreter lock, and for small partitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from scoreline.report import SplitReport
from scoreline.splits import Split


@dataclass(frozen=True)
class ThreadEngine:
    """Implements `scoreline.abc.Engine` on a thread pool.

    Args:
        workers: threads.
    """

    workers: int

    def map(self, task: Callable[[Split], SplitReport], splits: Sequence[Split]) -> Iterator[SplitReport]:
        """See `scoreline.abc.Engine.map`."""
        if min(self.workers, len(splits)) <= 1:
            yield from map(task, splits)
            return
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="scoreline-split")
        try:
            for future in as_completed([pool.submit(task, split) for split in splits]):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
