"""``scoreline doctor``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from scoreline.cli import options

if TYPE_CHECKING:
    from scoreline.health import Finding


@click.command()
@options.JOB_OR_NONE
@options.MODEL
@options.SET
@options.JSON
def doctor(job: str | None, model: str | None, settings: tuple[str, ...], *, as_json: bool) -> None:
    """Explain what is wrong, and name the next command for each thing that is.

    Without JOB: Python, libraries, memory, clock, and the home where SCORELINE_HOME names one. With JOB also its
    declaration, input, output, model, trust, ledger and runs. It runs nothing, and loads no model. Exit code 1 where
    there is a problem.
    """
    from scoreline.cli import show
    from scoreline.health import PROBLEM

    findings = list(_findings(job, model, options.parsed(settings)))
    if as_json:
        show.print_json([finding.to_dict() for finding in findings])
    else:
        for finding in findings:
            click.echo(f"{finding.state:<8} {finding.name:<12} {finding.detail}")
            if finding.next:
                click.echo(f"{'':<21} Next: {finding.next}")
    sys.exit(1 if any(finding.state == PROBLEM for finding in findings) else 0)


def _findings(job: str | None, model: str | None, settings: dict[str, str]) -> Iterator[Finding]:
    from scoreline import health

    yield from health.installation()
    # Where a library is missing, this import fails: after it was told which.
    from scoreline.config import home_named

    if job is not None:
        yield from _of_job(job, model, settings)
    elif home := home_named():
        from scoreline.doctor import of_home

        yield from of_home(home)


def _of_job(job: str, model: str | None, settings: dict[str, str]) -> Iterator[Finding]:
    from scoreline.assemble import Choices, assemble
    from scoreline.config import load
    from scoreline.doctor import of_job
    from scoreline.errors import ScorelineError
    from scoreline.health import PROBLEM, Finding
    from scoreline.ledgers.memory import MemoryLedger

    try:
        loaded = load(job, settings=settings, model=model)
    except ScorelineError as error:
        yield Finding("job", PROBLEM, error.message, error.hint)
        return
    yield from of_job(loaded, job, lambda: assemble(loaded, Choices(ledger=MemoryLedger())))
