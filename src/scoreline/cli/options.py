"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def _noted(ctx: click.Context, _: click.Parameter, job: str | None) -> str | None:
    """Notes the job in the command line's own object, so that the hint of an error can name it."""
    if isinstance(ctx.obj, dict):
        ctx.obj["job"] = job
    return job


JOB = click.argument("job", callback=_noted)
JOB_OR_NONE = click.argument("job", required=False, callback=_noted)
JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
SET = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Fill a parameter of the job; may be repeated."
)
MODEL = click.option(
    "--model", metavar="URI", help="Use this model instead of the job's: a path, runs:/... or models:/..."
)
RANGE = click.argument("partitions", metavar="[RANGE]", required=False)
STALE = click.option("--stale", is_flag=True, help="Score also what another model or job has scored.")
FORCE = click.option("--force", is_flag=True, help="Score even what is current; replace files that no run published.")
ENGINE = click.option(
    "--engine",
    type=click.Choice(["local", "threads", "processes"]),
    default="local",
    help="Where splits are scored; local chooses threads or processes by the model.",
)
SIMULATE = click.option(
    "--simulate", is_flag=True, help="Make up input first where none is there and none was ever published."
)
ACCEPT_VERSION = click.option(
    "--accept-version",
    is_flag=True,
    help="Use a model that other library versions made, though no golden rows show that it scores the same.",
)

VERIFY = click.option(
    "--verify",
    "verify_model",
    is_flag=True,
    help="Compare the compiled form of the model with the model again, although an earlier run has.",
)


def invoked(options: Sequence[str]) -> tuple[dict[str, str], str | None]:
    """Settings and model of the options that a run has recorded, as they were typed."""
    pairs = list(zip(options[::2], options[1::2], strict=True))
    settings = parsed(tuple(value for name, value in pairs if name == "--set"))
    return settings, next((value for name, value in pairs if name == "--model"), None)


def parsed(settings: tuple[str, ...], option: str = "--set") -> dict[str, str]:
    """``("a=1",)`` as ``{"a": "1"}``."""
    for text in settings:
        if "=" not in text:
            raise click.UsageError(f"{option} {text} has no '=': write {option} KEY=VALUE")
    return dict(text.split("=", 1) for text in settings)
