"""Splits in spawned processes: right for models that hold the interpreter lock.

Processes are spawned, not forked: a fork copies locks that other threads hold. A worker imports the job's file under
the name it has here before anything of the job is unpickled, and ends when the driver gives up or dies.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from scoreline.engines.room import Room, done_together
from scoreline.errors import WorkerDied
from scoreline.report import SplitReport
from scoreline.splits import Split
from scoreline.waiting import completed

Task = Callable[[Split], SplitReport]
_task: Task | None = None


@dataclass(frozen=True)
class ProcessEngine:
    """Implements `scoreline.abc.Engine` on a pool of spawned processes.

    Args:
        workers: processes, where there is room for so many.
        prepare: called first in each worker, such as the import of the job's file; it pickles by name.
        room: how many that is, and how many rows make a task.
    """

    workers: int
    prepare: Callable[[], object] | None = None
    room: Room = field(default_factory=Room)

    def map(self, task: Task, splits: Sequence[Split]) -> Iterator[SplitReport]:
        """See `scoreline.abc.Engine.map`."""
        if not splits:
            return
        chunks = self.room.chunks(splits)
        workers = self.room.workers(min(self.workers, len(chunks)), task, splits, apart=True)
        context = multiprocessing.get_context("spawn")
        lifeline, driver = context.Pipe(duplex=False)
        pool = ProcessPoolExecutor(
            workers,
            mp_context=context,
            initializer=_begin,
            initargs=(self.prepare, pickle.dumps(task), lifeline),
        )
        try:
            for future in completed([pool.submit(_run, chunk) for chunk in chunks]):
                yield from future.result()
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


def _begin(prepare: Callable[[], object] | None, task: bytes, lifeline: Connection) -> None:
    global _task  # noqa: PLW0603 - one task per worker process
    threading.Thread(target=_end_with_driver, args=(lifeline,), daemon=True).start()
    # Ctrl-C reaches the whole process group; the driver decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The pool has one process per worker already; Polars' own threads would only get in each other's way.
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    if prepare is not None:
        prepare()
    _task = pickle.loads(task)  # noqa: S301 - made by the driver of this very run


def _run(chunk: Sequence[Split]) -> list[SplitReport]:
    assert _task is not None
    return done_together(_task, chunk)


def _end_with_driver(lifeline: Connection) -> None:
    # Its other end is the driver's alone: it closes when the driver gives up, and when it dies.
    multiprocessing.connection.wait([lifeline])
    os._exit(75)
