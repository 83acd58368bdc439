"""Splits on threads of this process: right for models that let go of the interpreter lock, and for small partitions."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from scoreline import budget
from scoreline.engines.marks import Marks, Task
from scoreline.engines.room import Room
from scoreline.engines.watch import Watch
from scoreline.errors import SplitHung
from scoreline.report import SplitReport
from scoreline.splits import Split
from scoreline.waiting import completed


@dataclass(frozen=True)
class ThreadEngine:
    """Implements `scoreline.abc.Engine` on a thread pool.

    Args:
        workers: threads, where there is room for so many.
        room: how many that is, and how many rows make a task.
        timeout: seconds that a split may take; None for any time. A thread cannot be ended: its plan is given up.
    """

    workers: int
    room: Room = field(default_factory=Room)
    timeout: float | None = None

    def map(self, task: Task, splits: Sequence[Split]) -> Iterator[SplitReport]:
        """See `scoreline.abc.Engine.map`."""
        if not splits:
            return
        chunks = self.room.chunks(splits)
        workers = self.room.workers(min(self.workers, len(chunks)), task, splits)
        with budget.shared(workers):
            yield from self._done(task, splits, chunks, workers)

    def _done(
        self, task: Task, splits: Sequence[Split], chunks: Mapping[int, Sequence[Split]], workers: int
    ) -> Iterator[SplitReport]:
        if workers <= 1 and self.timeout is None:
            yield from map(task, splits)
            return
        marks = Marks.of_threads(len(splits))
        crew = _Crew(workers, [functools.partial(marks.done, task, *chunk) for chunk in chunks.items()])
        watch = Watch(marks, splits, self.timeout, crew.stop, "; the thread that has it cannot be ended")
        try:
            for future in completed(crew.futures, watch.look):
                yield from future.result()
        except SplitHung:
            raise  # nobody waits for its thread, neither here nor when Python ends
        except BaseException:
            crew.end(self.timeout)
            raise
        crew.end(self.timeout)


class _Crew:
    """Threads that work calls off, and that Python does not wait for at its own end, as it does for a pool's.

    Args:
        threads: how many.
        calls: what there is to do.
    """

    def __init__(self, threads: int, calls: Sequence[Callable[[], list[SplitReport]]]) -> None:
        self.futures: list[Future[list[SplitReport]]] = [Future() for _ in calls]
        self._left = deque(zip(self.futures, calls, strict=True))
        self._threads = [
            threading.Thread(target=self._work, name=f"scoreline-split-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begins nothing more."""
        for future in self.futures:
            future.cancel()

    def end(self, timeout: float | None) -> None:
        """Begins nothing more, and waits for what is under way, for each thread so many seconds at most."""
        self.stop()
        for thread in self._threads:
            thread.join(timeout)

    def _work(self) -> None:
        while True:
            try:
                future, call = self._left.popleft()
            except IndexError:
                return
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                future.set_exception(error)
            del future, call  # else an error and this frame keep each other alive
