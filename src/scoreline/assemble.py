"""Assembling: the objects for one job, from its declaration, the settings, and what the caller chose."""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scoreline.abc import Engine, Ledger, ModelVersion, Observer, Registry, Sink, Source
from scoreline.assembly import Assembly, Bench, Limits
from scoreline.catalog import (
    ENGINES,
    FORMATS,
    LEDGERS,
    MODEL_STORES,
    MODEL_WRITERS,
    REGISTRIES,
    ROOMS,
    SINKS,
    SOURCES,
    find,
)
from scoreline.config import Loaded, import_job_file
from scoreline.contract import Field
from scoreline.corrections import Corrections
from scoreline.errors import JobError, UsageError
from scoreline.files import NAME, Files
from scoreline.job import Job
from scoreline.linting import example_paths, lint
from scoreline.models.trust import Trust, folders_of
from scoreline.record import RunRecord
from scoreline.resources import cores
from scoreline.settings import LEAST_CHUNK

LEDGER = "ledger.sqlite"
"""Name of the ledger in a home."""


_RESERVE = 40_000_000
"""Bytes that a process takes beside its rows once it scores: what it imports then, and what encoding holds."""


@dataclass(frozen=True)
class Choices:
    """What a caller may choose for one run.

    Attributes:
        engine: name of the engine.
        workers: splits at a time; by default the setting MAX_WORKERS, else one for each core that this process may use.
        replace_foreign: whether an output file that no run published may be replaced.
        ledger: instead of the SQLite ledger in the home.
        observers: hear of the run.
        limits: times of claims.
        accept_version: whether a model that other library versions made may be used without golden rows.
        input: a file that is the whole input of the partition, instead of what the job's source has.
        at_once: partitions that are scored at the same time, and share the memory.
        verify_model: whether a compiled form is compared with its model again, although an earlier run has done so.
    """

    engine: str = "local"
    workers: int | None = None
    replace_foreign: bool = False
    ledger: Ledger | None = None
    observers: Sequence[Observer] = ()
    limits: Limits = field(default_factory=Limits)
    accept_version: bool = False
    input: Path | None = None
    at_once: int = 1
    verify_model: bool = False


def assemble(loaded: Loaded, choices: Choices = Choices()) -> Assembly:
    """The objects that the stages of a run work with.

    Raises:
        UsageError: an unknown engine, or no worker.
    """
    job = loaded.job
    if not lint(job):
        _require_apart(loaded)
        if job.source.is_inbox:
            _require_processed_apart(loaded)
    sinks = tuple(_sink(loaded, files, replace_foreign=choices.replace_foreign) for files in job.sink_files)
    return Assembly(
        job=job,
        home=loaded.home,
        ledger=choices.ledger or ledger_of(loaded.home),
        source=_source(loaded, job.source, choices.input),
        sinks=sinks,
        models=model_store(loaded),
        engine=_engine(loaded, choices),
        observers=choices.observers,
        limits=choices.limits,
        invocation=loaded.invocation,
        cautious_sinks=tuple(_sink(loaded, files, replace_foreign=False) for files in job.sink_files),
        accept_version=choices.accept_version,
        verify_model=choices.verify_model,
        compiles=loaded.settings["COMPILE"],
        job_file=loaded.file,
    )


def folder_of(loaded: Loaded, files: Files) -> Path:
    """Where the paths of a job's files begin."""
    return _folder(loaded, files)


def output_folder(loaded: Loaded, sink: int) -> Path:
    """Where the paths of one of the job's sinks begin."""
    return _folder(loaded, loaded.job.sink_files[sink])


def bench(loaded: Loaded, *, keep: bool = True) -> Bench:
    """What training works with: its source is the job's training files, its registry follows the kind of model URI.

    Args:
        loaded: the job.
        keep: False only tries.
    """
    assembly = assemble(loaded, Choices(ledger=find(LEDGERS, "memory")()))
    if loaded.job.training is not None:
        assembly = replace(assembly, source=_source(loaded, loaded.job.training))
    writer = find(MODEL_WRITERS, "sklearn")(loaded.folder)

    def vouch(version: ModelVersion) -> None:
        Trust(loaded.home).add(version.digest, version.path)

    return Bench(assembly, writer, _registry(loaded) if keep else None, loaded.neighbours, vouch)


def _registry(loaded: Loaded) -> Registry:
    mlflow = str(loaded.job.model).startswith(("runs:", "models:"))
    arguments = (loaded.home, loaded.job.experiment or loaded.job.name) if mlflow else (loaded.folder,)
    made: Registry = find(REGISTRIES, "mlflow" if mlflow else "path")(*arguments)
    return made


def published_path(loaded: Loaded, record: RunRecord, sink: int) -> Path:
    """Where this job's sink keeps what a run published."""
    return _folder(loaded, loaded.job.sink_files[sink]) / str(record.facts["paths"][sink])


def _require_apart(loaded: Loaded) -> None:
    """Refuses a job whose source would read what its sinks write, wherever the folders are."""
    job, source = loaded.job, _folder(loaded, loaded.job.source).resolve()
    for files in job.sink_files:
        pattern, path = example_paths(job, files)
        target = _folder(loaded, files).resolve() / path
        if target.is_relative_to(source) and pattern.matches(target.relative_to(source).as_posix()):
            raise JobError(
                f"the source {job.source.path!r} would read what goes to {target}", hint="use another folder for output"
            )


def _require_processed_apart(loaded: Loaded) -> None:
    """Refuses an inbox that would find again what was moved out of it."""
    job, source = loaded.job, _folder(loaded, loaded.job.source).resolve()
    example = job.grid.parse(job.grid.example)
    own = job.source.template.render(example, job.path_values).replace("*", "x").replace("?", "x")
    called = job.source.processed_place[1]
    fixed = job.source.template.fixed_folder
    name = own.removeprefix(f"{fixed}/") if called == NAME else Path(own).name
    place = _processed(loaded).resolve() / called.replace(NAME, name).replace("{slug}", example.slug)
    if not place.is_relative_to(source):
        return
    if job.source.template.partition_of(place.relative_to(source).as_posix(), job.grid, job.path_values):
        raise JobError(
            f"the source {job.source.path!r} would find again what was moved to {place}",
            hint="let processed= name another folder, outside of the inbox",
        )


def _processed(loaded: Loaded) -> Path:
    """Where an inbox's files go."""
    folder = Path(loaded.job.source.processed_place[0]).expanduser()
    return Path(os.path.normpath(loaded.folder / folder))


def ledger_of(home: Path) -> Ledger:
    """The ledger that lies in a home."""
    made: Ledger = find(LEDGERS, "sqlite")(home / LEDGER)
    return made


def recorded(home: Path) -> Ledger:
    """The same for who only asks: where there is none, an empty one in memory, and none is made."""
    empty: Ledger = find(LEDGERS, "memory")()
    return ledger_of(home) if (home / LEDGER).exists() else empty


def model_store(loaded: Loaded) -> Any:
    """The store of the job's model."""
    trust = Trust(loaded.home, folders_of(loaded.folder, loaded.job.trust))
    named = ["--job", str(loaded.file)] if loaded.file else []
    command = shlex.join(["scoreline", "models", "trust", *named])
    batch, train = loaded.settings["BATCH_SIZE"], loaded.command("train", "RANGE")
    found = store_in(loaded.folder, loaded.home, trust, command, batch, train)
    if loaded.job.function is None:
        return found
    own = find(MODEL_STORES, "function")(loaded.job.function, loaded.home, loaded.neighbours, batch)
    return replace(found, makers={**found.makers, "function": lambda: own}, keeping=frozenset({"function"}))


def store_in(
    folder: Path,
    home: Path,
    trust: Trust,
    command: str,
    batch: int | None = None,
    train: str = "scoreline train JOB RANGE",
) -> Any:
    """The store of all models, by path below ``folder`` or by URI.

    Args:
        folder: where paths begin.
        home: Scoreline's folder.
        trust: which pickles may be loaded.
        command: trusts a model.
        batch: the setting BATCH_SIZE.
        train: the command that trains one.
    """
    paths = find(MODEL_STORES, "path")(folder, home, trust, command, batch, train)
    mlflow = functools.cache(lambda: find(MODEL_STORES, "mlflow")(home, paths))
    return find(MODEL_STORES, "any")(paths, {"runs": mlflow, "models": mlflow})


def _folder(loaded: Loaded, files: Files) -> Path:
    return Path(os.path.normpath(loaded.folder / Path(files.under).expanduser()))


def _source(loaded: Loaded, files: Files, given: Path | None = None) -> Source:
    values = tuple(sorted(loaded.job.path_values.items()))
    kind, told = find(SOURCES, files.format), _told_of_format(loaded.job, files)
    made: Source = kind(_folder(loaded, files), files.template, loaded.job.grid, values, *told)
    if given is not None:
        made = find(SOURCES, "given")(made, given)
    elif files.is_inbox:
        folder, called = _processed(loaded), files.processed_place[1]
        made = find(SOURCES, "inbox")(
            made, _folder(loaded, files), files.template, loaded.job.grid, values, folder, called, files.settle
        )
    # What is corrected is what is scored; files for training alone have rows of their own.
    return _corrected(loaded, made) if files is loaded.job.source else made


def _corrected(loaded: Loaded, source: Source) -> Source:
    """The source with what people have recorded in the home for the job's rows."""
    kinds = tuple((part.name, part.dtype) for part in loaded.job.contract if isinstance(part, Field))
    withdraw = loaded.command("quarantine withdraw")
    made: Source = find(SOURCES, "corrected")(source, Corrections(loaded.home, loaded.job.key), kinds, withdraw)
    return made


def _told_of_format(job: Job, files: Files) -> tuple[Any, ...]:
    """What a source has to know to read its format: Parquet says it all by itself."""
    if files.format == "csv":
        return (files.csv,)
    if files.format == "jsonl":
        return (tuple((part.name, part.dtype) for part in job.contract if isinstance(part, Field)),)
    return ()


def _sink(loaded: Loaded, files: Files, *, replace_foreign: bool) -> Sink:
    written = find(FORMATS, files.format).of(files)
    made: Sink = find(SINKS, "files")(_folder(loaded, files), files.template, replace_foreign, written)
    return made


def workers_of(loaded: Loaded, chosen: int | None) -> int:
    """Splits at a time: as the caller says, else the setting MAX_WORKERS, else one for each core."""
    return chosen if chosen is not None else loaded.settings["MAX_WORKERS"] or cores()


def _engine(loaded: Loaded, choices: Choices) -> Engine:
    workers = workers_of(loaded, choices.workers)
    if workers < 1:
        raise UsageError(f"{workers} workers cannot score anything", hint="give --workers 1 or more")
    prepare = functools.partial(import_job_file, loaded.file) if loaded.file else None
    told = loaded.settings
    timeout = told["SPLIT_TIMEOUT_SECONDS"]
    room = find(ROOMS, "machine")(
        told["MEMORY_LIMIT_GB"],
        told["CPU_LIMIT_PERCENT"],
        told["CPU_WAIT_SECONDS"],
        told["CHUNK_SIZE"],
        LEAST_CHUNK,
        reserve=_RESERVE,
        runs=choices.at_once,
    )
    threads: Engine = find(ENGINES, "threads")(workers, room, timeout)
    if choices.engine == "threads":
        return threads

    def processes() -> Engine:
        engine: Engine = find(ENGINES, "processes")(workers, prepare, room, timeout)
        return engine

    if choices.engine == "processes":
        return processes()
    made: Engine = find(ENGINES, choices.engine)(threads, processes, room=room)
    return made
