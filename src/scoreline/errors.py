"""The tree of errors: what went wrong, whether a retry can help, and what to do next.

An error is Terminal (the same call fails again) or Transient (it may pass later); nothing else decides about
retry and exit code. Facts are attributes, the hint names the exact command or setting, and both survive pickling,
because errors travel back from worker processes. This module must not know any other.
"""

from __future__ import annotations

import errno
import re
import shlex
from typing import Any


class ScorelineError(Exception):
    """Base of all errors that Scoreline raises on purpose.

    Args:
        message: what happened; by default the first line of the class's docstring.
        hint: what the user can do next, with the exact command or setting.
        facts: names and values of this event (path, rows, host ...), kept as ``facts`` and as attributes.
    """

    exit_code = 1

    def __init__(self, message: str | None = None, *, hint: str | None = None, **facts: Any) -> None:
        self.message = message or (type(self).__doc__ or type(self).__name__).strip().splitlines()[0]
        self.hint = hint
        self.facts = facts
        super().__init__(self.message)

    def __getattr__(self, name: str) -> Any:
        facts = self.__dict__.get("facts", {})
        if name in facts:
            return facts[name]
        raise AttributeError(name)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.hint, self.facts))

    def __str__(self) -> str:
        return f"{self.message}\n  Hint: {self.hint}" if self.hint else self.message


def for_job(hint: str | None, job: str | None) -> str | None:
    """A hint whose commands name the job, where it says JOB because who wrote it cannot know the name."""
    return re.sub(r"(?<= )JOB\b", lambda _: shlex.quote(job), hint) if hint and job else hint


def _rebuild(kind: type[ScorelineError], message: str, hint: str | None, facts: dict[str, Any]) -> ScorelineError:
    return kind(message, hint=hint, **facts)


class Terminal(ScorelineError):
    """The same call would fail again."""

    exit_code = 1


class Transient(ScorelineError):
    """It may pass later: retry."""

    exit_code = 75


class UsageError(Terminal):
    """The call itself is wrong."""

    exit_code = 2


class JobError(Terminal):
    """The job's declaration cannot be used."""


class MissingExtra(Terminal):
    """A library that this job needs is not installed."""


class InputMissing(Transient):
    """The input of this partition is not there (yet)."""


class InputChanged(Transient):
    """An input file changed while it was being read."""


class InputInvalid(Terminal):
    """The input cannot be read as declared."""


class CorrectionsInvalid(Terminal):
    """The corrections cannot be used as they are; nothing was recorded."""


class CorrectionsOutdated(InputInvalid):
    """Rows were corrected of an input file that is not the same any more."""


class LossyCast(Terminal):
    """A value does not fit the declared output type."""


class NotRowWise(Terminal):
    """An expression looks at more than its own row."""


class ConservationBroken(Terminal):
    """Rows in are not rows scored + filtered + quarantined."""


class ModelMissing(Terminal):
    """There is no model at this place."""


class ModelUnreachable(Transient):
    """The server that keeps the model does not answer."""


class ModelUntrusted(Terminal):
    """This model is a pickle that nobody has trusted; loading it would run its code."""


class ModelInvalid(Terminal):
    """The model cannot score what the job declares."""


class ModelFailed(Terminal):
    """The model raised an error while scoring."""


class ModelOutdated(Terminal):
    """The model was made with other library versions, and nothing shows that it scores the same with these."""


class TrainingFailed(Terminal):
    """The job's fit made no model that can be kept."""


class Refused(Terminal):
    """A gate refused to publish what was scored; the old generation stands."""

    exit_code = 3


class NotReleasable(Terminal):
    """This run cannot be released."""


class PredictionMissing(Terminal):
    """Nothing is published under this key."""


class FilesDamaged(Terminal):
    """Files are not as Scoreline wrote them."""


class OutputForeign(Terminal):
    """The output path holds a file that Scoreline did not publish."""


class StagingLost(Transient):
    """Staged files of this run are gone."""


class StorageUnfit(Terminal):
    """This folder cannot hold what Scoreline must keep there."""


class StorageFailed(Transient):
    """The disk or its permissions stopped this run."""


class Busy(Transient):
    """Another run holds this partition."""


class LeaseLost(Transient):
    """This run's lease was taken over, so it may not publish."""


class LedgerFailed(Transient):
    """The ledger could not be read or written."""


class MemoryShort(Transient):
    """The memory that a run may use is not enough."""


class SplitHung(Transient):
    """A split took longer than it may."""


class WorkerDied(Transient):
    """A worker process ended without a word."""


class Cancelled(Transient):
    """The run was cancelled; nothing was published."""


def storage_failed(error: OSError | MemoryError) -> StorageFailed | MemoryShort:
    """What an operating-system error means to a run, and what a lack of memory does."""
    if isinstance(error, MemoryError) or error.errno == errno.ENOMEM:
        return MemoryShort(
            f"memory ran out: {str(error) or 'Python had none left'}",
            hint="run the same command again when less is going on here, or where there is more memory",
        )
    return StorageFailed(
        f"{error.strerror or error}: {error.filename or 'no file named'}",
        hint="check space and permissions (df -h, ls -l), then run the same command again",
    )
