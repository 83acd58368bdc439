"""``scoreline quarantine``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scoreline.cli import options
from scoreline.cli.replay import corrections, replay, withdraw
from scoreline.errors import InputMissing

_SHOWN = 20

if TYPE_CHECKING:
    from scoreline.config import Loaded
    from scoreline.quarantine import Quarantined


@click.group()
def quarantine() -> None:
    """Look at the rows that were rejected, and replay corrected ones.

    Rejected rows are never dropped: each run that has some keeps them in one Parquet file of its own, with all their
    reasons, input file and row number. To mend some: write them to a file, edit the values, replay the file.

    \b
      scoreline quarantine list job.py
      scoreline quarantine show job.py 2021-02 --output fixes.csv
      scoreline quarantine replay job.py 2021-02 fixes.csv
    """  # noqa: D301 - click wants the control character itself


@quarantine.command("list")
@options.JOB
@click.argument("partition", required=False)
@click.option("--all", "every", is_flag=True, help="Of every run, not only the newest of each partition.")
@options.SET
@options.JSON
def list_(job: str, partition: str | None, settings: tuple[str, ...], *, every: bool, as_json: bool) -> None:
    """List what is in quarantine, by partition."""
    from scoreline.cli import show

    loaded = _load(job, settings)
    found = _listed(loaded, partition, every=every)
    if as_json:
        show.print_json([one.to_dict() for one in found])
        return
    if not found:
        click.echo("nothing is in quarantine")
        return
    reasons = [", ".join(f"{name} {count:,}" for name, count in one.reasons.items()) for one in found]
    table = [
        (one.partition, one.state, f"{one.rows:,}", why, one.run_id) for one, why in zip(found, reasons, strict=True)
    ]
    show.print_table(("partition", "state", "rows", "reasons", "run"), table)
    last = found[-1]
    chosen = ["--run", last.run_id] if every else []
    click.echo("\n" + _command("show", job, last.partition, *chosen, *loaded.invocation))


@quarantine.command("show")
@options.JOB
@click.argument("partition")
@click.option("--run", "run_id", metavar="RUN", help="Of this run instead of the newest one.")
@click.option("--reason", help="Only rows with this reason, as `quarantine list` writes it.")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="At most N rows; by default 20, and all with --output."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the rows to a new .csv or .parquet, to be edited and replayed.",
)
@options.SET
@options.JSON
def show_(
    job: str,
    partition: str,
    run_id: str | None,
    reason: str | None,
    limit: int | None,
    output: Path | None,
    settings: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Show rejected rows of a partition: their values as read, reasons, input file and row number."""
    import polars as pl

    from scoreline.quarantine import rows, write_editable

    loaded = _load(job, settings)
    # Without a run, what a newer one has replaced is not shown as if it were still so.
    of_every = _listed(loaded, partition, every=run_id is not None)
    found = [one for one in of_every if run_id in {None, one.run_id}]
    if not found:
        raise InputMissing(
            f"nothing is in quarantine for {partition}" + (f" and run {run_id}" if run_id else ""),
            hint=_command("list", job, "--all", *loaded.invocation),
        )
    frame = rows(found[-1], limit or (None if output else _SHOWN), reason)
    if output is not None:
        write_editable(frame, output)
        click.echo(f"{output}: {frame.height:,} of {found[-1].rows:,} rejected rows of run {found[-1].run_id}")
        click.echo("Correct the values that are wrong, remove the rows that shall stay rejected, then:")
        click.echo(_command("replay", job, partition, str(output), *_invocation(loaded, found[-1])))
        return
    if as_json:
        click.echo(frame.write_ndjson(), nl=False)
        return
    with pl.Config(
        tbl_rows=frame.height,
        tbl_cols=frame.width,
        tbl_width_chars=220,
        fmt_str_lengths=120,
        fmt_table_cell_list_len=10,
    ):
        click.echo(str(frame))
    click.echo(f"{found[-1].path}: {found[-1].rows:,} rows; this shows {frame.height:,}", file=sys.stderr)
    mending = _command("show", job, partition, "--output", "fixes.csv", *loaded.invocation)
    click.echo(f"To correct some of them: {mending}", file=sys.stderr)


for command in (replay, corrections, withdraw):
    quarantine.add_command(command)


def _command(name: str, *words: str) -> str:
    return shlex.join(["scoreline", "quarantine", name, *words])


def _invocation(loaded: Loaded, found: Quarantined) -> list[str]:
    """Options of the run that rejected the rows, so that the replay has the same job and model."""
    from scoreline.assemble import ledger_of

    (run,) = ledger_of(loaded.home).runs(found.job, found.partition, run_id=found.run_id)
    return list(run.facts.get("invocation", loaded.invocation))


def _load(job: str, settings: tuple[str, ...]) -> Loaded:
    from scoreline.config import load

    return load(job, settings=options.parsed(settings))


def _listed(loaded: Loaded, partition: str | None, *, every: bool) -> list[Quarantined]:
    from scoreline.assemble import recorded
    from scoreline.quarantine import listed

    slug = loaded.job.grid.parse(partition).slug if partition else None
    return listed(loaded.home, recorded(loaded.home), loaded.job.key, slug, every=every)
