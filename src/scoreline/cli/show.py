"""How results look on a terminal."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scoreline.report import Counts, RunReport

if TYPE_CHECKING:
    from scoreline.simulation import Simulated


def print_json(value: Any) -> None:
    """Prints a value as indented JSON."""
    click.echo(json.dumps(value, indent=2, default=str))


def quoted(path: Path) -> str:
    """A path as one can type it, below the working directory where it lies there."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here)) if path.is_relative_to(here) and path != here else str(path))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints left-aligned columns, as wide as they need to be."""
    cells = [[str(value) for value in row] for row in [columns, *rows]]
    widths = [max(len(row[position]) for row in cells) for position in range(len(columns))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def progress() -> Any:
    """The observer that shows a run's progress on standard error."""
    from scoreline.catalog import OBSERVERS, find

    return find(OBSERVERS, "progress" if sys.stderr.isatty() else "lines")(sys.stderr)


def made_up(one: Simulated) -> None:
    """Says on standard error that an input file was made up."""
    click.echo(f"simulated {one.path}, {one.rows:,} rows", err=True)


def print_report(report: RunReport) -> None:
    """Prints what a run did."""
    counts = report.counts
    lines = {
        "rows": rows_line(counts),
        "filtered": _each(counts.filtered),
        "rejected": _each(counts.reasons),
        "warned": _each(counts.warnings),
        "unseen": _each(counts.unseen) + " (categories that the model has never seen)" if counts.unseen else "",
        "model": f"{report.model['uri']}, version {report.model['version']}, {_form(report.model)}",
    }
    click.echo(f"{report.job} {report.partition}: {report.state} ({report.reason})")
    for name, text in lines.items():
        if text:
            click.echo(f"  {name:<10} {text}")
    for output in report.outputs:
        click.echo(f"  {'output':<10} {output['path']}, {output['rows']:,} rows, {output['bytes'] / 1e6:,.1f} MB")
    if report.quarantine:
        click.echo(f"  {'quarantine':<10} {report.quarantine}, {counts.quarantined:,} rows")
    if report.rows_per_second:
        opening = f" ({report.seconds['open']:.2f} s of it to open)" if "open" in report.seconds else ""
        speed = (
            f"{report.rows_per_second:,.0f} rows/s from then on" if opening else f"{report.rows_per_second:,.0f} rows/s"
        )
        click.echo(f"  {'time':<10} {report.seconds['total']:.2f} s{opening}, {speed}")
    for note in report.notes:
        click.echo(f"  {'note':<10} {note}")


def rows_line(counts: Counts) -> str:
    """Where all rows went, in one line."""
    left_out = f"{counts.left_out:,} filtered + {counts.quarantined:,} quarantined"
    return f"{counts.rows_in:,} in = {counts.scored:,} scored + {left_out}"


def _each(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _form(model: dict[str, Any]) -> str:
    evidence = model.get("evidence") or {}
    parity = evidence.get("parity")
    if not parity:
        reason = f": {evidence['reason']}" if evidence.get("reason") else ""
        return f"{model.get('kind', 'unknown kind')}, not accelerated{reason}"
    if not parity["agrees"]:
        return f"{model['kind']}, NOT accelerated: {parity['detail']}"
    return f"{model['kind']}, accelerated ({parity['detail']} on {parity['rows']:,} rows)"
