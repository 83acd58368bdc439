"""``scoreline models``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scoreline.cli import options

if TYPE_CHECKING:
    from scoreline.models.trust import Trust

_JOB = click.option("--job", metavar="JOB", help="The job whose home keeps the record; else SCORELINE_HOME.")
_MODEL = click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.group()
def models() -> None:
    """Trust and inspect model files.

    A pickle runs code when it is loaded, so Scoreline loads only what somebody has trusted: a digest by `models trust`,
    or the files of a folder that the job names in trust= and that only its owner can write to.
    """


@models.command()
@_MODEL
@_JOB
@options.SET
@options.JSON
def trust(model: Path, job: str | None, settings: tuple[str, ...], *, as_json: bool) -> None:
    """Trust MODEL as it is now, by its digest."""
    from scoreline.cli import show
    from scoreline.durable import sha256_of

    entry = _trust(job, settings).add(sha256_of(model), model.absolute())
    if as_json:
        show.print_json(entry)
    else:
        click.echo(
            f"trusted {entry['digest']}\n  {entry['path']}, by {entry['by']} on {entry['host']} at {entry['at']}"
        )


@models.command()
@_MODEL
@_JOB
@options.SET
@options.JSON
def inspect(model: Path, job: str | None, settings: tuple[str, ...], *, as_json: bool) -> None:
    """Show what MODEL is. Unless it is trusted it is not loaded: only the names that it would import are read."""
    from scoreline.cli import show
    from scoreline.durable import sha256_of
    from scoreline.models.inspect import pickled_names

    known, digest = _trust(job, settings), sha256_of(model)
    reason = known.reason(digest, model.absolute())
    names, whole = pickled_names(model)
    facts = {
        "path": str(model.absolute()),
        "bytes": model.stat().st_size,
        "digest": digest,
        "trusted": reason or "no",
        "imports": names if whole else [*names, "... and perhaps others (it cannot be told without loading it)"],
    }
    if reason is not None:
        from scoreline.models.kept import describe_file

        facts |= describe_file(model)
    if as_json:
        show.print_json(facts)
        return
    for name, value in facts.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        click.echo(f"{name:<10} {shown}")


def _trust(job: str | None, settings: tuple[str, ...]) -> Trust:
    from scoreline.config import load
    from scoreline.models.trust import Trust, folders_of

    if job is not None:
        loaded = load(job, settings=options.parsed(settings))
        return Trust(loaded.home, folders_of(loaded.folder, loaded.job.trust))
    if home := os.environ.get("SCORELINE_HOME"):
        return Trust(Path(home).expanduser().absolute())
    raise click.UsageError("name the job with --job JOB, or set SCORELINE_HOME")
