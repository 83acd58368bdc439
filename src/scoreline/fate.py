"""Fate: what became of one input row of a publication, found out from quarantine, from the input and by scoring again.

The row is read again as long as its file is still the one that was scored, and predicted again by the pinned model,
together with the rows that it was predicted with then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from scoreline.abc import Batch, KeepsProcessed, Model, ModelVersion
from scoreline.assembly import Assembly
from scoreline.corrections import Corrections, bare
from scoreline.errors import InputInvalid, PredictionMissing, ScorelineError
from scoreline.explanation import (
    FILTERED,
    LOST,
    PUBLISHED,
    QUARANTINED,
    SCORED,
    UNKNOWN,
    Explanation,
    InputRow,
    Recheck,
    plain,
)
from scoreline.job import Job
from scoreline.output import ROW_ID
from scoreline.partition import Partition
from scoreline.quarantine import kept_at
from scoreline.record import RunRecord
from scoreline.records import BROKEN
from scoreline.rejects import FILE, REASONS, ROW, Rejects
from scoreline.score import Constants, admitted, model_inputs, numbered, row_ids, score_rows
from scoreline.splits import FileIdentity, Split


@dataclass(frozen=True)
class Case:
    """What is looked into: a key in one publication.

    Attributes:
        assembly: of the job.
        record: the run that published.
        path: of the published file.
        key: of the row.
        rows: published rows with this key; None when the output has no row id.
        others: publications of the same partition in other slots.
        notes: what someone should know.
    """

    assembly: Assembly
    record: RunRecord
    path: Path
    key: str
    rows: pl.DataFrame | None
    others: tuple[RunRecord, ...] = ()
    notes: list[str] = field(default_factory=list)

    @property
    def job(self) -> Job:
        """The job as it is declared now."""
        return self.assembly.job

    @property
    def partition(self) -> Partition:
        """The partition that was published."""
        return self.job.grid.parse(self.record.partition)

    @property
    def is_published(self) -> bool:
        """Whether the published file has a row with this key."""
        return self.rows is not None and self.rows.height > 0

    @property
    def same_job(self) -> bool:
        """Whether the job declares what the run's did."""
        # The model is the run's own, whatever the job names by now.
        then = replace(self.job, model=self.record.facts["model"]["uri"])
        return bool(then.scoring_digest == self.record.facts["scoring_digest"])

    @property
    def files(self) -> list[FileIdentity]:
        """The input files as they were pinned, by ordinal."""
        return [FileIdentity(**form) for form in self.record.facts["files"]]


def id_column(job: Job) -> str | None:
    """The output column that holds the row id, None when there is none."""
    ids = [pl.col(ROW_ID), *([pl.col(job.row_id)] if job.row_id else [])]
    return next((column.name for one in ids for column in job.output if column.expr.meta.eq(one)), None)


def told(case: Case, ordinal: int, row: int) -> Explanation:
    """What became of one row.

    Args:
        case: its publication.
        ordinal: place of its file among the partition's input files.
        row: its number in the file, counted from 0.

    Raises:
        PredictionMissing: the partition had no such file or row.
    """
    file = _file(case, ordinal, row)
    there, changed = now(case, file)
    came = InputRow(file.path, row, unchanged=there is not None, detail=changed, moved_to=_moved_to(case, file))
    split, batch = (None, None) if there is None else _unit(case, there, ordinal, row)
    if batch is None or split is None:
        return _without_row(case, came, file)
    raw = numbered(batch.frame, batch.first_row).filter(pl.col(ROW) == row)
    read = plain(raw.drop(ROW, BROKEN, strict=False))
    came = replace(came, values=read, corrected=_corrected(case, split, raw, row))
    if not case.same_job:
        return _without_row(case, came, file)
    rejects = Rejects()
    kept, counts = admitted(case.job, raw, case.partition, rejects)
    features, kept = model_inputs(kept, case.job.features, rejects)
    if features.height:
        came = replace(came, features=plain(features))
    if case.is_published:
        return made(case, PUBLISHED, "is published", came, recheck=_again(case, split, batch))
    left_out = [name for name, count in counts.filtered.items() if count]
    return made(case, *_fate(case, _reasons(case, file, row) or list(rejects.reasons), left_out), came)


def _corrected(case: Case, split: Split, raw: pl.DataFrame, row: int) -> tuple[dict[str, Any], ...]:
    """What people have changed of a row: each value as the file has it, as it is now, and whose word that is."""
    if not split.file.corrections:
        return ()
    _, batch = _unit(case, bare(split.file), split.ordinal, row)
    assert batch is not None
    was, now_ = plain(batch.frame[[row - batch.first_row]]), plain(raw)
    book, withdraw = Corrections(case.assembly.home, case.record.job), case.assembly.command("quarantine withdraw")
    last = {
        column: one
        for one, rows in zip(book.named(split.file), book.given(split.file, withdraw), strict=True)
        if row in rows[ROW]
        for column in rows.columns
    }
    found = []
    # What a source says of a record that it could not read differs too, and nobody has given that.
    for column in (name for name, value in was.items() if name in last and value != now_[name]):
        one = last[column]
        by = {"by": one.by, "at": one.at, "corrections": one.id}
        found.append({"column": column, "was": was[column], "now": now_[column], **by})
    return tuple(found)


def _fate(case: Case, reasons: Sequence[str], left_out: Sequence[str]) -> tuple[str, str]:
    if reasons:
        return QUARANTINED, f"was rejected: {', '.join(reasons)}"
    if left_out:
        return FILTERED, f"was left out by the filter {left_out[0]}"
    if case.rows is None:
        return SCORED, "was scored; which published row it is cannot be told without a row id"
    return LOST, "is kept by the job's rules, and is not in the published file"


def _without_row(case: Case, came: InputRow, file: FileIdentity) -> Explanation:
    """What can be told when the row cannot be put through the job again."""
    assert came.row is not None
    why = "the job has changed since (other scoring digest)" if came.unchanged else f"the input {came.detail}"
    if case.is_published:
        return made(case, PUBLISHED, "is published", came, recheck=Recheck(None, f"not predicted again: {why}"))
    if reasons := _reasons(case, file, came.row):
        return made(case, QUARANTINED, f"was rejected: {', '.join(reasons)}", came)
    counts = case.record.facts.get("counts", {}).get("filtered", {})
    rules = [name for name, count in counts.items() if count]
    if case.rows is None:
        return made(case, UNKNOWN, f"was scored or filtered; which cannot be told, because {why}", came)
    if not rules:
        return made(case, LOST, "is in no quarantine, no filter left a row out, and it is not published", came)
    which = rules[0] if len(rules) == 1 else f"one of {', '.join(rules)}; which one cannot be told, because {why}"
    return made(case, FILTERED, f"is neither published nor rejected, so a filter left it out: {which}", came)


def _file(case: Case, ordinal: int, row: int) -> FileIdentity:
    files = case.files
    where = f"{case.record.partition} had {len(files)} input files" if ordinal >= len(files) else ""
    if not where and row >= files[ordinal].rows:
        where = f"{files[ordinal].path} had {files[ordinal].rows:,} rows"
    if where:
        raise PredictionMissing(
            f"there is no row {case.key}: {where}, counted from 0",
            hint=case.assembly.command("status"),
        )
    return files[ordinal]


def _moved_to(case: Case, file: FileIdentity) -> str:
    source = case.assembly.source
    return next((str(path) for path in source.kept([file])), "") if isinstance(source, KeepsProcessed) else ""


def now(case: Case, file: FileIdentity) -> tuple[FileIdentity | None, str]:
    """The input file as it is now if it is still the one that was scored, else None and what has changed."""
    try:
        there = {one.path: one for one in case.assembly.source.fingerprint(case.partition)}
    except ScorelineError as error:
        return (file, "") if _readable(case, file) else (None, f"cannot be read any more: {error.message}")
    if file.path not in there:
        if _readable(case, file):
            return file, ""  # given by hand
        return None, "is not there any more"
    current = there[file.path]
    words = {"size": "size", "mtime_ns": "modification time", "footer": "footer"}
    then, found = file.fingerprint(), current.fingerprint()
    changed = [word for name, word in words.items() if then[name] != found[name]]
    if changed and _readable(case, file):
        return file, ""  # put away by its source, and another one of the same name has come since
    if changed:
        return None, f"has changed since it was scored: other {', '.join(changed)}"
    # As it was scored: with the corrections of then, whatever was recorded since.
    return replace(current, corrections=file.corrections), ""


def _readable(case: Case, file: FileIdentity) -> bool:
    """Whether the source still has the very file that was scored."""
    try:
        case.assembly.source.splits((file,), 1)
    except (ScorelineError, OSError):
        return False
    return True


def _unit(case: Case, file: FileIdentity, ordinal: int, row: int) -> tuple[Split | None, Batch | None]:
    """The rows that one predict call saw together with this one."""
    source = case.assembly.source
    for split in source.splits((file,), 1):
        for unit in split.units:
            if unit.first_row <= row < unit.first_row + unit.rows:
                alone = replace(split, ordinal=ordinal, units=(unit,))
                try:
                    return alone, next(iter(source.read(alone, case.job.input_columns)))
                except InputInvalid:
                    if case.same_job:
                        raise
                    return None, None  # the job reads other columns by now
    return None, None


def rejected(case: Case, where: pl.Expr | None) -> pl.DataFrame:
    """Rows of the run's quarantine file; by default those with the case's declared id."""
    none = pl.DataFrame(schema={FILE: pl.String, ROW: pl.Int64, REASONS: pl.List(pl.String)})
    if not case.record.facts.get("quarantine"):
        return none
    path = kept_at(case.assembly.home, case.record)
    try:
        with path.open("rb") as handle:
            if hashlib.file_digest(handle, "sha256").hexdigest() != case.record.facts["quarantine"]["sha256"]:
                case.notes.append(
                    f"the quarantine file {path} is damaged: {case.assembly.command('verify', case.record.partition)}"
                )
                return none
            handle.seek(0)
            rows = pl.scan_parquet(handle)
            if where is None:
                schema = rows.collect_schema()
                if case.job.row_id not in schema:
                    return none
                where = row_ids(case.job, schema, case.record.partition, 0) == case.key
            return rows.filter(where).select(FILE, ROW, REASONS).collect()
    except OSError as error:
        case.notes.append(f"the quarantine file {path} cannot be read: {error.strerror}")
        return none


def _reasons(case: Case, file: FileIdentity, row: int) -> list[str]:
    found = rejected(case, (pl.col(FILE) == file.path) & (pl.col(ROW) == row))
    return found[REASONS].explode().to_list() if found.height else []


def _again(case: Case, split: Split, batch: Batch) -> Recheck:
    """Scores the row's unit again and compares; last bits may depend on the rows that are predicted together."""
    assert case.rows is not None
    facts = case.record.facts
    column = id_column(case.job)
    assert column is not None
    constants = Constants(
        case.partition, case.record.run_id, facts["model"]["version"], datetime.fromisoformat(facts["scored_at"])
    )
    try:
        scored = score_rows(case.job, _model(case), batch.frame, constants, split, batch.first_row).frame
    except (ScorelineError, OSError) as error:
        return Recheck(None, f"cannot be predicted again: {getattr(error, 'message', error)}")
    again = scored.filter(pl.col(column).cast(pl.String) == case.key).head(1)
    return _compared(case.rows.head(1), again)


def _model(case: Case) -> Model:
    model = case.record.facts["model"]
    version = ModelVersion(model["uri"], model["digest"], model["version"], Path(model["path"]), model["size"])
    loaded = case.assembly.models.fetch(version).load([feature.name for feature in case.job.features], case.job.predict)
    if (case.record.facts.get("evidence") or {}).get("accelerated"):
        return loaded.accelerated() or loaded
    return loaded


def _compared(published: pl.DataFrame, again: pl.DataFrame) -> Recheck:
    if not again.height:
        return Recheck(equal=False, detail="the job's rules do not keep this row any more")
    if published.equals(again):
        return Recheck(equal=True, detail="the pinned model predicts the same, to the last bit in every column")
    differing, largest = [], None
    for name in published.columns:
        if name not in again.columns or not published[name].equals(again[name], null_equal=True):
            then, anew = published[name][0], again[name][0] if name in again.columns else None
            differing.append(f"{name} was published as {then}, and is now {anew}")
            if isinstance(then, float | int) and isinstance(anew, float | int):
                largest = max(largest or 0.0, abs(then - anew))
    return Recheck(False, "; ".join(differing) or "other column types", largest)


def made(case: Case, fate: str, detail: str, came: InputRow, recheck: Recheck | None = None) -> Explanation:
    """The explanation of a case, once its fate is known."""
    record = case.record
    evidence = record.facts.get("evidence") or {}
    row = case.rows.head(1) if case.rows is not None and case.is_published else None
    return Explanation(
        job=record.job,
        key=case.key,
        fate=fate,
        detail=detail,
        hint=_hint(case, fate),
        partition=record.partition,
        published=None if row is None else plain(row),
        output=str(case.path),
        run={name: getattr(record, name) for name in ("run_id", "state", "reason", "started_at", "updated_at")},
        model=record.facts["model"] | {"accelerated": bool(evidence.get("accelerated")), "evidence": evidence},
        code=record.facts.get("code") or {},
        input=came,
        recheck=recheck,
        others=tuple(
            {"run_id": one.run_id, "model": one.facts["model"]["version"], "paths": list(one.facts["paths"])}
            for one in case.others
        ),
        notes=tuple(case.notes),
    )


def _hint(case: Case, fate: str) -> str:
    words = {QUARANTINED: "quarantine show", LOST: "verify", SCORED: "check"}.get(fate)
    return case.assembly.command(words, case.record.partition) if words else ""
