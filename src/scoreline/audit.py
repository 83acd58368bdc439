"""Audit: published files as they are now, against what the ledger recorded when they were made.

Files are hashed as streams, and what a file says of itself is read through the same open handle, so that a publication
at the same time changes nothing. It must not know adapters: it gets an assembly, and what opens files.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any

import polars as pl

from scoreline import durable
from scoreline.abc import Content, Ledger
from scoreline.assembly import Assembly, command
from scoreline.errors import PredictionMissing, ScorelineError
from scoreline.partition import Partition
from scoreline.provenance import Provenance
from scoreline.quarantine import kept_at
from scoreline.record import PUBLISHED, Prepared, RunRecord

OK, FLIPPED, MISSING, ANOTHER_RUN, FOREIGN = "ok", "flipped", "missing", "another run", "foreign"
OUTPUT, QUARANTINE, MODEL = "output", "quarantine", "model"
_HISTORY = 1_000_000


@dataclass(frozen=True, slots=True)
class Outputs:
    """How to get at what was published.

    Attributes:
        place: where a sink of the job keeps, now, what a run published.
        opened: what lies in an open file, by its path.
    """

    place: Callable[[RunRecord, int], Path]
    opened: Callable[[Path, BufferedReader], Content]


@dataclass(frozen=True, slots=True)
class Verified:
    """What became of one file that Scoreline wrote.

    Attributes:
        partition: slug, ``-`` for a model, which many partitions may share.
        kind: ``output``, ``quarantine`` or ``model``.
        path: of the file; of the folder for a model's kept copy.
        state: ``ok``; ``flipped``, it is that file with other bytes; ``missing``; ``another run``, it is whole and of
            another run of the partition; ``foreign``, it is something else.
        detail: what was found.
        next: the command that mends it, '' when nothing has to be done.
        run_id: the run that should have made it.
        content: the content digest `rowsum-v1` of an output, when it was asked for.
    """

    partition: str
    kind: str
    path: str
    state: str
    detail: str
    next: str
    run_id: str
    content: str | None = None

    @property
    def damaged(self) -> bool:
        """Whether something has to be done; a kept model may be removed, it is fetched again."""
        return self.state != OK and not (self.kind == MODEL and self.state == MISSING)

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self) | {"damaged": self.damaged}


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that runs of a ledger have used.

    Attributes:
        digest: SHA-256 that pins it.
        version: as output columns call it.
        uri: as the job named it last.
        kind: what it is, ``-`` when no run came far enough to tell.
        path: where it was taken from last.
        partitions: job and slug of each publication that it made, once each.
        last_used: when its last run began.
        kept: folder of the pinned copy, None when there is none.
        kept_bytes: size of the copy.
    """

    digest: str
    version: str
    uri: str
    kind: str
    path: str
    partitions: tuple[str, ...]
    last_used: str
    kept: str | None
    kept_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def standing(ledger: Ledger, job: str, outputs: Outputs, slug: str | None = None) -> list[RunRecord]:
    """The publication of each slot that stands, newest first.

    Where a job has published to several folders, the one that counts is where it publishes now.
    """
    chosen: dict[tuple[str, tuple[str, ...]], tuple[bool, RunRecord]] = {}
    for record in ledger.runs(job, slug, state=PUBLISHED, limit=_HISTORY):
        slot = (record.partition, tuple(record.facts.get("paths", ())))
        here = all(made.target == str(path_of(record, made, outputs)) for made in record.prepared)
        if slot not in chosen or (here and not chosen[slot][0]):
            chosen[slot] = (here, record)
    return [record for _, record in chosen.values()]


def path_of(record: RunRecord, made: Prepared, outputs: Outputs) -> Path:
    """Where a publication lies now: where the job publishes, else where the ledger says."""
    with suppress(IndexError, KeyError):  # the job had more sinks then
        now = outputs.place(record, made.sink)
        if now.exists() or not Path(made.target).exists():
            return now
    return Path(made.target)


def verify(
    assembly: Assembly,
    outputs: Outputs,
    partition: Partition | None = None,
    *,
    content: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Verified]:
    """Checks published files, their quarantine files, and the kept copies of their models.

    Args:
        assembly: of the job.
        outputs: where its files are.
        partition: only this one.
        content: compute the content digest of each output too.
        progress: hears (files done, files in all).

    Raises:
        PredictionMissing: nothing is published for the partition.
    """
    job = assembly.job.key
    records = standing(assembly.ledger, job, outputs, None if partition is None else partition.slug)
    if partition is not None and not records:
        raise PredictionMissing(
            f"nothing is published for {job} {partition}",
            hint=assembly.command("run", partition),
        )
    records.sort(key=lambda record: record.partition)
    tasks = list(_tasks(assembly, outputs, records, content=content))
    found: list[Verified] = []
    for task in tasks:
        found.append(task())
        if progress is not None:
            progress(len(found), len(tasks))
    return found


def _tasks(
    assembly: Assembly, outputs: Outputs, records: Sequence[RunRecord], *, content: bool
) -> Iterator[Callable[[], Verified]]:
    for record in records:
        for made in record.prepared:
            yield partial(_output, assembly, record, made, outputs, content=content)
        if record.facts.get("quarantine"):
            yield partial(_quarantine, assembly, record)
    last = {record.facts["model"]["digest"]: record for record in records if "model" in record.facts}
    for digest, record in last.items():
        yield partial(_model, assembly.home, digest, record)


def mending(assembly: Assembly, record: RunRecord) -> str:
    """The command that makes a publication again."""
    options = list(record.facts.get("invocation", ()))
    if "--model" not in options and (kept := _other_model(assembly, record)):
        options += ["--model", kept]
    return command(assembly.job_file, "run", record.partition, "--force", *options)


def _other_model(assembly: Assembly, record: RunRecord) -> str:
    """The kept copy of a publication's model, where the path names the model and the job has another one by now."""
    if not any(sink.template.fields & {"model_version", "model_digest"} for sink in assembly.sinks):
        return ""
    model = record.facts["model"]
    with suppress(ScorelineError, OSError):
        if assembly.models.resolve(str(assembly.job.model)).digest == model["digest"]:
            return ""
    return str(kept_folder(assembly.home, model["digest"]) / Path(model["path"]).name)


def _output(assembly: Assembly, record: RunRecord, made: Prepared, outputs: Outputs, *, content: bool) -> Verified:
    path = path_of(record, made, outputs)
    try:
        with path.open("rb") as handle:
            there = outputs.opened(path, handle)
            record, made = now_published(assembly.ledger, record, made, there.provenance)
            state, detail = _judged(assembly.ledger, handle, made, record, there)
            digest = content_digest(there) if content and state == OK and there.provenance else None
    except (FileNotFoundError, NotADirectoryError):
        state, detail, digest = MISSING, "is not there", None
    except IsADirectoryError:
        state, detail, digest = FOREIGN, "is a folder", None
    advice = "" if state == OK else mending(assembly, record)
    return Verified(record.partition, OUTPUT, str(path), state, detail, advice, record.run_id, digest)


def now_published(
    ledger: Ledger, record: RunRecord, made: Prepared, there: Provenance | None
) -> tuple[RunRecord, Prepared]:
    """What the file has to be, if a newer run of the slot was published since the ledger was read."""
    if there is not None and there.run_id != record.run_id:
        for newer in ledger.runs(record.job, record.partition, run_id=there.run_id, limit=1):
            for its in newer.prepared:
                if newer.token > record.token and _path(newer, its) == _path(record, made):
                    return newer, its
    return record, made


def _path(record: RunRecord, made: Prepared) -> str:
    """Of an output below its sink's folder: the sinks themselves may have been declared anew, or in another order."""
    return str(record.facts["paths"][made.sink])


def _judged(
    ledger: Ledger, handle: BufferedReader, made: Prepared, record: RunRecord, content: Content
) -> tuple[str, str]:
    size, there = os.fstat(handle.fileno()).st_size, content.provenance
    if is_intact(handle, made):
        return OK, f"{made.rows:,} rows, run {record.run_id}"
    changed = f"{size:,} bytes where {made.size:,} were written" if size != made.size else "its bytes were changed"
    if there is None:
        is_its = content.may_be(made.size)
        return (FLIPPED, f"{changed}, and it cannot be recognised") if is_its else (FOREIGN, "no run's")
    if there.run_id == record.run_id:
        return FLIPPED, changed
    known = ledger.runs(run_id=there.run_id, limit=1)
    if not known and size == made.size and there.ledger == made.ledger:
        return FLIPPED, f"{changed}, in its footer"
    if (there.job, there.partition) != (record.job, record.partition):
        return FOREIGN, f"holds the predictions of {there.job} {there.partition} (run {there.run_id})"
    return ANOTHER_RUN, f"is of run {there.run_id}" + ("" if known else ", which this ledger does not know")


def is_intact(handle: BufferedReader, made: Prepared) -> bool:
    """Whether an open file has the bytes that were published.

    It is asked before Polars reads the file: a flipped byte in a page's header can end the process.
    """
    if os.fstat(handle.fileno()).st_size != made.size:
        return False
    handle.seek(0)
    return hashlib.file_digest(handle, "sha256").hexdigest() == made.sha256


def content_digest(content: Content) -> str:
    """The digest `rowsum-v1` of a published file without its volatile columns, a batch of rows at a time."""
    from scoreline.rowsum import RowSum  # it brings NumPy, which a run does without

    volatile = content.provenance.volatile_columns() if content.provenance else []
    total = RowSum.of(pl.DataFrame(schema=content.schema()).drop(volatile), 0)
    for batch in content.batches():
        total += RowSum.of(batch.drop(volatile), total.rows)
    return total.digest()


def _quarantine(assembly: Assembly, record: RunRecord) -> Verified:
    recorded = record.facts["quarantine"]
    path = kept_at(assembly.home, record)
    state, detail = OK, f"{recorded['rows']:,} rows"
    if not path.is_file():
        state, detail = MISSING, "is not there"
    elif (size := path.stat().st_size) != recorded["size"]:
        state, detail = FLIPPED, f"{size:,} bytes where {recorded['size']:,} were written"
    elif durable.sha256_of(path) != recorded["sha256"]:
        state, detail = FLIPPED, "its bytes were changed"
    advice = "" if state == OK else mending(assembly, record)
    return Verified(record.partition, QUARANTINE, str(path), state, detail, advice, record.run_id)


def kept_folder(home: Path, digest: str) -> Path:
    """Where the pinned copy of a model lies."""
    return home / "models" / digest


def kept_files(folder: Path) -> list[Path]:
    """The files of a pinned copy, sorted by relative path; none when it was removed."""
    found = (path for path in folder.rglob("*") if path.is_file() and not _is_by_the_way(path))
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _is_by_the_way(path: Path) -> bool:
    """Whether a file is none of a model's: a mark, or what Python has compiled of its code."""
    return path.name.startswith(".") or path.parent.name == "__pycache__"


def is_kept_whole(folder: Path, digest: str) -> bool:
    """Whether a pinned copy still has its digest: of its file, or over names and hashes where it is a folder."""
    hashes = {path.relative_to(folder).as_posix(): durable.sha256_of(path) for path in kept_files(folder)}
    lines = "".join(f"{name}\0{sha256}\n" for name, sha256 in sorted(hashes.items()))
    return digest in {*hashes.values(), hashlib.sha256(lines.encode()).hexdigest()}


def _model(home: Path, digest: str, record: RunRecord) -> Verified:
    folder = kept_folder(home, digest)
    state, detail, advice = OK, f"{record.facts['model']['uri']}, version {record.facts['model']['version']}", ""
    if not kept_files(folder):
        state, detail = MISSING, "the pinned copy was removed; a run that needs it fetches it again"
    elif not is_kept_whole(folder, digest):
        state, detail, advice = FLIPPED, "the pinned copy was changed", shlex.join(["rm", "-r", str(folder)])
    return Verified("-", MODEL, str(folder), state, detail, advice, record.run_id)


def models_known(ledger: Ledger, home: Path, wanted: Callable[[str], bool] | None = None) -> list[KnownModel]:
    """The models that runs of a ledger have used, last used first.

    Args:
        ledger: to ask.
        home: where pinned copies lie.
        wanted: tells the jobs to look at, by key; by default all.
    """
    by_digest: dict[str, list[RunRecord]] = {}
    for record in ledger.runs(limit=_HISTORY):
        if (wanted is None or wanted(record.job)) and "model" in record.facts:
            by_digest.setdefault(record.facts["model"]["digest"], []).append(record)
    return [_known(home, digest, records) for digest, records in by_digest.items()]


def _known(home: Path, digest: str, records: Sequence[RunRecord]) -> KnownModel:
    model, folder = records[0].facts["model"], kept_folder(home, digest)
    files = kept_files(folder)
    kinds: Iterable[str] = (record.facts["model"]["kind"] for record in records if "kind" in record.facts["model"])
    made = {f"{record.job} {record.partition}" for record in records if record.state == PUBLISHED}
    return KnownModel(
        digest,
        model["version"],
        model["uri"],
        next(iter(kinds), "-"),
        model["path"],
        tuple(sorted(made)),
        records[0].started_at,
        str(folder) if files else None,
        sum(path.stat().st_size for path in files),
    )
