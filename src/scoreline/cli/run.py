"""``scoreline run``."""

from __future__ import annotations

from typing import Any

import click

from scoreline.cli import options


@click.command()
@options.JOB
@click.argument("partition", required=False)
@click.option("--force", is_flag=True, help="Score even what is current; replace a file that no run published.")
@click.option("--stale", is_flag=True, help="Without PARTITION: score also what another model or job has scored.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="With --preview: only the first N input rows.")
@click.option("--preview", is_flag=True, help="Print predictions and publish nothing.")
@click.option(
    "--input",
    type=click.Path(),
    metavar="FILE",
    help="Score this file, wherever it lies, as the whole input of PARTITION, else of the one that its name says.",
)
@options.ENGINE
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Splits at a time; by default one per core.")
@options.MODEL
@options.ACCEPT_VERSION
@options.VERIFY
@options.SET
@options.SIMULATE
@click.option("--no-wait", is_flag=True, help="Do not wait for another run of the partition: exit 75 at once.")
@options.JSON
def run(job: str, partition: str | None, *, limit: int | None, preview: bool, as_json: bool, **chosen: Any) -> None:
    """Score PARTITION of JOB and publish it, if it is due.

    A named partition is due when it is missing, when its input, model or job changed, or with --force. Without
    PARTITION the last complete interval is taken, or from an inbox the one file that is due.

    \b
      scoreline run job.py 2021-02
      scoreline run job.py 2021-02 --set data=/lake/green --model new.bin
      scoreline run job.py 2021-02 --limit 5 --preview
      scoreline run nyc_simulated --simulate
      scoreline run job.py 2021-02 --input /tmp/mended.parquet
    """  # noqa: D301 - click wants the control character itself
    if preview and chosen["simulate"]:
        raise click.UsageError("--preview changes nothing: make the input first with scoreline simulate")
    if limit and not preview:
        raise click.UsageError("--limit would leave rows out of what is published: add --preview")
    chosen["settings"] = options.parsed(chosen["settings"])
    if preview:
        _preview(job, partition, limit or 10, chosen, as_json=as_json)
        return
    from scoreline.api.scoring import run as run_api
    from scoreline.cli import show

    wait = not chosen.pop("no_wait")
    report = run_api(job, partition, wait=wait, simulated=show.made_up, observers=(show.progress(),), **chosen)
    if as_json:
        show.print_json(report.to_dict())
    else:
        show.print_report(report)


def _preview(job: str, partition: str | None, limit: int, chosen: dict[str, Any], *, as_json: bool) -> None:
    import polars as pl

    from scoreline.api.scoring import given_file, pick
    from scoreline.assemble import Choices, assemble
    from scoreline.cli.show import rows_line
    from scoreline.config import load
    from scoreline.ledgers.memory import MemoryLedger
    from scoreline.previewing import preview

    loaded = load(job, settings=chosen["settings"], model=chosen["model"])
    given = given_file(chosen["input"])
    assembly = assemble(loaded, Choices(ledger=MemoryLedger(), accept_version=chosen["accept_version"], input=given))
    frame, rejected, counts = preview(assembly, pick(assembly, partition, given), limit)
    if as_json:
        click.echo(frame.write_json())
        return
    for rows in (frame, rejected):
        if rows.height:
            with pl.Config(
                tbl_rows=rows.height, tbl_cols=rows.width, tbl_width_chars=200, tbl_hide_dataframe_shape=True
            ):
                click.echo(str(rows))
    click.echo(f"preview: {rows_line(counts)}; nothing published")
