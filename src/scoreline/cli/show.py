"""How results look on a terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from scoreline.report import RunReport


def print_json(value: Any) -> None:
    """Prints a value as indented JSON."""
    click.echo(json.dumps(value, indent=2, default=str))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints left-aligned columns, as wide as they need to be."""
    cells = [[str(value) for value in row] for row in [columns, *rows]]
    widths = [max(len(row[position]) for row in cells) for position in range(len(columns))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_report(report: RunReport) -> None:
    """Prints what a run did."""
    counts = report.counts
    filtered, quarantined = sum(counts.filtered.values()), sum(counts.quarantined.values())
    lines = {
        "rows": f"{counts.rows_in:,} in = {counts.scored:,} scored + {filtered:,} filtered"
        f" + {quarantined:,} quarantined",
        "filtered": _each(counts.filtered),
        "unseen": _each(counts.unseen) + " (categories that the model has never seen)" if counts.unseen else "",
        "model": f"{report.model['uri']}, version {report.model['version']}, {_form(report.model)}",
    }
    click.echo(f"{report.job} {report.partition}: {report.state} ({report.reason})")
    for name, text in lines.items():
        if text:
            click.echo(f"  {name:<9} {text}")
    for output in report.outputs:
        click.echo(f"  {'output':<9} {output['path']}, {output['rows']:,} rows, {output['bytes'] / 1e6:,.1f} MB")
    if report.rows_per_second:
        click.echo(f"  {'time':<9} {report.seconds['total']:.2f} s, {report.rows_per_second:,.0f} rows/s")
    for note in report.notes:
        click.echo(f"  {'note':<9} {note}")


def _each(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _form(model: dict[str, Any]) -> str:
    evidence = model.get("evidence") or {}
    parity = evidence.get("parity")
    if not parity:
        return f"{model.get('kind', 'unknown kind')}, not accelerated"
    if not parity["agrees"]:
        return f"{model['kind']}, NOT accelerated: {parity['detail']}"
    return f"{model['kind']}, accelerated ({parity['detail']} on {parity['rows']:,} rows)"
