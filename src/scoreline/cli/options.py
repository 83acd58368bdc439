"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

JOB = click.argument("job")
JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
SET = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Fill a parameter of the job; may be repeated."
)
MODEL = click.option("--model", metavar="PATH", help="Use this model file instead of the job's.")


def parsed(settings: tuple[str, ...]) -> dict[str, str]:
    """``("a=1",)`` as ``{"a": "1"}``."""
    for text in settings:
        if "=" not in text:
            raise click.UsageError(f"--set {text} has no '=': write --set KEY=VALUE")
    return dict(text.split("=", 1) for text in settings)
