"""``scoreline simulate``."""

from __future__ import annotations

import click

from scoreline.cli import options


@click.command()
@options.JOB
@click.argument("partitions", metavar="RANGE")
@click.option("--rows", type=click.IntRange(min=0), metavar="N", help="Rows of each file; else the simulator's own.")
@click.option("--training", is_flag=True, help="Make what `train` reads: the same rows, with the true target.")
@click.option("--force", is_flag=True, help="Replace files that are there, also real data.")
@options.SET
@options.JSON
def simulate(
    job: str,
    partitions: str,
    *,
    rows: int | None,
    training: bool,
    force: bool,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make up the input of each partition of RANGE, where JOB reads it.

    A partition has the same rows whenever and wherever it is made. JOB declares simulate=; where it declares training=
    too, its input has no target, and --training makes the files that have one.

    \b
      scoreline simulate job.py 2021-01..2021-03
      scoreline simulate nyc_green 2021-02 --rows 1000 --set data=/lake/trial
      scoreline simulate nyc_simulated 2025-01-17T00Z-2h..2025-01-17T22Z-2h --training
    """  # noqa: D301 - click wants the control character itself
    from scoreline.api.simulating import simulate as simulate_api
    from scoreline.cli import show

    made = simulate_api(
        job,
        partitions,
        rows=rows,
        training=training,
        force=force,
        settings=options.parsed(settings),
        progress=None if as_json else lambda one: click.echo(f"{one.path}  {one.rows:,} rows"),
    )
    if as_json:
        show.print_json([one.to_dict() for one in made])
