"""``scoreline backfill``."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from scoreline.cli import options
from scoreline.cli.plan import print_later, print_plan

if TYPE_CHECKING:
    from scoreline.outcome import BackfillReport, Outcome

_FINE = {"published", "current", "stale", "expired"}


@click.command()
@options.JOB
@options.RANGE
@click.option("--at-once", type=click.IntRange(min=1), default=1, metavar="N", help="Partitions at the same time.")
@options.SIMULATE
@options.STALE
@options.FORCE
@click.option("--dry-run", is_flag=True, help="Show the plan, and score nothing.")
@options.ENGINE
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Splits at a time, over all partitions.")
@options.MODEL
@options.SET
@click.option("--no-wait", is_flag=True, help="Do not wait for partitions that other processes work on.")
@options.ACCEPT_VERSION
@options.VERIFY
@options.JSON
def backfill(job: str, partitions: str | None, *, dry_run: bool, as_json: bool, **chosen: Any) -> None:
    """Score and publish what is due of RANGE, in order; one bad partition does not stop the others.

    RANGE is such as 2021-01..2021-06, both ends included, or one partition; see `scoreline plan`. A second start does
    only what is left. Exit code: 1 if any failed, else 3 if any was refused, else 75 if any may pass later, else 0.

    \b
      scoreline backfill job.py 2021-01..2021-12
      scoreline backfill job.py 2021-01..2021-12 --at-once 2 --stale
    """  # noqa: D301 - click wants the control character itself
    from scoreline.cli import show

    command = _command(job, partitions, chosen)
    chosen["settings"] = options.parsed(chosen["settings"])
    if dry_run:
        _dry_run(job, partitions, chosen, command, as_json=as_json)
        return
    report = _backfill(job, partitions, chosen)
    if as_json:
        show.print_json(report.to_dict() | {"next": {one.partition: _advice(one, report, job) for one in _bad(report)}})
    else:
        _print(report, job, command)
    if report.cancelled:
        click.echo("error: cancelled by a signal\n  Hint: the same command does what is left", err=True)
    sys.exit(report.exit_code)


def _backfill(job: str, partitions: str | None, chosen: dict[str, Any]) -> BackfillReport:
    from scoreline.api.ranges import backfill as backfill_api
    from scoreline.catalog import OBSERVERS, find
    from scoreline.cli import show

    watcher = find(OBSERVERS, "backfill-bar" if sys.stderr.isatty() else "backfill-lines")(sys.stderr)
    try:
        wait = not chosen.pop("no_wait")
        return backfill_api(job, partitions, wait=wait, simulated=show.made_up, observers=(watcher,), **chosen)
    finally:
        watcher.stop()


def _dry_run(job: str, partitions: str | None, chosen: dict[str, Any], command: str, *, as_json: bool) -> None:
    from scoreline.api.ranges import plan
    from scoreline.cli import show

    planned = plan(job, partitions, **{name: chosen[name] for name in ("model", "settings", "stale", "force")})
    if as_json:
        show.print_json([one.to_dict() for one in planned])
    else:
        print_plan(planned, command)


def _command(job: str, partitions: str | None, chosen: dict[str, Any]) -> str:
    """The same command again, as it was typed but for --dry-run."""
    words = ["scoreline", "backfill", job, *([partitions] if partitions else [])]
    for name, value in chosen.items():
        option = "--set" if name == "settings" else f"--{name.replace('_', '-')}"
        values = value if isinstance(value, tuple) else () if value in (None, False, _DEFAULTS.get(name)) else (value,)
        words += [word for one in values for word in ([option] if one is True else [option, str(one)])]
    return shlex.join(words)


_DEFAULTS = {"at_once": 1, "engine": "local"}


def _print(report: BackfillReport, job: str, command: str) -> None:
    from scoreline.cli import show

    if not report.outcomes:
        print_plan((), command)
        return
    columns = ("partition", "outcome", "rows in", "scored", "filtered", "quarantined", "seconds", "why")
    show.print_table(columns, [_row(one) for one in report.outcomes])
    print_later(report.later)
    counts, totals = report.counts, ", ".join(f"{count} {outcome}" for outcome, count in report.totals.items())
    click.echo(f"\n{report.job}: {totals}, {report.seconds:.1f} s")
    if counts.rows_in:
        rate = counts.rows_in / max(report.seconds, 1e-9)
        click.echo(
            f"  published now: {show.rows_line(counts)}, {rate:,.0f} rows/s, model version {report.model['version']}"
        )
    for one in _bad(report):
        if one.outcome not in {"cancelled", "not run"}:
            click.echo(f"\n{one.partition} {one.outcome}: {_advice(one, report, job)}")
    if report.cancelled or any(one.outcome == "not run" for one in report.outcomes):
        click.echo(f"\nThe rest, when nothing stands in the way: {command}")


def _row(one: Outcome) -> tuple[object, ...]:
    counts = one.counts
    rows = (counts.rows_in, counts.scored, counts.left_out, counts.quarantined) if counts else ()
    shown = [f"{value:,}" for value in rows] or ["-"] * 4
    said = "; ".join(one.refusals) or (one.error or {}).get("message") or one.reason
    return one.partition, one.outcome, *shown, f"{one.seconds:.2f}" if one.seconds else "-", _short(str(said))


def _short(text: str) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= 100 else f"{line[:99]}…"


def _bad(report: BackfillReport) -> list[Outcome]:
    return [one for one in report.outcomes if one.outcome not in _FINE]


def _advice(one: Outcome, report: BackfillReport, job: str) -> str:
    from scoreline.cli import advice

    trouble = advice.Trouble(
        job,
        one.partition,
        report.invocation,
        one.run_id,
        one.error or {"message": one.reason},
        one.refusals,
        one.quarantine,
        one.published_run,
    )
    return advice.refused(trouble) if one.outcome == "refused" else advice.stopped(trouble)
