"""``scoreline quarantine``."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import click

from scoreline.cli import options
from scoreline.errors import InputMissing

if TYPE_CHECKING:
    from scoreline.config import Loaded
    from scoreline.quarantine import Quarantined


@click.group()
def quarantine() -> None:
    """List and show the rows that were rejected, with all their reasons, input file and row number.

    Rejected rows are never dropped: each run that has some keeps them in one Parquet file of its own.
    """


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
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="At most N rows.")
@options.SET
@options.JSON
def show_(
    job: str,
    partition: str,
    run_id: str | None,
    reason: str | None,
    limit: int,
    settings: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Show rejected rows of a partition: their values as read, reasons, input file and row number."""
    import polars as pl

    from scoreline.quarantine import rows

    loaded = _load(job, settings)
    # Without a run, what a newer one has replaced is not shown as if it were still so.
    of_every = _listed(loaded, partition, every=run_id is not None)
    found = [one for one in of_every if run_id in {None, one.run_id}]
    if not found:
        raise InputMissing(
            f"nothing is in quarantine for {partition}" + (f" and run {run_id}" if run_id else ""),
            hint=_command("list", job, "--all", *loaded.invocation),
        )
    frame = rows(found[-1], limit, reason)
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


def _command(name: str, *words: str) -> str:
    return shlex.join(["scoreline", "quarantine", name, *words])


def _load(job: str, settings: tuple[str, ...]) -> Loaded:
    from scoreline.config import load

    return load(job, settings=options.parsed(settings))


def _listed(loaded: Loaded, partition: str | None, *, every: bool) -> list[Quarantined]:
    from scoreline.assemble import ledger_of
    from scoreline.quarantine import listed

    if not (loaded.home / "ledger.sqlite").exists():
        return []
    slug = loaded.job.grid.parse(partition).slug if partition else None
    return listed(loaded.home, ledger_of(loaded.home), loaded.job.key, slug, every=every)
