"""``scoreline status``."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scoreline.cli import options

if TYPE_CHECKING:
    from scoreline.abc import Ledger
    from scoreline.cli.advice import Trouble
    from scoreline.record import RunRecord


_HISTORY = 1_000_000


@click.command()
@options.JOB_OR_NONE
@options.SET
@click.option("--all", "every", is_flag=True, help="Every run, not only the last of each partition.")
@options.JSON
def status(job: str | None, settings: tuple[str, ...], *, every: bool, as_json: bool) -> None:
    """Show the last run of each partition: its state, its rows, and what to do where something is wrong.

    Without JOB, all jobs of the ledger in SCORELINE_HOME.
    """
    from scoreline.assemble import recorded
    from scoreline.cli import show

    home, key = _place(job, options.parsed(settings))
    ledger = recorded(home)
    runs = ledger.runs(limit=_HISTORY)
    wanted = [run for run in runs if key is None or run.job == key or run.job.startswith(f"{key}[")]
    newest = _publications(wanted)
    shown_runs = wanted if every else _last(wanted)
    records = [_row(ledger, run, job or _called(run), is_past=_is_past(run, newest)) for run in shown_runs]
    if as_json:
        show.print_json(records)
    elif records:
        shown = ("job", "partition", "state", "rows_in", "scored", "filtered", "quarantined", "model", "updated_at")
        show.print_table(shown, [[record[name] for name in shown] for record in records])
        states = Counter(record["state"] for record in records)
        click.echo(f"\n{len(records)} in all: {', '.join(f'{count} {state}' for state, count in states.items())}")
        for record in records:
            if told := [*(f"note: {note}" for note in record["notes"]), *filter(None, [record["next"]])]:
                click.echo(f"\n{record['job']} {record['partition']}: " + "\n  ".join(told))
        _tell_quarantined(records, job, settings)
    else:
        click.echo(f"no runs yet in {home}")


def _called(run: RunRecord) -> str:
    """The job of a run as a command names it, as the run has recorded it."""
    from scoreline.assembly import called

    file = (run.facts.get("code") or {}).get("job_file")
    return called(Path(file) if file else None)


def _tell_quarantined(records: list[dict[str, Any]], job: str | None, settings: tuple[str, ...]) -> None:
    """One line for all rejected rows of what stands published: most months have a few, and that is no trouble."""
    rejected = [record for record in records if record["state"] == "published" and record["quarantine"]]
    if rejected:
        rows = sum(record["quarantined"] for record in rejected)
        again = [word for pair in settings for word in ("--set", pair)]
        command = shlex.join(["scoreline", "quarantine", "list", job or "JOB", *again])
        where = f"{len(rejected)} published partition{'' if len(rejected) == 1 else 's'}"
        click.echo(f"\n{rows:,} rows of {where} are in quarantine; to look at them and correct some: {command}")


def _place(job: str | None, settings: dict[str, str]) -> tuple[Path, str | None]:
    from scoreline.config import home_named, load

    if job is not None:
        loaded = load(job, settings=settings)
        return loaded.home, loaded.job.name if not settings else loaded.job.key
    if home := home_named():
        return home, None
    raise click.UsageError("name a JOB, or set SCORELINE_HOME to see all jobs of one ledger")


def _last(runs: list[RunRecord]) -> list[RunRecord]:
    from scoreline.history import is_quiet, lacked_input

    published = {(run.job, run.partition) for run in runs if run.state in {"published", "expired"}}

    def says_little(run: RunRecord) -> bool:
        # As plan sees it: what is published stays so when its input was put away.
        return is_quiet(run) or (lacked_input(run) and (run.job, run.partition) in published)

    newest: dict[tuple[str, str], RunRecord] = {}
    # By token, because a refused run that was released came after runs that are younger.
    by_token = sorted(runs, key=lambda run: -run.token)
    for telling in (True, False):
        for run in by_token:
            if says_little(run) is not telling:
                newest.setdefault((run.job, run.partition), run)
    return [newest[key] for key in sorted(newest)]


def _publications(runs: list[RunRecord]) -> dict[tuple[str, str, tuple[str, ...] | None], int]:
    """The token of the last publication of each slot; of any slot of a partition where the paths are None."""
    tokens: dict[tuple[str, str, tuple[str, ...] | None], int] = {}
    for run in (run for run in runs if run.state == "published"):
        for paths in (tuple(run.facts["paths"]), None):
            key = (run.job, run.partition, paths)
            tokens[key] = max(run.token, tokens.get(key, 0))
    return tokens


def _is_past(run: RunRecord, newest: dict[tuple[str, str, tuple[str, ...] | None], int]) -> bool:
    """Whether its slot was published anew since, so that nothing is to be done about it."""
    paths = run.facts.get("paths")
    return newest.get((run.job, run.partition, None if paths is None else tuple(paths)), 0) > run.token


def _row(ledger: Ledger, run: RunRecord, job: str, *, is_past: bool) -> dict[str, Any]:
    counts = run.facts.get("counts") or {}
    state, advice = _past(run) if is_past else _state(ledger, run, job)
    return {
        "job": run.job,
        "partition": run.partition,
        "state": state,
        "rows_in": counts.get("rows_in", "-"),
        "scored": counts.get("scored", "-"),
        "filtered": sum(counts["filtered"].values()) if counts else "-",
        "quarantined": counts.get("quarantined", "-"),
        "model": run.facts.get("model", {}).get("version", "-"),
        "updated_at": run.updated_at[:19] + "Z",
        "run_id": run.run_id,
        "reason": run.reason,
        "outputs": [made.target for made in run.prepared] if run.state != "expired" else [],
        "quarantine": (run.facts.get("quarantine") or {}).get("path") if run.state != "expired" else None,
        "notes": list(run.facts.get("notes", ())),
        "next": advice,
    }


def _past(run: RunRecord) -> tuple[str, str]:
    from scoreline.cli import advice

    return "replaced" if run.state == "published" else advice.state_of(run.state, run.facts.get("error")), ""


def _state(ledger: Ledger, run: RunRecord, job: str) -> tuple[str, str]:
    from scoreline.cli import advice

    trouble = _trouble(ledger, run, job)
    if run.state in {"failed", "cancelled"}:
        return advice.state_of(run.state, trouble.error), advice.stopped(trouble)
    if run.state == "refused":
        return run.state, advice.refused(trouble)
    if run.state == "published":
        return _published(run, trouble.again)
    if run.state == "expired":
        return run.state, ""
    if run.state not in {"running", "prepared"}:
        return run.state, f"Next: {trouble.again}"
    return _unfinished(ledger, run, trouble)


def _trouble(ledger: Ledger, run: RunRecord, job: str) -> Trouble:
    from scoreline.cli.advice import Trouble

    standing = ledger.runs(run.job, run.partition, state="published", limit=1) if run.state != "published" else []
    return Trouble(
        job,
        run.partition,
        run.facts.get("invocation", ()),
        run.run_id,
        run.facts.get("error") or {"message": run.state},
        run.facts.get("refusals", ()),
        (run.facts.get("quarantine") or {}).get("path"),
        standing[0].run_id if standing else None,
        unstaged="unstaged" in run.facts,
    )


def _unfinished(ledger: Ledger, run: RunRecord, trouble: Trouble) -> tuple[str, str]:
    from scoreline.history import living

    holder = ledger.holder(run.job, run.partition)
    if holder is not None and living(holder) and holder.run_id == run.run_id:
        who = holder.owner or "no process (parked)"
        return run.state, f"held by {who}, {holder.seconds_left:.0f} s of its lease left"
    if run.state == "prepared":
        return "prepared, interrupted", f"complete, but not published yet\n  Next: {trouble.again}"
    said = ["its process has ended, or lost its claim, without a word", *trouble.standing, f"  Next: {trouble.again}"]
    return "interrupted", "\n".join(said)


def _published(run: RunRecord, again: str) -> tuple[str, str]:
    from scoreline.formats.published import provenance_in

    for made in run.prepared:
        there = provenance_in(Path(made.target))
        if there is None or there.run_id != run.run_id:
            what = "holds something else" if Path(made.target).exists() else "is not there"
            return "published, output gone", f"{made.target} {what}\n  Next: {again}"
    return run.state, ""
