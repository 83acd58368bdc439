"""``scoreline plan``."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from scoreline.cli import options

if TYPE_CHECKING:
    from scoreline.planning import Planned


@click.command()
@options.JOB
@options.RANGE
@options.STALE
@options.FORCE
@options.MODEL
@options.SET
@options.JSON
def plan(
    job: str,
    partitions: str | None,
    *,
    stale: bool,
    force: bool,
    model: str | None,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what `backfill` would score, and why; change nothing.

    RANGE is such as 2021-01..2021-06, both ends included, or one partition. Without it, from the job's start (else from
    the first partition whose input is there) to the last complete interval.

    \b
      scoreline plan job.py
      scoreline plan job.py 2021-01..2021-12 --stale
    """  # noqa: D301 - click wants the control character itself
    from scoreline.api.ranges import plan as plan_api
    from scoreline.cli import show

    chosen = {"model": model, "settings": options.parsed(settings), "stale": stale, "force": force}
    planned = plan_api(job, partitions, **chosen)  # type: ignore[arg-type]
    if as_json:
        show.print_json([one.to_dict() for one in planned])
        return
    typed = [*(["--model", model] if model else []), *(word for pair in settings for word in ("--set", pair))]
    flags = [*(["--stale"] if stale else []), *(["--force"] if force else [])]
    print_plan(
        planned, shlex.join(["scoreline", "backfill", job, *([partitions] if partitions else []), *flags, *typed])
    )


def print_plan(planned: Sequence[Planned], command: str) -> None:
    """Prints a plan, and the command that carries it out."""
    from scoreline.cli import show

    if not planned:
        click.echo("no partitions: no input is there yet, or the job's start is still to come")
        return
    rows = [
        (one.partition, one.state, "yes" if one.due else "-", "-" if one.rows is None else f"{one.rows:,}", one.reason)
        for one in planned
    ]
    show.print_table(("partition", "state", "due", "rows", "why"), rows)
    print_later([partition.slug for partition in planned[-1].later])
    states = ", ".join(f"{count} {state}" for state, count in Counter(one.state for one in planned).items())
    due = sum(one.due for one in planned)
    click.echo(f"\n{due} of {len(planned)} due ({states})")
    if due:
        click.echo(f"Next: {command}")


def print_later(slugs: Sequence[str]) -> None:
    """Says which partitions at the end were left out, as they have no input either."""
    if slugs:
        click.echo(f"and {len(slugs)} later {'one' if len(slugs) == 1 else 'ones'} up to {slugs[-1]}, without input")
