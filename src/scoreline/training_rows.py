"""Training rows: what a model learns from, through the job's own source, contract, filters and features.

The functions are those of scoring, so a row is admitted here exactly if it is scored there; a row without a target is
rejected on top. It must not know what is learned from the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from scoreline.abc import Source
from scoreline.assembly import Assembly
from scoreline.errors import InputInvalid, InputMissing, JobError, Refused
from scoreline.job import Job
from scoreline.partition import Partition
from scoreline.rejects import Rejects
from scoreline.report import Counts
from scoreline.score import admitted, model_inputs, numbered
from scoreline.splits import FileIdentity

_SHOWN = 3

Surveyed = dict[Partition, tuple[FileIdentity, ...]]
"""The pinned input files of each partition."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of one unit.

    Attributes:
        features: (rows, features in declared order), as the model reads them when it scores.
        target: (rows,) what it has to predict.
        counts: where the unit's rows went; ``scored`` are those that are here.
    """

    features: pl.DataFrame
    target: pl.Series
    counts: Counts


def require_trainable(job: Job) -> str:
    """The name of the job's target.

    Raises:
        JobError: the job says not what to learn, or how; or a feature would tell the answer.
    """
    if job.fit is None or job.target is None:
        lacking = " and ".join(name for name in ("target", "fit") if getattr(job, name) is None)
        raise JobError(
            f"job {job.name!r} cannot be trained: it declares no {lacking}",
            hint='add to the job:\n    target="duration",  # the derived value or input column that the model learns\n'
            "    fit=lambda frame: make_pipeline(DictVectorizer(), LinearRegression()).fit(\n"
            '        frame.drop("duration").to_dicts(), frame["duration"])',
        )
    for name, through in _told_the_answer(job, job.target):
        raise JobError(
            f"the feature {name!r} reads the target {job.target!r}"
            + (f" by way of {through!r}" if through != job.target else "")
            + ": the model would be told the answer",
            hint="take it out of features, or name another target",
        )
    return job.target


def _told_the_answer(job: Job, target: str) -> Iterator[tuple[str, str]]:
    """(feature, what it reads) where that is the target, or was made of it."""
    telling = {target}
    for made in job.derive:
        if telling.intersection(made.columns):
            telling.add(made.name)
    for feature in job.features:
        through = [name for name in feature.columns if name in telling] or [target] * (feature.name == target)
        if through:
            yield feature.name, through[0]


def survey(source: Source, partitions: Sequence[Partition]) -> Surveyed:
    """Pins the input of all partitions.

    Raises:
        InputMissing: of some there is none (yet); names them all.
    """
    found: Surveyed = {}
    missing: dict[str, InputMissing] = {}
    for partition in partitions:
        try:
            found[partition] = source.fingerprint(partition)
        except InputMissing as error:
            if len(partitions) == 1:
                raise
            missing[partition.slug] = error
    if missing:
        cause = next(iter(missing.values()))
        raise InputMissing(
            f"{len(missing)} of {len(partitions)} partitions have no input: {', '.join(missing)}",
            hint=f"fetch them, or give a range without them; {cause.hint or cause.message}",
            missing=list(missing),
        )
    return found


def chunks(job: Job, source: Source, partition: Partition, files: Sequence[FileIdentity]) -> Iterator[Chunk]:
    """The rows of a partition that a model may learn from, one unit at a time.

    Raises:
        ConservationBroken: rows were lost on the way.
        InputInvalid: a file, or the target, cannot be read as declared.
    """
    target = require_trainable(job)
    made = {feature.name for feature in job.derive}
    columns = job.input_columns if target in made else tuple(dict.fromkeys((*job.input_columns, target)))
    total = Counts()
    for split in source.splits(files, 1):
        for batch in source.read(split, columns):
            raw, rejects = numbered(batch.frame, batch.first_row), Rejects()
            ready, counts = admitted(job, raw, partition, rejects)
            ready = rejects.take(ready, _no_target(ready, target))
            features, ready = model_inputs(ready, job.features, rejects)
            rejected = rejects.rows(raw, split.file.path).height
            counts += Counts(0, features.height, {}, rejected, rejects.reasons)
            total += counts
            yield Chunk(features, ready[target], counts)
    total.require_conserved(sum(file.rows for file in files), f"training rows of {partition}")


def _no_target(frame: pl.DataFrame, target: str) -> dict[str, pl.Expr]:
    kind, value = frame.schema[target], pl.col(target)
    if kind.is_nested() or kind.is_temporal():
        raise InputInvalid(
            f"the target {target!r} is {kind}, which no model predicts",
            hint="name a number, a text or a boolean; a duration is made by derive=[duration(...)]",
        )
    reasons = {f"target:{target}:null": value.is_null()}
    return reasons | ({f"target:{target}:not finite": ~value.is_finite()} if kind.is_float() else {})


def require_passable(assembly: Assembly, partition: Partition, counts: Counts) -> None:
    """Applies the job's gates to a partition's rows, as a run does before it publishes.

    Raises:
        Refused: a gate says no.
    """
    refusals = assembly.job.gates.refusals(counts)
    if refusals:
        worst = sorted(counts.reasons.items(), key=lambda item: -item[1])[:_SHOWN]
        shown = "; ".join(f"{reason} {rows:,}" for reason, rows in worst)
        raise Refused(
            f"{partition} is not fit to learn from: {'; '.join(refusals)}" + (f" ({shown})" if shown else ""),
            hint=f"{assembly.command('run', partition)} keeps the rejected rows for you to see; mend the input, "
            "leave the partition out, or change gates= in the job",
            refusals=refusals,
        )


def training_frame(chunks: Sequence[Chunk], target: str) -> pl.DataFrame:
    """(rows, features in declared order + target), in input order, one type for each column."""
    return pl.concat([one.features.with_columns(one.target.alias(target)) for one in chunks], how="vertical_relaxed")


def trained_on(surveyed: Surveyed, frame: pl.DataFrame) -> dict[str, Any]:
    """What a card says of the training rows: the same wherever the files lie."""
    from scoreline.rowsum import RowSum  # loads NumPy, which nobody else needs so early

    files = [
        {
            "partition": partition.slug,
            "name": file.path.rpartition("/")[2],
            "size": file.size,
            "rows": file.rows,
            "footer": file.footer,
            **({"corrections": list(file.corrections)} if file.corrections else {}),
        }
        for partition, own in surveyed.items()
        for file in own
    ]
    slugs = [partition.slug for partition in surveyed]
    return {"partitions": slugs, "files": files, "rows": frame.height, "digest": RowSum.of(frame, 0).digest()}
