"""Check: everything that can be known about a job without a run, one finding after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from scoreline.abc import Model
from scoreline.assembly import Assembly
from scoreline.due import survey
from scoreline.errors import InputInvalid, InputMissing, ScorelineError
from scoreline.linting import require_sound
from scoreline.partition import Partition
from scoreline.preflight import SAMPLE_ROWS, examine, first_rows
from scoreline.score import Constants, score_rows
from scoreline.vetting import vet

_FOREIGN = 20
"""Rows whose category the model does not know, every one of them, before a check takes the feature for a wrong one."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of one check.

    Attributes:
        name: what was checked.
        ok: True when it passed, False when it failed, None when it could not be tried.
        detail: what was found.
        hint: what to do about it.
    """

    name: str
    ok: bool | None
    detail: str
    hint: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def check(assembly: Assembly, partition: Partition | None = None) -> list[Checked]:
    """Checks declaration, model, input, row-wise expressions and parity; publishes nothing.

    Args:
        assembly: of the job.
        partition: whose first rows are the sample; by default the newest that is there.
    """
    findings = [_tried("declaration", lambda: _declaration(assembly))]
    if not findings[0].ok:
        return findings
    loaded: list[Model] = []
    findings.append(_tried("model", lambda: _model(assembly, loaded)))
    there: list[Partition] = [partition] if partition else []
    findings.append(_tried("input", lambda: _input(assembly, there)))
    if loaded and there:
        findings.append(_tried("rows", lambda: _rows(assembly, loaded[0], there[0])))
    else:
        findings.append(Checked("rows", None, "not tried: needs a model and input"))
    return findings


def _tried(name: str, attempt: Callable[[], str]) -> Checked:
    try:
        return Checked(name, ok=True, detail=attempt())
    except ScorelineError as error:
        return Checked(name, ok=False, detail=error.message, hint=error.hint)


def _declaration(assembly: Assembly) -> str:
    job = assembly.job
    require_sound(job)
    return f"{job.key}: {len(job.features)} features, {len(job.filters)} filters, {len(job.output)} output columns"


def _model(assembly: Assembly, loaded: list[Model]) -> str:
    version = assembly.models.resolve(str(assembly.job.model))
    model_file = assembly.models.fetch(version)
    model = model_file.load([feature.name for feature in assembly.job.features], assembly.job.predict)
    notes = vet(assembly.job, model_file, model, assembly.accept_version)
    loaded.append(model)
    about = model.describe()
    warned = "".join(f"; {note}" for note in [*about.get("warnings", ()), *notes])
    return f"{about['kind']}, reads {', '.join(about['inputs'])}, digest {version.digest[:12]}{warned}"


def _input(assembly: Assembly, there: list[Partition]) -> str:
    if not there:
        found = assembly.source.partitions()
        there += found[-1:]
        if not found:
            raise InputMissing(
                f"no partition is there: nothing matches {assembly.job.source.path!r} in {assembly.job.source.under}",
                hint="correct source= in the job, or its parameters by --set",
            )
        return f"{len(found)} partitions are there: {found[0]} to {found[-1]}"
    files = assembly.source.fingerprint(there[0])
    return f"{there[0]}: {len(files)} files, {sum(file.rows for file in files):,} rows"


def _rows(assembly: Assembly, model: Model, partition: Partition) -> str:
    found = survey(assembly, partition)
    splits = assembly.source.splits(found.files, 1)
    sample = first_rows(assembly.source, splits, assembly.job.input_columns)
    if sample is None:
        return f"{partition} has no rows to try"
    constants = Constants(partition, "check", found.model.version, assembly.now())
    evidence = examine(assembly.job, model, sample, splits[0], constants, compiles=assembly.compiles)
    if evidence.parity is None:
        how = "the model itself predicts" + (f": {evidence.reason}" if evidence.reason else "")
    elif evidence.accelerate:
        how = f"the accelerated form agrees ({evidence.parity.detail}, {evidence.parity.rows:,} rows)"
    else:
        how = f"the accelerated form DISAGREES ({evidence.parity.detail}), so the model itself predicts"
    counts = score_rows(assembly.job, model, sample.head(SAMPLE_ROWS), constants, splits[0], 0).counts
    if counts.quarantined and not counts.scored:
        see = assembly.command("run", partition, "--limit", 20, "--preview")
        raise InputInvalid(
            f"none of the first {counts.rows_in:,} rows of {partition} would be scored: {counts.left_out:,} filtered, "
            f"{counts.quarantined:,} quarantined ({_each(counts.reasons)})",
            hint=f"correct the contract, or the input; to see rows: {see}",
        )
    foreign = [name for name, rows in counts.unseen.items() if rows == counts.scored >= _FOREIGN]
    if foreign:
        raise InputInvalid(
            f"{', '.join(map(repr, foreign))} of the first {counts.scored:,} rows of {partition}: not one value is "
            "among the categories that the model has learned",
            hint="make the feature as training made it (007 is not 7, and 7.0 is not 7); what it is now: "
            f"scoreline run JOB {partition} --limit 5 --preview",
        )
    return (
        f"first rows of {partition}: every expression looks at its own row only; {how}; of {counts.rows_in:,} rows "
        f"{counts.scored:,} are scored, {counts.left_out:,} filtered, {counts.quarantined:,} quarantined"
        + (f" ({_each(counts.reasons)})" if counts.reasons else "")
    )


def _each(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {rows:,}" for name, rows in counts.items())
