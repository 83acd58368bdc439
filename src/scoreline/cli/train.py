"""``scoreline train``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from scoreline.cli import options

if TYPE_CHECKING:
    from scoreline.training import TrainReport


@click.command()
@options.JOB
@click.argument("training", metavar="RANGE")
@click.option("--validate", metavar="RANGE", help="Try the model on these partitions too.")
@click.option("--alias", metavar="NAME", help="Register it under this alias, instead of the one in the job's URI.")
@click.option("--model", metavar="URI", help="Keep it there instead: a folder, or models:/NAME@ALIAS.")
@options.SET
@click.option("--dry-run", is_flag=True, help="Fit and measure, but keep nothing.")
@options.JSON
def train(
    job: str,
    training: str,
    validate: str | None,
    alias: str | None,
    model: str | None,
    settings: tuple[str, ...],
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train JOB's model on the rows of RANGE, and keep it where the job's model= points.

    The rows come through the job's source, contract, filters and features, exactly as they are scored, and are
    collected in the memory of this process.

    \b
      scoreline train job.py 2021-01
      scoreline train job.py 2021-01..2021-03 --validate 2021-04
      scoreline train job.py 2021-01 --model models:/nyc-taxi-duration --alias challenger
    """  # noqa: D301 - click wants the control character itself
    from scoreline.api.fitting import train as train_api
    from scoreline.cli import show

    report = train_api(
        job,
        training,
        validate=validate,
        alias=alias,
        model=model,
        settings=options.parsed(settings),
        keep=not dry_run,
        tell=lambda text: click.echo(text, err=True),
    )
    if as_json:
        show.print_json(report.to_dict())
    else:
        _print(report)


def _print(report: TrainReport) -> None:
    model, counts = report.model, report.counts
    state = f"trained as {model['uri']}" if model["uri"] else "tried, and not kept"
    click.echo(f"{report.job} {_range(report.training)}: {state}")
    left_out = f"{counts.left_out:,} filtered + {counts.quarantined:,} quarantined"
    lines = {
        "rows": f"{counts.rows_in:,} in = {counts.scored:,} used + {left_out}",
        "rejected": ", ".join(f"{reason} {rows:,}" for reason, rows in counts.reasons.items()),
        "fitted": _measured(report.metrics, ""),
        "validated": _measured(report.metrics, "validation_") if report.validation else "",
        "unseen": ", ".join(f"{name} {rows:,}" for name, rows in report.validation_counts.unseen.items()),
        "model": f"{model['kind']}, {model['file']}, digest {model['digest'][:12]}",
        "alias": model["alias"] or "",
        "path": model["path"] or "",
        "data": report.dataset,
        "time": f"{report.seconds['total']:.2f} s, of it {report.seconds['fit']:.2f} s in fit",
    }
    for name, text in lines.items():
        if text:
            click.echo(f"  {name:<10} {text}")
    for note in report.notes:
        click.echo(f"  {'note':<10} {note}")
    for command in report.next:
        click.echo(f"  {'next':<10} {command}")


def _range(slugs: tuple[str, ...]) -> str:
    return slugs[0] if len(slugs) == 1 else f"{slugs[0]}..{slugs[-1]}"


def _measured(metrics: dict[str, float], prefix: str) -> str:
    rows = f"on {metrics[f'{prefix}rows']:,.0f} rows"
    if f"{prefix}accuracy" in metrics:
        return f"accuracy {metrics[f'{prefix}accuracy']:.4f} {rows}"
    if f"{prefix}rmse" not in metrics:
        return rows
    rmse, mae, bias = (metrics[f"{prefix}{name}"] for name in ("rmse", "mae", "bias"))
    return f"RMSE {rmse:.3f}, MAE {mae:.3f}, bias {bias:+.3f} (predicted - actual) {rows}"
