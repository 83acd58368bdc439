"""Housekeeping: which jobs a clean-up is about, put together from what was asked for and what the ledger knows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from scoreline.abc import Ledger
from scoreline.assemble import Choices, assemble, published_path, recorded
from scoreline.assembly import Assembly
from scoreline.config import JobLike, Loaded, home_named, limits, load
from scoreline.errors import ScorelineError, UsageError
from scoreline.job import Job
from scoreline.linting import require_sound
from scoreline.pruning import prune, prune_forms, prune_logs, prune_models
from scoreline.record import RunRecord
from scoreline.retention import OUTPUT, Kept, PruneReport, Retention, together
from scoreline.watching import log_file

_HISTORY = 1_000_000


@dataclass(frozen=True, slots=True)
class Ask:
    """What a clean-up is asked for.

    Attributes:
        job: a `Job`, its file, or None for all jobs of the ledger in ``home``.
        settings: parameters of the job; without any, all jobs of its name that the ledger knows are cleaned up.
        home: Scoreline's folder.
        ledger: instead of the SQLite ledger in the home.
        outputs_days: instead of what the jobs declare.
        logs_days: likewise.
        dry_run: only tell.
    """

    job: JobLike | None = None
    settings: Mapping[str, str] | None = None
    home: str | os.PathLike[str] | None = None
    ledger: Ledger | None = None
    outputs_days: float | None = None
    logs_days: float | None = None
    dry_run: bool = False


def clean_up(ask: Ask) -> PruneReport:
    """Removes, or only tells, what is past its time.

    Raises:
        UsageError: neither a job nor a home is named.
        JobError: the job that was named cannot be used.
    """
    failed: list[Kept] = []
    found = _named(ask, failed) if ask.job is not None else _all(ask, failed)
    chores = [_Chore(loaded, _assembled(ask, loaded), _retention(ask, loaded)) for loaded in found]
    reports = [PruneReport((), ask.dry_run, failed=tuple(failed))]
    if not chores:
        return reports[0]
    now = chores[0].assembly.now()
    # First the models, while nothing has expired yet: then a dry run tells the same.
    reports += _models(chores, now, dry_run=ask.dry_run)
    for one in chores:
        place = partial(published_path, one.loaded)
        reports.append(prune(one.assembly, place, one.retention, dry_run=ask.dry_run))
    days: dict[Path, list[float | None]] = {}
    for one in chores:
        if (log := log_file(one.loaded)) is not None:
            days.setdefault(log, []).append(one.retention.logs_days)
    reports += [prune_logs([log], _longest(some), now, dry_run=ask.dry_run) for log, some in days.items()]
    return together(reports, dry_run=ask.dry_run)


@dataclass(frozen=True, slots=True)
class _Chore:
    loaded: Loaded
    assembly: Assembly
    retention: Retention


def _models(chores: Sequence[_Chore], now: datetime, *, dry_run: bool) -> Iterator[PruneReport]:
    """Kept copies of models, and what lies among their compiled forms."""
    from scoreline.models.compiled.leftovers import leftovers

    assemblies, home = [one.assembly for one in chores], chores[0].loaded.home
    days = _longest([one.retention.models_days for one in chores])
    copies = prune_models(assemblies, days, now, dry_run=dry_run)
    yield copies
    retention = Retention(leftovers_days=_longest([one.retention.leftovers_days for one in chores]), models_days=days)
    gone = {one.path for one in copies.removed}
    yield prune_forms(assemblies, leftovers(home), retention, now, besides=gone, dry_run=dry_run)


def _assembled(ask: Ask, loaded: Loaded) -> Assembly:
    require_sound(loaded.job)
    return assemble(loaded, Choices(ledger=_ledger(ask, loaded.home), limits=limits(loaded.settings, wait=False)))


def _named(ask: Ask, failed: list[Kept]) -> list[Loaded]:
    """The job that was named; without settings, all that the ledger knows by its name."""
    assert ask.job is not None
    loaded = load(ask.job, settings=ask.settings, home=ask.home)
    if isinstance(ask.job, Job) or ask.settings:
        return [loaded]
    others = [
        run
        for run in _newest_of_each(_ledger(ask, loaded.home))
        if run.job != loaded.job.key and run.job.startswith(f"{loaded.job.name}[")
    ]
    return [loaded, *_of_runs(others, loaded.home, ask.job, failed)]


def _all(ask: Ask, failed: list[Kept]) -> list[Loaded]:
    """All jobs of the ledger."""
    home = Path(ask.home).expanduser().absolute() if ask.home else home_named()
    if home is None:
        raise UsageError("no job is named", hint="name one, or set SCORELINE_HOME for all jobs of one ledger")
    return list(_of_runs(_newest_of_each(_ledger(ask, home)), home, None, failed))


def _of_runs(
    runs: Iterable[RunRecord], home: Path, file: str | os.PathLike[str] | None, failed: list[Kept]
) -> Iterator[Loaded]:
    """The jobs of runs; what cannot be loaded is told, and stays as it is."""
    for run in runs:
        try:
            known = file or (run.facts.get("code") or {}).get("job_file")
            if known is None:
                raise UsageError(f"{run.job} was made in Python; its own program has to prune it")
            yield _of_run(run, home, known)
        except ScorelineError as error:
            failed.append(Kept(OUTPUT, "-", error.message, run.job))


def _of_run(run: RunRecord, home: Path, file: str | os.PathLike[str]) -> Loaded:
    """The job of a run, made of the options that the run has recorded."""
    pairs = list(zip(*[iter(run.facts.get("invocation", ()))] * 2, strict=True))
    settings = dict(str(text).split("=", 1) for name, text in pairs if name == "--set")
    model = next((str(text) for name, text in pairs if name == "--model"), None)
    loaded = load(file, settings=settings, model=model, home=home)
    if loaded.job.key != run.job:
        raise UsageError(f"{file} defines {loaded.job.key} now, and {run.job} no more")
    return loaded


def _newest_of_each(ledger: Ledger) -> Iterator[RunRecord]:
    """The newest run of each job that says how the job was made."""
    seen = set()
    for run in ledger.runs(limit=_HISTORY):
        # Of a run that found no input only the options are known, not the job's file.
        if run.job not in seen and {"invocation", "code"} <= run.facts.keys():
            seen.add(run.job)
            yield run


def _ledger(ask: Ask, home: Path) -> Ledger:
    """The ledger of a home, which asking does not make."""
    return ask.ledger if ask.ledger is not None else recorded(home)


def _retention(ask: Ask, loaded: Loaded) -> Retention:
    """What was asked for, else what the settings say, else what the job declares."""
    told, chosen = loaded.settings, {"outputs_days": ask.outputs_days, "logs_days": ask.logs_days}
    for name, setting in (("outputs_days", "OUTPUT_RETENTION_DAYS"), ("logs_days", "LOG_RETENTION_DAYS")):
        if chosen[name] is None and told.given(setting):
            chosen[name] = told[setting]
    return replace(loaded.job.retention, **{name: days for name, days in chosen.items() if days is not None})


def _longest(days: Sequence[float | None]) -> float | None:
    """The longest of several times; None is for ever."""
    return None if None in days else max(one for one in days if one is not None)
