"""Assembly: the objects that a door has put together for one job; the stages receive it and assemble nothing."""

from __future__ import annotations

import logging
import shlex
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from scoreline.abc import Engine, Event, Ledger, ModelStore, Observer, Sink, Source
from scoreline.job import Job
from scoreline.record import RunHandle

Found = TypeVar("Found")
_COME_ALONG = Path(__file__).absolute().parent / "jobs"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """Times of claims, in seconds.

    Attributes:
        lease: a claim of a process without a heartbeat.
        heartbeat: between two signs of life.
        park: a claim between two stages.
        wait: for a partition that another run holds; 0 does not wait.
    """

    lease: float = 60.0
    heartbeat: float = 10.0
    park: float = 900.0
    wait: float = 30.0


class Once:
    """What is the same for all runs of one assembly, and is found out by the first that asks."""

    def __init__(self) -> None:
        self._found: dict[object, Any] = {}
        self._lock = threading.RLock()

    def get(self, what: object, find: Callable[[], Found]) -> Found:
        """What was found under this key, or what ``find`` finds now; what it raises is kept nowhere."""
        with self._lock:
            if what not in self._found:
                self._found[what] = find()
            found: Found = self._found[what]
            return found


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Assembly:
    """What the stages of a run work with.

    Attributes:
        job: the declaration.
        home: Scoreline's folder.
        ledger: runs and claims.
        source: reads input.
        sinks: write output, in the job's order.
        models: resolves the job's model.
        engine: runs splits.
        observers: hear of it.
        limits: of claims.
        now: the wall clock, for what people read.
        invocation: options of the command that made this job, to be repeated in advice.
        cautious_sinks: the same sinks where ``sinks`` may replace what no run published; for healing.
        accept_version: whether a model that other library versions made may be used without golden rows.
        job_file: the job's file, for advice and the ledger; None for a job made in Python.
        once: what the runs of a backfill have in common.
    """

    job: Job
    home: Path
    ledger: Ledger
    source: Source
    sinks: tuple[Sink, ...]
    models: ModelStore
    engine: Engine
    observers: Sequence[Observer] = ()
    limits: Limits = field(default_factory=Limits)
    now: Callable[[], datetime] = _now
    invocation: tuple[str, ...] = ()
    cautious_sinks: tuple[Sink, ...] = ()
    accept_version: bool = False
    job_file: Path | None = None
    once: Once = field(default_factory=Once, compare=False, repr=False)

    @property
    def called(self) -> str:
        """The job as a command names it: one that comes along by its name, any other by its file."""
        if self.job_file is None:
            return "JOB"
        folder = self.job_file.parent
        return folder.name if folder.parent == _COME_ALONG else str(self.job_file)

    def release_command(self, run_id: str) -> str:
        """What to type to publish a refused run."""
        job = ["--job", self.called] if self.job_file else []
        return shlex.join(["scoreline", "release", run_id, *job])

    def notify(self, kind: str, handle: RunHandle, **facts: Any) -> None:
        """Tells all observers; none of them can fail a run."""
        for observer in self.observers:
            try:
                observer.on(Event(kind, handle, facts))
            except Exception:  # noqa: BLE001 - whatever an observer raises, it is no part of the run
                _log.exception("an observer failed; the run goes on")
