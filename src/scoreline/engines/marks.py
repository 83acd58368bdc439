"""Marks: which splits of a plan have begun and which are under way, as their workers tell while they work.

They are a list for threads, and memory that processes share: a worker that is killed has told already.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scoreline.report import SplitReport
from scoreline.splits import Split

if TYPE_CHECKING:
    from multiprocessing.context import SpawnContext

Task = Callable[[Split], SplitReport]
_NOT_YET, _ENDED = 0.0, -1.0


@dataclass(frozen=True)
class Marks:
    """What is known of each split of a plan, by its place in it.

    Attributes:
        began: (splits,) when it began, in monotonic seconds, which are the same in all processes of a machine.
        workers: (splits,) process that has it.
    """

    began: Any
    workers: Any

    @classmethod
    def of_threads(cls, splits: int) -> Marks:
        """For workers of this process."""
        return cls([_NOT_YET] * splits, [0] * splits)

    @classmethod
    def of_processes(cls, splits: int, context: SpawnContext) -> Marks:
        """For spawned processes, which are given it when they begin."""
        return cls(context.RawArray("d", splits), context.RawArray("l", splits))

    def done(self, task: Task, first: int, chunk: Sequence[Split]) -> list[SplitReport]:
        """The reports of consecutive splits, the first of them at this place, done one after the other."""
        reports = []
        for place, split in enumerate(chunk, first):
            self.workers[place] = os.getpid()
            self.began[place] = time.monotonic()
            try:
                reports.append(task(split))
            finally:
                self.began[place] = _ENDED
        return reports

    @property
    def has_begun(self) -> bool:
        """Whether any split has."""
        return any(began != _NOT_YET for began in self.began)

    def under_way(self) -> dict[int, float]:
        """Place -> seconds since it began, of splits that have not ended."""
        now = time.monotonic()
        return {place: now - began for place, began in enumerate(self.began) if began > _NOT_YET}
