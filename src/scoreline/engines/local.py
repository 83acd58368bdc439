"""The engine of one machine: threads where the model lets go of the interpreter lock, else processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from scoreline.abc import Engine
from scoreline.engines.room import Room
from scoreline.report import SplitReport
from scoreline.splits import Split


@dataclass(frozen=True)
class LocalEngine:
    """Implements `scoreline.abc.Engine` by choosing between two others.

    Args:
        threads: for tasks that say ``releases_interpreter``, and for few rows.
        processes: makes the one for all others, which is imported only then.
        worth_processes: rows from which on it is processes: they take some three seconds to start and to import a
            model's libraries, and a model that holds the lock scores some 150,000 rows a second.
        room: whether there is memory for two processes; one alone would gain nothing.
    """

    threads: Engine
    processes: Callable[[], Engine]
    worth_processes: int = 1_000_000
    room: Room = field(default_factory=Room)

    @property
    def workers(self) -> int:
        """See `scoreline.abc.Engine.workers`."""
        return self.threads.workers

    def map(self, task: Callable[[Split], SplitReport], splits: Sequence[Split]) -> Iterator[SplitReport]:
        """See `scoreline.abc.Engine.map`."""
        parallel = min(self.workers, len(splits)) > 1 and sum(split.rows for split in splits) > self.worth_processes
        apart = parallel and not getattr(task, "releases_interpreter", True)
        apart = apart and self.room.affords(task, splits, apart=True) > 1
        return (self.processes() if apart else self.threads).map(task, splits)
