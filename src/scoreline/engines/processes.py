"""Budget: how many threads a model's library may use in a call, so that splits side by side use no more than the cores.

Processes are spawned, not forked: a fork copies locks that other threads hold. A worker imports the job's file under
the name it has here before anything of the job is unpickled, and ends when the driver gives up or dies.
"""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from scoreline import budget, own_process
from scoreline.engines.marks import Marks, Task
from scoreline.engines.room import Room
from scoreline.engines.watch import Watch
from scoreline.errors import SplitHung, WorkerDied
from scoreline.report import SplitReport
from scoreline.splits import Split
from scoreline.waiting import completed

_SPAWN = multiprocessing.get_context("spawn")
_log = logging.getLogger(__name__)
_task: Task | None = None
_marks: Marks | None = None
_sharing = ExitStack()


@dataclass(frozen=True)
class ProcessEngine:
    """Implements `scoreline.abc.Engine` on a pool of spawned processes.

    Args:
        workers: processes, where there is room for so many.
        prepare: called first in each worker, such as the import of the job's file; it pickles by name.
        room: how many that is, and how many rows make a task.
        timeout: seconds that a split may take before its process is killed, and with it the plan; None for any time.
    """

    workers: int
    prepare: Callable[[], object] | None = None
    room: Room = field(default_factory=Room)
    timeout: float | None = None

    def map(self, task: Task, splits: Sequence[Split]) -> Iterator[SplitReport]:
        """See `scoreline.abc.Engine.map`.

        When a worker is killed, as the kernel does where memory runs out, what is left is tried once more by half as
        many workers. A split that had ended and was not reported yet is then done again, as far as its task does so.
        """
        if not splits:
            return
        chunks = self.room.chunks(splits)
        workers = self.room.workers(min(self.workers, len(chunks)), task, splits, apart=True)
        for fewer in (workers // 2, 0):
            marks = Marks.of_processes(len(splits), _SPAWN)
            try:
                with closing(self._done(task, splits, chunks, workers, marks)) as done:
                    for first, reports in done:
                        del chunks[first]
                        yield from reports
            except WorkerDied:
                # Where none has begun, workers die of something else, such as a script without its __main__ guard.
                if not fewer or not marks.has_begun:
                    raise
                _log.warning("a worker process was killed: going on with %d of %d workers", fewer, workers)
                workers = fewer
            else:
                return

    def _done(
        self, task: Task, splits: Sequence[Split], chunks: Mapping[int, Sequence[Split]], workers: int, marks: Marks
    ) -> Generator[tuple[int, list[SplitReport]]]:
        """Place of each chunk and its reports, as chunks end."""
        lifeline, driver = _SPAWN.Pipe(duplex=False)
        pool = ProcessPoolExecutor(
            min(workers, len(chunks)),
            mp_context=_SPAWN,
            initializer=_begin,
            initargs=(self.prepare, pickle.dumps(task), marks, workers * self.room.runs, lifeline),
        )
        waiting, places = deque(chunks.items()), dict[Future[list[SplitReport]], int]()
        watch = Watch(marks, splits, self.timeout, waiting.clear, "; its process was ended")
        try:
            while waiting or places:
                # The pool gets no more than can begin: it fails over futures that were cancelled when a process dies.
                while waiting and len(places) < workers:
                    first, chunk = waiting.popleft()
                    places[pool.submit(_run, first, chunk)] = first
                future = next(completed(places, watch.look))
                yield places.pop(future), future.result()
                watch.look()
        except SplitHung:
            for place in marks.under_way():
                os.kill(marks.workers[place], signal.SIGKILL)  # it may hold the interpreter, and hear nothing else
            raise
        except BrokenProcessPool as error:
            raise WorkerDied(
                "a worker process ended without a word (killed, or out of memory)",
                hint="run the same command again with fewer --workers (what was scored is kept); "
                "in a script of your own, call run() under `if __name__ == '__main__':`",
            ) from error
        except (KeyboardInterrupt, GeneratorExit):
            # Nobody waits for what the workers are still at: a split may take minutes.
            driver.close()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            driver.close()
            lifeline.close()


def _begin(prepare: Callable[[], object] | None, task: bytes, marks: Marks, at_once: int, lifeline: Connection) -> None:
    global _task, _marks  # noqa: PLW0603 - one task per worker process
    _marks = marks
    threading.Thread(target=_end_with_driver, args=(lifeline,), daemon=True).start()
    # Ctrl-C reaches the whole process group; the driver decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _share_cores(at_once)
    own_process.claim()
    if prepare is not None:
        prepare()
    _task = pickle.loads(task)  # noqa: S301 - made by the driver of this very run


def _share_cores(at_once: int) -> None:
    """Tells the libraries that are loaded from now on that so many processes share the cores."""
    # The pool has one process per worker already; Polars' own threads would only get in each other's way. BLAS adds up
    # in an order that follows from its threads.
    for name in ("POLARS_MAX_THREADS", *own_process.BLAS):
        os.environ.setdefault(name, "1")
    for name in ("OMP_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        os.environ.setdefault(name, str(budget.threads(at_once)))
    _sharing.enter_context(budget.shared(at_once))


def _run(first: int, chunk: Sequence[Split]) -> list[SplitReport]:
    assert _task is not None
    assert _marks is not None
    return _marks.done(_task, first, chunk)


def _end_with_driver(lifeline: Connection) -> None:
    # Its other end is the driver's alone: it closes when the driver gives up, and when it dies.
    multiprocessing.connection.wait([lifeline])
    os._exit(75)
