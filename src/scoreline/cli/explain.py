"""``scoreline explain``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from scoreline.cli import options

if TYPE_CHECKING:
    from scoreline.explanation import Explanation

_MADE = {"published", "scored"}


@click.command()
@options.JOB
@click.argument("key")
@click.option("--partition", metavar="PARTITION", help="Look only into this partition.")
@options.SET
@options.JSON
def explain(job: str, key: str, partition: str | None, settings: tuple[str, ...], *, as_json: bool) -> None:
    """Show how the prediction of a row came to be: run, model, code, input file and row.

    KEY is the row's id: <partition>_<file>-<row number in the input>, such as 2021-02_0-17, or the value of the id
    column that JOB declares. The row is read from the input again and predicted again by the pinned model. Where it was
    not published, what became of it is told; then, and where the model predicts something else now, it exits 1.

    \b
      scoreline explain job.py 2021-02_0-17
    """  # noqa: D301 - click wants the control character itself
    from scoreline.api.published import explain as explain_api
    from scoreline.cli import show

    found = explain_api(job, key, partition=partition, settings=options.parsed(settings))
    if as_json:
        show.print_json(found.to_dict())
    else:
        _print(found)
    differs = found.recheck is not None and found.recheck.equal is False
    sys.exit(0 if found.fate in _MADE and not differs else 1)


def _print(found: Explanation) -> None:
    said = found.detail if found.fate in _MADE else f"NO PREDICTION: the row {found.detail}"
    click.echo(f"{found.job} {found.key}: {said}")
    for name, value in (found.published or {}).items():
        click.echo(f"  {'':<9} {name} = {value}")
    for name, lines in _about(found).items():
        for at, line in enumerate(filter(None, lines)):
            click.echo(f"  {'' if at else name:<9} {line}")
    if found.hint:
        click.echo(f"  Next: {found.hint}")


def _about(found: Explanation) -> dict[str, list[str]]:
    run, came = found.run, found.input
    return {
        "output": [found.output],
        "run": [
            f"{run['run_id']} of {found.partition}, {run['state']} {run['updated_at'][:19]}Z, because: {run['reason']}"
        ],
        "model": _model(found.model),
        "code": [_code(found.code)],
        "input": [_place(found), *_values(_told(came.values or {}))],
        "corrected": [
            f"{one['column']}: {one['was']} in the file, {one['now']} by {one['by']}, {one['at'][:19]}Z, "
            f"corrections {one['corrections']}"
            for one in came.corrected
        ],
        "features": _values(came.features or {}),
        "again": [_again(found)],
        "others": [f"run {one['run_id']}, model {one['model']}: {', '.join(one['paths'])}" for one in found.others],
        "note": list(found.notes),
    }


def _told(values: dict[str, Any]) -> dict[str, Any]:
    """What was read of a row; marks of records that could not be read only where they say something."""
    return {name: value for name, value in values.items() if value is not None or not name.startswith("scoreline.")}


def _values(values: dict[str, Any]) -> list[str]:
    return [f"{name} = {value}" for name, value in values.items()]


def _place(found: Explanation) -> str:
    came = found.input
    row = "" if came.row is None else f", row {came.row} (counted from 0)"
    state = "the file is still the one that was scored" if came.unchanged else f"the file {came.detail}"
    moved = f" (it lies in {came.moved_to} now)" if came.moved_to else ""
    return f"{came.path}{row}; {state}{moved}"


def _model(model: dict[str, Any]) -> list[str]:
    parity = model["evidence"].get("parity")
    accelerated = "accelerated" if model["accelerated"] else "not accelerated"
    because = f" ({parity['detail']}, {parity['rows']:,} rows)" if parity else ""
    return [
        f"{model['uri']}, version {model['version']}, {model.get('kind', 'unknown kind')}, {accelerated}{because}",
        f"digest {model['digest']}",
    ]


def _code(code: dict[str, Any]) -> str:
    if not code:
        return "not recorded"
    versions = ", ".join(f"{name} {code[name]}" for name in ("scoreline", "python", "polars") if code.get(name))
    file = f"; {code['job_file']}, SHA-256 {(code.get('job_sha256') or '-')[:12]}" if code.get("job_file") else ""
    return versions + file + (f", commit {code['git']}" if code.get("git") else "")


def _again(found: Explanation) -> str:
    if found.recheck is None:
        return ""
    mark = {True: "EQUAL: ", False: "DIFFERENT: ", None: ""}[found.recheck.equal]
    by = f" (by {found.recheck.difference})" if found.recheck.difference is not None else ""
    return f"{mark}{found.recheck.detail}{by}"
