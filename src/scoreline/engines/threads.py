"""Splits on threads of this process: right for models that let go of the interpreter lock, and for small partitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from scoreline.engines.marks import Marks
from scoreline.engines.room import Room
from scoreline.report import SplitReport
from scoreline.splits import Split
from scoreline.waiting import completed


@dataclass(frozen=True)
class ThreadEngine:
    """Implements `scoreline.abc.Engine` on a thread pool.

    Args:
        workers: threads, where there is room for so many.
        room: how many that is, and how many rows make a task.
    """

    workers: int
    room: Room = field(default_factory=Room)

    def map(self, task: Callable[[Split], SplitReport], splits: Sequence[Split]) -> Iterator[SplitReport]:
        """See `scoreline.abc.Engine.map`."""
        if not splits:
            return
        chunks = self.room.chunks(splits)
        marks = Marks.of_threads(len(splits))
        workers = self.room.workers(min(self.workers, len(chunks)), task, splits)
        if workers <= 1:
            yield from map(task, splits)
            return
        pool = ThreadPoolExecutor(workers, thread_name_prefix="scoreline-split")
        try:
            for future in completed([pool.submit(marks.done, task, *chunk) for chunk in chunks.items()]):
                yield from future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
