"""The engine of one machine: threads where the model lets go of the interpreter lock, else processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from scoreline.abc import Engine
from scoreline.report import SplitReport
from scoreline.splits import Split


@dataclass(frozen=True)
class LocalEngine:
    """Implements `scoreline.abc.Engine` by choosing between two others.

    Args:
        threads: for tasks that say ``releases_interpreter``, and for a single split.
        processes: for all others.
    """

    threads: Engine
    processes: Engine

    @property
    def workers(self) -> int:
        """See `scoreline.abc.Engine.workers`."""
        return self.threads.workers

    def map(self, task: Callable[[Split], SplitReport], splits: Sequence[Split]) -> Iterator[SplitReport]:
        """See `scoreline.abc.Engine.map`."""
        parallel = min(self.workers, len(splits)) > 1
        apart = parallel and not getattr(task, "releases_interpreter", True)
        return (self.processes if apart else self.threads).map(task, splits)
