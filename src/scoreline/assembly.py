"""Assembly: the objects that a door has put together for one job; the stages receive it and assemble nothing."""

from __future__ import annotations

import logging
import shlex
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from scoreline.abc import Engine, Event, Ledger, ModelStore, ModelVersion, ModelWriter, Observer, Registry, Sink, Source
from scoreline.job import Job
from scoreline.record import RunHandle

Found = TypeVar("Found")
_WITH_MODEL = {"run", "plan", "backfill", "train", "check", "doctor", "quarantine replay"}
"""Commands that take ``--model``."""
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
        self._coming: dict[object, Future[Any]] = {}
        self._lock = threading.RLock()

    def begin(self, what: object, find: Callable[[], Any]) -> None:
        """Lets a thread find it meanwhile, where it is slow to come and sure to be asked for; `get` waits for it."""
        with self._lock:
            if what in self._found or what in self._coming:
                return
            coming: Future[Any] = Future()
            self._coming[what] = coming
        # Nobody may ever ask, and Python does not wait for it at its end.
        threading.Thread(target=_settle, args=(coming, find), daemon=True).start()

    def get(self, what: object, find: Callable[[], Found]) -> Found:
        """What was found under this key, or what ``find`` finds now; what it raises is kept nowhere."""
        with self._lock:
            if what not in self._found:
                coming = self._coming.pop(what, None)
                self._found[what] = find() if coming is None else coming.result()
            found: Found = self._found[what]
            return found


def _settle(future: Future[Any], find: Callable[[], Any]) -> None:
    try:
        future.set_result(find())
    except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
        future.set_exception(error)


def _now() -> datetime:
    return datetime.now(UTC)


def called(job: Path | None) -> str:
    """A job as a command names it: one that comes along by its name, any other by its file; made in Python, ``JOB``."""
    if job is None:
        return "JOB"
    return job.parent.name if job.parent.parent == _COME_ALONG else str(job)


def command(job: Path | None, words: str, *rest: object, invocation: Sequence[str] = ()) -> str:
    """A command about a job as a shell takes it, with those of the options that made the job that it knows."""
    options = invocation if words in _WITH_MODEL else without_model(invocation)
    return shlex.join(["scoreline", *words.split(), called(job), *map(str, rest), *options])


def without_model(invocation: Sequence[str]) -> list[str]:
    """The options that make a job, for commands that need no model."""
    pairs = zip(invocation[::2], invocation[1::2], strict=True)
    return [word for pair in pairs if pair[0] != "--model" for word in pair]


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
        verify_model: whether a compiled form is compared with its model again, although an earlier run has done so.
        compiles: whether models become compiled forms at all.
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
    verify_model: bool = False
    compiles: bool = True
    job_file: Path | None = None
    once: Once = field(default_factory=Once, compare=False, repr=False)

    def command(self, words: str, *rest: object) -> str:
        """What to type next for this job, such as ``scoreline run job.py 2021-02``, with the options it was made by."""
        return command(self.job_file, words, *rest, invocation=self.invocation)

    def release_command(self, run_id: str) -> str:
        """What to type to publish a refused run."""
        job = ["--job", called(self.job_file)] if self.job_file else []
        return shlex.join(["scoreline", "release", run_id, *job])

    def notify(self, kind: str, handle: RunHandle, **facts: Any) -> None:
        """Tells all observers; none of them can fail a run."""
        for observer in self.observers:
            try:
                observer.on(Event(kind, handle, facts))
            except Exception:  # noqa: BLE001 - whatever an observer raises, it is no part of the run
                _log.exception("an observer failed; the run goes on")


@dataclass(frozen=True)
class Bench:
    """What training needs beside a job's assembly.

    Attributes:
        assembly: the job's objects; source and models are used.
        writer: writes the model.
        registry: keeps it; None only tries.
        folder: of the job, whose modules ``fit`` may import.
        vouch: trusts a kept model here, so that its owner can score with what he has just trained.
    """

    assembly: Assembly
    writer: ModelWriter
    registry: Registry | None
    folder: Path
    vouch: Callable[[ModelVersion], object] = lambda _: None
