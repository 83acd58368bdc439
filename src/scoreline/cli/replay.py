"""``scoreline quarantine replay``, ``corrections`` and ``withdraw``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scoreline.cli import options

if TYPE_CHECKING:
    from scoreline.corrections import Correction
    from scoreline.replaying import Replayed


@click.command()
@options.JOB
@click.argument("partition")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would become of the corrected rows; record nothing.")
@options.ENGINE
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Splits at a time; by default one per core.")
@options.MODEL
@options.ACCEPT_VERSION
@options.SET
@click.option("--no-wait", is_flag=True, help="Do not wait for another run of the partition: exit 75 at once.")
@options.JSON
def replay(job: str, partition: str, file: Path, *, as_json: bool, **chosen: Any) -> None:
    """Record the corrected rows of FILE as a part of PARTITION's input, and score the partition with them.

    FILE is .csv or .parquet, as `quarantine show --output` writes it: the columns scoreline.file and scoreline.row say
    which input row is meant, the others are values of it. In a CSV an empty cell is a missing value. All of FILE is
    checked before anything is recorded; the input itself is never written to. Later runs include the corrections, until
    they are withdrawn; where two give the same value, the later one counts. If the input file changes, runs are refused
    until they are withdrawn.

    \b
      scoreline quarantine replay job.py 2021-02 fixes.csv --dry-run
      scoreline quarantine replay job.py 2021-02 fixes.csv
    """  # noqa: D301 - click wants the control character itself
    from scoreline.api.correcting import replay as replay_api
    from scoreline.cli import show

    chosen["settings"] = options.parsed(chosen["settings"])
    wait = not chosen.pop("no_wait")
    observers = () if chosen["dry_run"] else (show.progress(),)
    done = replay_api(job, partition, file, wait=wait, told=_tell_recorded, observers=observers, **chosen)
    if as_json:
        show.print_json(done.to_dict())
        return
    _print_expected(done)
    if done.run is not None:
        show.print_report(done.run)


def _tell_recorded(done: Replayed) -> None:
    one = done.correction
    assert one is not None
    what = "recorded" if done.new else f"were recorded already, at {one.at}"
    click.echo(f"corrections {one.id} {what}: {one.rows:,} rows, by {one.by}", file=sys.stderr)


def _print_expected(done: Replayed) -> None:
    counts, rows = done.checked.counts, done.checked.rows.height
    said = [f"{counts.scored:,} pass"]
    said += [f"{count:,} filtered by {name}" for name, count in counts.filtered.items() if count]
    if counts.quarantined:
        why = ", ".join(f"{name} {count:,}" for name, count in counts.reasons.items())
        said.append(f"{counts.quarantined:,} still rejected ({why})")
    unchanged = f"; {done.checked.unchanged:,} more are as the input has them" if done.checked.unchanged else ""
    click.echo(f"{rows:,} rows corrected: {', '.join(said)}{unchanged}")
    if done.run is None:
        click.echo("dry run: nothing recorded, nothing published")


@click.command()
@options.JOB
@click.argument("partition", required=False)
@options.SET
@options.JSON
def corrections(job: str, partition: str | None, settings: tuple[str, ...], *, as_json: bool) -> None:
    """List the corrections that were recorded: who, when, which rows, and whether they are in force."""
    from scoreline.cli import show
    from scoreline.config import load
    from scoreline.corrections import Corrections

    loaded = load(job, settings=options.parsed(settings))
    book = Corrections(loaded.home, loaded.job.key)
    slugs = [loaded.job.grid.parse(partition).slug] if partition else book.partitions()
    found = [(slug, one) for slug in slugs for one in book.recorded(slug)]
    if as_json:
        show.print_json([{"partition": slug, **one.to_dict()} for slug, one in found])
    elif found:
        columns = ("partition", "id", "state", "rows", "columns", "by", "at", "file")
        show.print_table(columns, [(slug, *_cells(one)) for slug, one in found])
    else:
        click.echo("no corrections are recorded")


def _cells(one: Correction) -> tuple[str, ...]:
    taken = one.withdrawn
    state = f"withdrawn by {taken['by']} at {taken['at'][:19]}Z" if taken else "in force"
    return one.id, state, f"{one.rows:,}", ", ".join(one.columns), one.by, f"{one.at[:19]}Z", one.came_from


@click.command()
@options.JOB
@click.argument("partition")
@click.argument("correction", metavar="[ID]", required=False)
@options.SET
@options.JSON
def withdraw(job: str, partition: str, correction: str | None, settings: tuple[str, ...], *, as_json: bool) -> None:
    """Take corrections of PARTITION back, all of them or the one with this ID; the partition is due again.

    They stay on record, with who took them back and when.
    """
    from scoreline.assemble import assemble
    from scoreline.cli import show
    from scoreline.config import load
    from scoreline.replaying import withdraw as withdraw_core

    loaded = load(job, settings=options.parsed(settings))
    chosen = loaded.job.grid.parse(partition)
    taken = withdraw_core(assemble(loaded), chosen, correction)
    if as_json:
        show.print_json([one.to_dict() for one in taken])
        return
    for one in taken:
        click.echo(f"corrections {one.id} are withdrawn: {one.rows:,} rows, recorded by {one.by} at {one.at}")
    click.echo("Next: " + shlex.join(["scoreline", "run", job, chosen.slug, *loaded.invocation]))
