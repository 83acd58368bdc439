"""``scoreline report``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from scoreline.cli import options

if TYPE_CHECKING:
    from scoreline.summary import Summary


@click.command()
@options.JOB
@click.argument("partition", required=False)
@options.SET
@options.JSON
def report(job: str, partition: str | None, settings: tuple[str, ...], *, as_json: bool) -> None:
    """Show what a published PARTITION of JOB came to: predictions, their spread, time, memory, disk.

    Without PARTITION, the newest published one.

    \b
      scoreline report job.py 2021-02
      scoreline report job.py --json
    """  # noqa: D301 - click wants the control character itself
    from scoreline.api.published import summarise
    from scoreline.cli import show

    found = summarise(job, partition, settings=options.parsed(settings))
    if as_json:
        show.print_json(found.to_dict())
    else:
        _print(found)


def _print(found: Summary) -> None:
    from scoreline.cli.show import rows_line

    click.echo(f"{found.job} {found.partition}: published by run {found.run_id} at {found.published_at[:19]}Z")
    stats, resources = found.processing_stats, found.resources
    lines = {
        "rows": rows_line(found.counts),
        "model": f"{found.model['uri']}, version {found.model['version']}",
        found.column or "prediction": _spread(stats),
        "output": f"{stats['output_file']}, {stats['num_predictions']:,} predictions, {stats['file_size_mb']:,.3f} MB",
        "quarantine": found.quarantine or "",
        "time": f"{stats['processing_time_seconds']:.2f} s, {stats['throughput_per_second']:,.0f} predictions/s",
        "cpu": f"{resources['cpu_seconds']:.2f} s" if "cpu_seconds" in resources else "",
        "memory": _memory(resources),
        "disk": f"{resources['disk_free_gb']:,.1f} GB free",
    }
    width = max(map(len, lines))
    for name, text in lines.items():
        if text:
            click.echo(f"  {name:<{width}} {text}")


def _spread(stats: dict[str, Any]) -> str:
    names = ("mean", "median", "min", "max")
    told = [(name, stats[f"{name}_prediction"]) for name in names]
    return ", ".join(f"{name} {value:,.4g}" for name, value in told if value is not None) or "no numbers"


def _memory(resources: dict[str, float]) -> str:
    if "peak_memory_mb" not in resources:
        return ""
    worker = resources.get("peak_worker_memory_mb")
    return f"{resources['peak_memory_mb']:,.0f} MB at most" + (
        f", {worker:,.0f} MB in a worker process" if worker else ""
    )
