"""Room: how many splits at once the machine has room for, and how many rows make a task of their own.

It decides how much is done at a time, and never what: units, and so predictions, are the same whatever it says.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from scoreline import resources
from scoreline.engines.marks import Task
from scoreline.errors import MemoryShort
from scoreline.splits import UNIT_ROWS, Split

_BYTES_PER_ROW = 500
_GB = 1e9
_CALM_SECONDS = 2.0
_log = logging.getLogger(__name__)


@dataclass
class Patience:
    """How long the runs of one command have waited for the machine: two hundred small ones wait no longer than one.

    Attributes:
        spent: seconds.
        calm_until: until when a calm machine is not looked at again: a look takes a tenth of a second.
    """

    spent: float = 0.0
    calm_until: float = float("-inf")


@dataclass
class Before:
    """What this process held before the first run of one command began to score.

    What runs have taken since is not added to it: each worker is reckoned for itself, and memory that was given back
    may count as used for a while.

    Attributes:
        held: bytes, None until somebody has looked.
    """

    held: int | None = None


@dataclass(frozen=True)
class Room:
    """What an engine asks before it begins.

    Args:
        memory_gb: that a run may use with all its processes; None: what the machine or its control group has, and then
            nothing is refused.
        cpu_percent: use of the machine above which a run waits; None: it does not look.
        cpu_wait: seconds that it waits at most, for all runs together.
        chunk_rows: smallest number of rows worth a task of its own.
        least_rows: a smaller ``chunk_rows`` is raised to it.
        used: bytes that this process holds.
        limit: bytes that it may have.
        busy: how busy the machine is, 0 to 100.
        sleep: waits for so many seconds.
        clock: monotonic seconds.
        patience: what has been waited already.
        reserve: bytes that this process will hold besides, once it scores: libraries yet to be imported, buffers.
        runs: how many go on at the same time in this process, and share its memory.
        before: what this process held at first.
    """

    memory_gb: float | None = None
    cpu_percent: float | None = None
    cpu_wait: float = 15.0
    chunk_rows: int = 1
    least_rows: int = 1
    used: Callable[[], int | None] = field(default=resources.memory_used, repr=False)
    limit: Callable[[], int | None] = field(default=resources.memory_limit, repr=False)
    busy: Callable[[], float | None] = field(default=resources.cpu_percent, repr=False)
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    patience: Patience = field(default_factory=Patience, repr=False, compare=False)
    reserve: int = 0
    runs: int = 1
    before: Before = field(default_factory=Before, repr=False, compare=False)

    def workers(self, wanted: int, task: Task, splits: Sequence[Split], *, apart: bool = False) -> int:
        """How many splits are scored at once, from 1 to ``wanted``; waits where the machine is busy.

        Args:
            wanted: splits at a time.
            task: its ``bytes_per_row`` tells what a row takes while it is scored, if it knows.
            splits: that there are.
            apart: whether each worker is a process, which holds libraries and model once more.

        Raises:
            MemoryShort: the memory that a run may use is not enough for one.
        """
        if wanted == 1 and self.memory_gb is None:  # one there always is, however little is left
            self._held()  # later runs count what was held before this one
            return self._calm(1)
        room = self.affords(task, splits, apart=apart)
        if room < 1 and self.memory_gb is not None:
            needed = (self._held() + self.runs * self._for_one(task, splits, apart=apart)) / _GB
            several = self.runs > 1
            raise MemoryShort(
                f"MEMORY_LIMIT_GB is {self.memory_gb:g}, and one worker "
                + (f"for each of {self.runs} partitions at once " if several else "")
                + f"needs {needed:.2f} GB",
                hint=("give a smaller --at-once, or " if several else "")
                + f"set MEMORY_LIMIT_GB={needed + 0.05:.1f} or more (scoreline config JOB shows where it is set)",
                needed_gb=round(needed, 3),
            )
        fits = max(1, min(wanted, room))
        if fits < wanted:
            _log.info("memory for %d of %d workers", fits, wanted)
        return self._calm(fits)

    def affords(self, task: Task, splits: Sequence[Split], *, apart: bool) -> int:
        """How many workers of each run the memory is enough for; 0 when not even for one."""
        machine = self.limit()
        limits = [self.memory_gb * _GB] if self.memory_gb is not None else []
        limits += [machine] if machine is not None else []
        if not limits:
            return len(splits)
        room = (min(limits) - self._held()) // self._for_one(task, splits, apart=apart)
        return max(0, int(room) // self.runs)

    def chunks(self, splits: Sequence[Split]) -> dict[int, tuple[Split, ...]]:
        """Consecutive splits that make one task, so that none is too small to be worth one; by the first's place."""
        worth = max(self.chunk_rows, self.least_rows)
        if worth > self.chunk_rows and len(splits) > 1:
            _log.info("CHUNK_SIZE %d is raised to %d rows: smaller tasks are slower", self.chunk_rows, worth)
        chunks: list[list[Split]] = []
        rows = worth
        for split in splits:
            if rows >= worth:
                chunks.append([])
                rows = 0
            chunks[-1].append(split)
            rows += split.rows
        places = itertools.accumulate((len(chunk) for chunk in chunks), initial=0)
        return {place: tuple(chunk) for place, chunk in zip(places, chunks, strict=False)}

    def _held(self) -> int:
        if self.before.held is None:
            self.before.held = self.used() or 0
        return self.before.held + self.reserve

    def _for_one(self, task: Task, splits: Sequence[Split], *, apart: bool) -> int:
        """Bytes that one worker takes: the rows of one predict call, however long its split is."""
        rows = max((unit.rows for split in splits for unit in split.units), default=UNIT_ROWS)
        return rows * getattr(task, "bytes_per_row", _BYTES_PER_ROW) + (self._held() if apart else 0) + 1

    def _calm(self, workers: int) -> int:
        """The same number once the machine is less busy; fewer if it goes on being busy."""
        if self.cpu_percent is None or self.clock() < self.patience.calm_until:
            return workers
        busy = self.busy()
        if busy is not None and busy > self.cpu_percent and self._left > 0:
            _log.warning(
                "the machine is %.0f %% busy and CPU_LIMIT_PERCENT is %g: waiting for up to %g s",
                busy,
                self.cpu_percent,
                self._left,
            )
        while busy is not None and busy > self.cpu_percent:
            if self._left <= 0:
                fewer = max(1, min(workers - 1, round(workers * (100 - busy) / 100)))
                _log.warning("the machine is still %.0f %% busy: going on with %d of %d workers", busy, fewer, workers)
                return fewer
            began = self.clock()
            self.sleep(min(1.0, self._left))
            busy = self.busy()
            self.patience.spent += self.clock() - began
        self.patience.calm_until = self.clock() + _CALM_SECONDS
        return workers

    @property
    def _left(self) -> float:
        return self.cpu_wait - self.patience.spent
