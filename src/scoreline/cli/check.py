"""``scoreline check``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from scoreline.cli import options

if TYPE_CHECKING:
    from scoreline.check import Checked

_MARKS = {True: "ok  ", False: "FAIL", None: "--  "}


@click.command()
@options.JOB
@click.argument("partition", required=False)
@options.MODEL
@options.ACCEPT_VERSION
@options.SET
@options.JSON
def check(
    job: str,
    partition: str | None,
    model: str | None,
    settings: tuple[str, ...],
    *,
    accept_version: bool,
    as_json: bool,
) -> None:
    """Try JOB without a run: its declaration, its model, its input, and its first rows.

    The first rows of PARTITION (by default the newest that is there) show that every feature, filter and output column
    looks at its own row only, and that an accelerated model agrees with the original.
    """
    from scoreline.assemble import Choices, assemble
    from scoreline.check import check as check_core
    from scoreline.cli import show
    from scoreline.config import load
    from scoreline.ledgers.memory import MemoryLedger

    loaded = load(job, settings=options.parsed(settings), model=model)
    chosen = loaded.job.grid.parse(partition) if partition else None
    findings = check_core(assemble(loaded, Choices(ledger=MemoryLedger(), accept_version=accept_version)), chosen)
    if as_json:
        show.print_json([finding.to_dict() for finding in findings])
    else:
        print_findings(findings)
    sys.exit(1 if any(finding.ok is False for finding in findings) else 0)


def print_findings(findings: Sequence[Checked]) -> None:
    """Prints one line for each finding, and what to do about it."""
    for finding in findings:
        click.echo(f"{_MARKS[finding.ok]}  {finding.name:<12} {finding.detail}")
        if finding.hint:
            click.echo(f"{'':<18} Hint: {finding.hint}")
