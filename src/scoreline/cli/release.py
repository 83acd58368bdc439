"""``scoreline release``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from scoreline.cli import options
from scoreline.errors import NotReleasable

if TYPE_CHECKING:
    from scoreline.config import Loaded
    from scoreline.record import RunRecord


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--job", metavar="JOB", help="The job of the run; else the one that the ledger in SCORELINE_HOME names.")
@options.JSON
def release(run: str, job: str | None, *, as_json: bool) -> None:
    """Publish what RUN has scored and a gate has refused, as it is.

    The ids of refused runs are shown by `scoreline status JOB`. What was published anew since then is not replaced.
    """
    from scoreline.assemble import Choices, assemble
    from scoreline.cli import show
    from scoreline.config import limits
    from scoreline.releasing import release as release_run
    from scoreline.watching import watched

    record, loaded = _found(run, job)
    with watched(loaded, ()) as hearing:
        chosen = Choices(observers=hearing, limits=limits(loaded.settings))
        report = release_run(assemble(loaded, chosen), record)
    if as_json:
        show.print_json(report.to_dict())
    else:
        show.print_report(report)


def _found(run: str, job: str | None) -> tuple[RunRecord, Loaded]:
    from scoreline.assemble import recorded
    from scoreline.config import load

    home = _home(job)
    found = recorded(home).runs(run_id=run, limit=1)
    if not found:
        raise NotReleasable(f"the ledger in {home} knows no run {run}", hint="scoreline status JOB shows the runs")
    record = found[0]
    file = job or record.facts.get("code", {}).get("job_file")
    if file is None:
        raise NotReleasable(f"run {run} is of a job that was made in Python", hint="name its file with --job JOB")
    settings, model = options.invoked(record.facts.get("invocation", ()))
    loaded = load(file, settings=settings, model=model, home=home)
    if loaded.job.key != record.job:
        raise NotReleasable(f"run {run} is of the job {record.job}, not of {loaded.job.key}")
    return record, loaded


def _home(job: str | None) -> Path:
    from scoreline.config import home_named, home_of

    if job is not None:
        return home_of(job)
    if home := home_named():
        return home
    raise click.UsageError("name the job with --job JOB, or set SCORELINE_HOME")
