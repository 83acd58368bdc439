"""Usage: what a run has taken of the machine, as the system counts it for this process and those that it has ended."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass, field

from scoreline.resources import memory_peak


def _cpu_seconds() -> float:
    own, ended = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime


@dataclass(frozen=True, slots=True)
class Meter:
    """Begins to count when it is made."""

    _wall: float = field(default_factory=time.perf_counter)
    _cpu: float = field(default_factory=_cpu_seconds)

    def facts(self) -> dict[str, float]:
        """Wall and CPU seconds since then, and the largest memory since the process began, in millions of bytes.

        ``peak_worker_memory_mb`` is that of the largest worker process which has ended. Not counted: other runs apart,
        where a process has several at a time.
        """
        # The system's own record of a process begins with the peak of the one that started it.
        own, ended = memory_peak() or 0, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        return {
            "seconds": round(time.perf_counter() - self._wall, 4),
            "cpu_seconds": round(_cpu_seconds() - self._cpu, 4),
            "peak_memory_mb": round(own / 1e6, 1),
            "peak_worker_memory_mb": round(ended / 1e6, 1),
        }
