"""``scoreline prune``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from scoreline.cli import options

if TYPE_CHECKING:
    from scoreline.retention import PruneReport


@click.command()
@options.JOB_OR_NONE
@click.option("--dry-run", is_flag=True, help="Only tell what would go; the numbers are those of the real thing.")
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    metavar="DAYS",
    help="Let partitions expire so long after their publication, whatever the job declares.",
)
@options.SET
@options.JSON
def prune(
    job: str | None, settings: tuple[str, ...], *, dry_run: bool, older_than: float | None, as_json: bool
) -> None:
    """Remove what JOB has kept for long enough: published partitions, and what runs have left behind.

    How long is said by the job's `retention`; a job without one keeps its publications for ever. What goes is first
    marked expired, so that nobody takes it for missing: only --force scores it again, or other files that arrive for
    it in an inbox. The newest published partition stays, and so does what a run works on, what can still be released,
    and every file that Scoreline did not write. Without JOB, all jobs of the ledger in SCORELINE_HOME.

    \b
      scoreline prune job.py --dry-run
      scoreline prune job.py --older-than 90
    """  # noqa: D301 - click wants the control character itself
    from scoreline.api.cleaning import prune as prune_api
    from scoreline.cli import show

    report = prune_api(job, older_than=older_than, dry_run=dry_run, settings=options.parsed(settings))
    if as_json:
        show.print_json(report.to_dict())
    else:
        _print(report)
    for one in report.failed:
        click.echo(f"Error: {one.job} {one.partition} {one.kind}: {one.why}", err=True)
    sys.exit(1 if report.failed else 0)


def _print(report: PruneReport) -> None:
    from scoreline.cli import show

    kinds = report.by_kind()
    if kinds:
        rows = [(kind, f"{found['files']:,}", _megabytes(found["megabytes"])) for kind, found in kinds.items()]
        show.print_table(
            ("kind", "files", "MB"), [*rows, ("all", f"{len(report.removed):,}", _megabytes(report.megabytes))]
        )
        click.echo()
    does, done = ("would be", "would expire") if report.dry_run else ("are", "have expired")
    if report.expired:
        click.echo(f"{len(report.expired)} partitions {done}: {', '.join(report.expired)}")
    if report.removed:
        click.echo(f"{len(report.removed):,} files {does} removed, {_megabytes(report.megabytes)} MB freed")
    else:
        click.echo("nothing is old enough to be removed")
    if report.young:
        click.echo(f"kept: {report.young:,} publications that are not old enough")
    for one in report.kept:
        click.echo(f"kept: {one.job} {one.partition} {one.kind}: {one.why}")


def _megabytes(amount: float) -> str:
    return f"{amount:,.1f}" if amount >= 10 else f"{amount:.3f}"
