"""``scoreline init``."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from scoreline.cli import options

if TYPE_CHECKING:
    from scoreline.matching import Missing
    from scoreline.starting import Started


@click.command()
@click.argument("folder")
@click.option("--data", required=True, metavar="FILE", help="Some rows of the kind to score: Parquet, CSV, JSON lines.")
@click.option("--model", required=True, metavar="MODEL", help="Your trained model: a file, a folder, or a URI.")
@click.option("--trust", is_flag=True, help="Trust the model as it is now: loading a pickle runs its code.")
@click.option("--features", metavar="A,B,C", help="Columns that the model reads, in order, where it does not tell.")
@click.option(
    "--feature",
    "given",
    multiple=True,
    metavar="INPUT=COLUMN[,COLUMN]",
    help="The column that gives an input of the model, or two that are joined to it; may be repeated.",
)
@click.option("--id", "row_id", metavar="COLUMN", help="The column that identifies rows; else they are numbered.")
@click.option("--name", metavar="NAME", help="Name of the job; by default that of FOLDER.")
@click.option("--force", is_flag=True, help="Replace a job file that is there.")
@options.JSON
def init(
    folder: str, *, data: str, model: str, features: str | None, given: tuple[str, ...], as_json: bool, **chosen: Any
) -> None:
    """Make a job in FOLDER for your own model and data: job.py, with a contract that your data suggests.

    What the model wants is matched with the columns of FILE, also where two columns were joined to one category. The
    data stays where it is, and files that are put beside it later are partitions too: a date in its name tells that
    there is one for each month or day.

    \b
      scoreline init trips --data ~/trips_2024-06.csv --model ~/model.pkl --trust
      scoreline init trips --data trips.parquet --model models:/trips@champion --id trip_id
    """  # noqa: D301 - click wants the control character itself
    from scoreline.cli import show
    from scoreline.starting import start

    columns = {name: _listed(text) for name, text in options.parsed(given, "--feature").items()}
    started = start(folder, data, model, features=_listed(features or ""), given=columns, **chosen)
    if as_json:
        show.print_json(_form(started))
    else:
        _print(started)
    sys.exit(0 if started.is_ready else 1)


def _listed(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _form(started: Started) -> dict[str, Any]:
    from dataclasses import asdict

    made = started.draft
    return {
        "job": str(started.file),
        "partition": made.partition,
        "grid": made.grid,
        "contract": [asdict(used) for used in made.contract],
        "missing": [asdict(one) for one in made.missing],
        "findings": [finding.to_dict() for finding in started.findings],
        "ready": started.is_ready,
    }


def _print(started: Started) -> None:
    from scoreline.cli import show
    from scoreline.cli.check import print_findings

    made = started.draft
    click.echo(f"{show.quoted(started.file)}\n")
    rows = [
        (used.name, used.dtype.removeprefix("pl."), "yes" if used.nullable else "no", used.seen, used.use)
        for used in made.contract
    ]
    show.print_table(("column", "type", "may be missing", "seen", "used as"), rows)
    click.echo("")
    print_findings(started.findings)
    for one in made.missing:
        click.echo(f"\n{_open(one)}")
    if made.missing:
        click.echo(f"\nColumns of the data: {', '.join(made.columns)}")
    click.echo("\nNext:" if started.is_ready else "\nThen:")
    job = show.quoted(started.file.parent)
    if not started.is_ready:
        click.echo(f"  scoreline check {job}")
    click.echo(f"  scoreline run {job} {made.partition} --limit 5 --preview")
    click.echo(f"  scoreline run {job} {made.partition}")


def _open(missing: Missing) -> str:
    """What to do about an input that the draft leaves open."""
    if missing.options:
        ways = "\n".join(f"  --feature {shlex.quote(f'{missing.name}={option}')}" for option in missing.options)
        return f"The model's {missing.name} may come from several columns. Say which, with --force:\n{ways}"
    return (
        f"No column gives the model's {missing.name}. Name it with --feature "
        f"{shlex.quote(f'{missing.name}=COLUMN')} --force,\n"
        f'or add it to features=[...] in the job file, such as sl.expression("{missing.name}", pl.col(...) ...).'
    )
