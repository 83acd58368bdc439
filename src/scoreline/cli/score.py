"""``scoreline score``: one data month by hand, with a model straight from MLflow's artifact store."""

from __future__ import annotations

import os
import re
import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from scoreline.cli import options
from scoreline.errors import UsageError

if TYPE_CHECKING:
    from scoreline.partition import Partition

_JOB = "nyc_green"
_RUN_ID = re.compile(r"[0-9a-f]{32}\Z")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_PATH = "{taxi_type}-{yyyy}-{mm}-{model_version}.parquet"
_FORM = "write: scoreline score TYPE YEAR MONTH RUN_ID EXPERIMENT_URI OUTPUT_URI, with 2021 2 for February 2021"
_FIRST_YEAR = 2009  # of the published trips


@click.command()
@click.argument("taxi_type", metavar="TYPE")
@click.argument("year")
@click.argument("month")
@click.argument("run_id")
@click.argument("experiment_uri")
@click.argument("output_uri")
@click.option("--data", metavar="DIR", help="Folder with the months; else DATA_INPUT_DIR, else the job's own.")
@click.option("--job", metavar="JOB", default=_JOB, show_default=True, help="The job that scores.")
@click.option("--force", is_flag=True, help="Score even what is current; replace a file that no run published.")
@options.ACCEPT_VERSION
@options.JSON
def score(
    taxi_type: str,
    year: str,
    month: str,
    run_id: str,
    experiment_uri: str,
    output_uri: str,
    *,
    data: str | None,
    job: str,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Score the trips of one month with the model of an MLflow run, without an MLflow server.

    YEAR and MONTH name the month of the data. The model is EXPERIMENT_URI/RUN_ID/artifacts/model, or where MLflow 3
    keeps it: EXPERIMENT_URI/models/*/artifacts with that run id. Predictions go to
    OUTPUT_URI/TYPE-YYYY-MM-RUN_ID.parquet, so that another model's file stays.

    \b
      scoreline score green 2021 2 <run id> /mlruns/1 /out --data /lake/green
    """  # noqa: D301 - click wants the control character itself
    words = [taxi_type, year, month, run_id, experiment_uri, output_uri]
    more = [*(["--data", data] if data else []), *(["--job", job] if job != _JOB else [])]
    partition = _month(words, more)
    _require_in_order(words, more)
    from scoreline.api.scoring import run
    from scoreline.cli import show
    from scoreline.models.folder import find_model, local_path

    settings = {"taxi_type": taxi_type, "output": str(local_path(output_uri)), "path": _PATH}
    # A line of cron sets it for this command alone, so the plain name counts too.
    named = (os.environ.get(name) for name in ("SCORELINE_DATA_INPUT_DIR", "DATA_INPUT_DIR"))
    if folder := data or next(filter(None, named), None):
        settings["data"] = folder
    model = find_model(experiment_uri, run_id)
    report = run(job, partition.slug, model=model, settings=settings, observers=(show.progress(),), **chosen)
    if as_json:
        show.print_json(report.to_dict())
    else:
        click.echo(f"{taxi_type} trips of {partition.start:%B %Y} (data month {partition}), model of run {run_id}")
        show.print_report(report)


def _month(words: list[str], more: list[str]) -> Partition:
    from scoreline.partition import Grid

    _, year, month, *_ = words
    if not (year.isdecimal() and month.isdecimal()):
        raise UsageError(f"{year!r} and {month!r} are no year and month", hint=_FORM)
    grid, now = Grid("month"), datetime.now(UTC)
    if _is_year(int(month), now) and 1 <= int(year) <= 12:
        raise UsageError(f"year and month are swapped: {year} {month}", hint=_corrected([*words, *more], 1, 2))
    if len(year) == 2 and _is_year(2000 + int(year), now):
        words[1] = f"20{year}"
        raise UsageError(f"{year!r} is not a year of four digits", hint=_corrected([*words, *more]))
    if not _FIRST_YEAR <= int(year) <= 9999 or not 1 <= int(month) <= 12:
        wrong = f"there is no month {month}" if _FIRST_YEAR <= int(year) <= 9999 else f"there are no trips of {year}"
        raise UsageError(wrong, hint=_FORM)
    partition, last = grid.parse(f"{int(year):04d}-{int(month):02d}"), grid.last_complete(now)
    if partition.slug > last.slug:
        raise UsageError(f"{partition} is not over, so its data cannot be complete", hint=f"the last month is {last}")
    return partition


def _is_year(number: int, now: datetime) -> bool:
    return _FIRST_YEAR <= number <= now.year


def _require_in_order(words: list[str], more: list[str]) -> None:
    """Run id and experiment in their places, and folders that can be reached."""
    _, _, _, run_id, experiment, output = words
    if not _RUN_ID.match(run_id):
        for place, text in ((4, experiment), (5, output)):
            if _RUN_ID.match(text):
                raise UsageError("the run id is in the wrong place", hint=_corrected([*words, *more], 3, place))
        raise UsageError(f"{run_id!r} is no run id, which has 32 hexadecimal digits", hint=_FORM)
    for text in (experiment, output):
        if (found := _SCHEME.match(text)) and found[1] != "file":
            raise UsageError(
                f"{text}: {found[1]}:// is not there yet; folders of this machine are",
                hint="copy or mount it, and give its path",
            )


def _corrected(words: list[str], *swapped: int) -> str:
    """The command with two of its words swapped."""
    right = list(words)
    if swapped:
        one, other = swapped
        right[one], right[other] = right[other], right[one]
    return shlex.join(["scoreline", "score", *right])
