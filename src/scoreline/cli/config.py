"""``scoreline config``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from scoreline.cli import options


@click.command()
@options.JOB_OR_NONE
@options.SET
@options.JSON
def config(job: str | None, settings: tuple[str, ...], *, as_json: bool) -> None:
    """Show every setting: its value, where it comes from, and what it does.

    With JOB, as they hold for that job: its `.env`, its own defaults and its parameters count. Without, as the
    environment and a `.env` in the working directory have them. Passwords in addresses are not shown.
    """
    from scoreline.cli import show
    from scoreline.settings import TABLE, masked

    told = _told(job, options.parsed(settings))
    rows: list[dict[str, Any]] = []
    for one in TABLE:
        value = told.told(one.name)
        shown = masked(str(value.value)) if isinstance(value.value, str | Path) else value.value
        rows.append({"name": one.variable, "value": shown, "origin": value.origin, "effect": one.effect})
    if as_json:
        show.print_json({"settings": rows, "notes": list(told.notes)})
        return
    cells = [(row["name"], _text(row["value"]), row["origin"], row["effect"]) for row in rows]
    show.print_table(("SETTING", "VALUE", "ORIGIN", "EFFECT"), cells)
    for note in told.notes:
        click.echo(f"note: {note}", err=True)


def _told(job: str | None, given: dict[str, str]) -> Any:
    from scoreline.config import ENV_FILE, load
    from scoreline.settings import read_settings

    if job is not None:
        return load(job, settings=given).settings
    if given:
        raise click.UsageError("--set fills a parameter of a job: name the JOB")
    told = read_settings(os.environ, Path.cwd() / ENV_FILE, Path.cwd())
    told.require_ordered()
    return told


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
