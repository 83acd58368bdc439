"""What to do about a partition that is not published: the same words wherever its state is shown."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scoreline.assembly import without_model
from scoreline.errors import for_job

NO_INPUT = "no input"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is known of a partition that is not as it should be.

    Attributes:
        job: as the user typed it.
        partition: slug.
        invocation: options that made the job.
        run_id: the run that ended so.
        error: type, message and hint.
        refusals: what the gates said.
        quarantine: file with the rejected rows.
        published_run: the run whose content stands published.
        unstaged: what it had staged was removed, so that it cannot be released any more.
    """

    job: str
    partition: str
    invocation: Sequence[str] = ()
    run_id: str | None = None
    error: dict[str, Any] | None = None
    refusals: Sequence[str] = ()
    quarantine: str | None = None
    published_run: str | None = None
    unstaged: bool = False

    @property
    def again(self) -> str:
        """The command that scores the partition."""
        return shlex.join(["scoreline", "run", self.job, self.partition, *self.invocation])

    @property
    def standing(self) -> list[str]:
        """That an older content is still published."""
        return [f"  Still published: run {self.published_run}"] if self.published_run else []


def refused(trouble: Trouble) -> str:
    """Why a gate refused, where the rows are, and both ways on."""
    lines = ["; ".join(trouble.refusals) or "a gate refused it"]
    if trouble.quarantine:
        lines.append(f"  The rows and their reasons: {trouble.quarantine}")
        fixes = ["--output", "fixes.csv", *without_model(trouble.invocation)]
        export = shlex.join(["scoreline", "quarantine", "show", trouble.job, trouble.partition, *fixes])
        lines.append(f"  To correct some of them: {export}")
    release = shlex.join(["scoreline", "release", trouble.run_id or "RUN", "--job", trouble.job])
    mended = f"  Next: mend its input, or widen the job's gates, then: {trouble.again}"
    either = [] if trouble.unstaged else [f"  Or publish it as it is: {release}"]
    return "\n".join([*lines, *trouble.standing, mended, *either])


def stopped(trouble: Trouble) -> str:
    """What stopped it, and the command that tries again."""
    error = trouble.error or {}
    lines = [str(error.get("message", "it ended without a word"))]
    if error.get("hint"):
        lines.append(f"  Hint: {for_job(error['hint'], trouble.job)}")
    waits = error.get("type") == "InputMissing"
    return "\n".join([*lines, *trouble.standing, f"  {'Once it is there' if waits else 'Then'}: {trouble.again}"])


def state_of(state: str, error: dict[str, Any] | None) -> str:
    """A failed run's state as people read it: that there was no input yet is no failure."""
    return NO_INPUT if state == "failed" and (error or {}).get("type") == "InputMissing" else state
