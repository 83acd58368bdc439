"""Preflight: what is shown on a run's first rows before all of them are scored.

Every declared expression looks at its own row only, and an accelerated model agrees with its original. It is shown anew
when the model, the job, the types of the input or a library change; ``check`` shows it without a run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

import polars as pl

from scoreline.abc import Compiled, Model, ModelFile, ModelVersion, Parity, Source, TellsWhy
from scoreline.assembly import Assembly
from scoreline.contract import Rule
from scoreline.errors import JobError, ModelFailed, NotRowWise
from scoreline.expressions import beyond_own_row, wrapping_part
from scoreline.job import Job
from scoreline.output import GIVEN, PREDICTION, SCORED_AT, UTC_INSTANT, shape
from scoreline.rejects import Rejects
from scoreline.rowwise import require_row_wise
from scoreline.score import (
    Constants,
    admitted,
    derived,
    in_parts,
    keep,
    kept_contract,
    model_inputs,
    numbered,
    parts_of,
    predict_rows,
    with_given,
)
from scoreline.splits import Split
from scoreline.vetting import require_features, vet

SAMPLE_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """What preflight found.

    Attributes:
        rows: rows of the sample that the filters kept.
        parity: of the accelerated form; None when there is none, or no row to compare.
        shared: whether earlier runs have found it, on rows of the same types.
        differing: (rows, features and both predictions, without those of what refuses rows) of an accelerated form
            that disagreed.
        reason: why the model has no compiled form.
    """

    rows: int
    parity: Parity | None
    shared: bool = False
    differing: pl.DataFrame | None = field(default=None, repr=False, compare=False)
    reason: str = ""

    @property
    def accelerate(self) -> bool:
        """True when an accelerated form may be used."""
        return self.parity is not None and self.parity.agrees

    def to_dict(self) -> dict[str, Any]:
        """JSON form, for the ledger."""
        parity = self.parity and asdict(self.parity)
        told = {"rows": self.rows, "accelerated": self.accelerate, "parity": parity}
        return told | ({"shared": True} if self.shared else {}) | ({"reason": self.reason} if self.reason else {})


@dataclass
class Tried:
    """What earlier runs have found with the same job and model, on rows of the same types.

    Small files show little each. Once their samples add up to that of a large one, nothing more is to be learned.

    Attributes:
        rows: kept rows of all samples.
        found: the evidence of the largest one.
        doubted: whether a form has disagreed: then every run looks for itself.
    """

    rows: int = 0
    found: Evidence | None = None
    doubted: bool = False

    def evidence(self, find: Callable[[], Evidence]) -> Evidence:
        """What was found before, if that is enough, else what ``find`` finds in this run's own rows."""
        if self.found is not None and self.rows >= SAMPLE_ROWS and not self.doubted:
            return replace(self.found, shared=True)
        now = find()
        self.doubted |= now.parity is not None and not now.parity.agrees
        self.rows += now.rows
        if self.found is None or now.rows > self.found.rows:
            self.found = now
        return now


@dataclass(frozen=True, slots=True)
class Vetted:
    """A pinned model that may be used.

    Attributes:
        file: the pinned content.
        features: names of the job's features.
        about: what the model says of itself.
        notes: on it, for people.
        compiled: what an earlier run has made and shown of it; then the model itself has not been loaded.
        predict: what the job asks of it.
        compiles: whether it may become a compiled form.
    """

    file: ModelFile
    features: tuple[str, ...]
    about: dict[str, Any]
    notes: Sequence[str]
    compiled: Compiled | None = None
    predict: str = "value"
    compiles: bool = True

    def original(self) -> Model:
        """The model itself; loading it may take seconds."""
        return self.file.load(self.features, self.predict)

    def keep(self, evidence: Evidence, types: str, now: datetime) -> None:
        """Keeps the accelerated form and the evidence for it, so that later runs need not load the model.

        One that has disagreed is not kept any longer either.

        Args:
            evidence: what was found.
            types: what it holds for.
            now: when it was found.
        """
        if evidence.parity is None:
            return
        if not evidence.parity.agrees:
            # What an earlier run has shown of the same form was not enough.
            self.file.forget(self.features, self.predict)
            return
        form = self.original().accelerated()
        if form is None:
            return
        shown = dict(self.compiled.shown) if self.compiled else {}
        before = shown.get(types)
        rows = evidence.parity.rows + (before.rows if before else 0)
        shown[types] = replace(evidence.parity, rows=rows, at=now.isoformat(timespec="seconds"))
        made = Compiled(form, self.about, tuple(self.notes), shown)
        self.file.keep(self.features, made, self.predict)


def vetted(assembly: Assembly, version: ModelVersion) -> Vetted:
    """A pinned model that may be used.

    Whether it may is found out once for all runs of an assembly: neither the pinned model nor the job changes. A
    compiled form that an earlier run has kept was vetted then, by the same versions.

    Raises:
        ScorelineError: it may not; see `scoreline.vetting.vet`.
    """
    file, features = assembly.models.fetch(version), tuple(feature.name for feature in assembly.job.features)
    predict = assembly.job.predict
    # What was accepted by an option is accepted for that run alone.
    afresh = assembly.verify_model or assembly.accept_version or not assembly.compiles
    compiled = None if afresh else file.compiled(features, predict)
    if compiled is not None:
        require_features(assembly.job, file)
        return Vetted(file, features, compiled.about, compiled.notes, compiled, predict)
    model = file.load(features, predict)
    notes = assembly.once.get(("vet", version.digest), lambda: vet(assembly.job, file, model, assembly.accept_version))
    about = assembly.once.get(("about", version.digest), model.describe)
    return Vetted(file, features, about, notes, predict=predict, compiles=assembly.compiles)


def first_rows(source: Source, splits: Sequence[Split], columns: Sequence[str]) -> pl.DataFrame | None:
    """The first unit of a partition, None when it has none."""
    for split in splits:
        for batch in source.read(split, columns):
            return batch.frame
    return None


def _expressions(job: Job) -> Iterator[tuple[str, pl.Expr]]:
    """Name -> expression of all that is declared with one; filters are named as the row-wise check names them."""
    for feature in (*job.derive, *job.features):
        if feature.expr is not None:
            yield feature.name, feature.expr
    yield from ((f"rule {name}", holds) for name, holds in _rules(job).items())
    yield from ((f"filter {rule.name}", rule.keep) for rule in job.filters)
    yield from ((column.name, column.expr) for column in job.output)


def _rules(job: Job) -> dict[str, pl.Expr]:
    return {part.name: part.holds for part in job.contract if isinstance(part, Rule) and part.holds is not None}


def _require_own_row(job: Job) -> None:
    for name, expr in _expressions(job):
        part = beyond_own_row(expr)
        if part is not None:
            raise NotRowWise(
                f"{name!r} looks at more than its own row: {part}",
                hint="learn such constants in training and keep them with the model",
                columns=[name],
            )


def _require_wide(job: Job, none: pl.DataFrame, constants: Constants) -> None:
    """Refuses arithmetic that can wrap, for the types of these rows; ``none`` is the sample without its rows."""
    kept, _ = admitted(job, none, constants.partition, Rejects())
    inputs, ready = model_inputs(kept, job.features, Rejects())
    made = {column.name: column.dtype for column in job.output}
    given = {name: pl.String() for name in GIVEN} | {PREDICTION: pl.Float64(), SCORED_AT: UTC_INSTANT}
    schema: dict[str, pl.DataType] = made | given | dict(inputs.schema) | dict(ready.schema)
    for name, expr in _expressions(job):
        found = wrapping_part(expr, schema)
        if found is not None:
            raise JobError(
                f"{name!r} computes {found[0]} as {found[1]}, where large results wrap without an error",
                hint="widen it first, such as pl.col('time').dt.hour().cast(pl.Int64) * 60",
            )


def evidence_for(job: Job, model: Vetted, sample: pl.DataFrame, split: Split, constants: Constants) -> Evidence:
    """What `examine` finds; the model itself is loaded only where earlier runs have not shown enough.

    Evidence that is new is kept for later runs.
    """
    types = _types_of(job, sample)
    before = model.compiled.shown.get(types) if model.compiled is not None else None
    if before is not None and before.rows >= SAMPLE_ROWS:
        return Evidence(before.rows, before, shared=True)
    found = examine(job, model.original(), sample, split, constants, compiles=model.compiles)
    model.keep(found, types, constants.scored_at)
    return found


def examine(
    job: Job, model: Model, sample: pl.DataFrame, split: Split, constants: Constants, *, compiles: bool = True
) -> Evidence:
    """Checks the job's expressions, and the model's accelerated form, on real rows.

    Args:
        job: the declaration.
        model: the original.
        sample: (rows, input columns), the first of the partition; `SAMPLE_ROWS` of those that keep the contract are
            tried, and as many of those that the filters keep.
        split: where they come from.
        constants: of the run.
        compiles: whether the model may become an accelerated form.

    Raises:
        NotRowWise: an expression looks at more than its own row.
        ScorelineError: the rows cannot be evaluated, as in a run.
    """
    rows = Rejects().take_broken(numbered(sample, 0))
    _require_own_row(job)
    _require_wide(job, rows.clear(), constants)
    good, _ = kept_contract(job, rows, constants.partition, Rejects())
    # What a derived value cannot be made of is rejected in scoring; here it would change the rows' company.
    sure = derived(good, job.derive, Rejects()).select(good.columns)

    def before_filters(frame: pl.DataFrame) -> pl.DataFrame:
        rules = [holds.alias(f"rule {name}") for name, holds in _rules(job).items()]
        made = [pl.col(feature.name) for feature in job.derive]
        filters = [rule.keep.alias(f"filter {rule.name}") for rule in job.filters]
        ready = derived(frame, job.derive, Rejects())
        return pl.concat([frame.select(rules), ready.select(made + filters)], how="horizontal")

    require_row_wise(before_filters, sure.head(SAMPLE_ROWS))
    kept = keep(derived(sure, job.derive, Rejects()), job.filters, Rejects())[0].head(SAMPLE_ROWS)
    if not kept.height:
        return Evidence(0, None)
    inputs, ready = model_inputs(kept, job.features, Rejects())

    def features(frame: pl.DataFrame) -> pl.DataFrame:
        return model_inputs(frame, job.features, Rejects())[0]

    require_row_wise(features, ready.select(kept.columns))
    # Predictions are made once: their last bits may depend on how many rows a model sees at a time.
    inputs, ready, predictions = predict_rows(model, inputs, ready, Rejects())
    if not ready.height:
        return Evidence(0, None)
    given = with_given(job, ready, predictions.values, constants, split, Rejects())
    require_row_wise(lambda frame: shape(frame, job.output)[0], given)
    if not compiles:
        return Evidence(kept.height, None, reason="SCORELINE_COMPILE is false")
    return _compared(job, model, inputs, ready.select(kept.columns), Evidence(kept.height, None))


def _compared(job: Job, model: Model, inputs: pl.DataFrame, rows: pl.DataFrame, so_far: Evidence) -> Evidence:
    """The evidence on a model's accelerated form, by what it and its original make of the same rows."""
    candidate = model.accelerated()
    so_far = replace(so_far, reason=model.uncompiled() if isinstance(model, TellsWhy) else "")
    if candidate is None:
        return so_far
    wanted = inputs.select(model.inputs)
    parity = model.parity(candidate, wanted)
    if parity.agrees:
        parity = _same_in_parts(job, candidate, wanted, rows, parity)
    differing = None if parity.agrees else _side_by_side(wanted, model, candidate)
    return replace(so_far, parity=parity, differing=differing)


def _same_in_parts(job: Job, form: Model, inputs: pl.DataFrame, rows: pl.DataFrame, parity: Parity) -> Parity:
    """The same evidence, unless the form says something else of features that are given in parts."""
    apart = in_parts(form, job)
    if apart is form:
        return parity
    given = model_inputs(rows, job.features, Rejects(), parts_of(apart))[0]
    whole, parts = form.predict(inputs), apart.predict(given.select(form.inputs))
    if whole.unseen == parts.unseen and whole.values.equals(parts.values, null_equal=True):
        return parity
    return replace(parity, agrees=False, detail="crossed numbers and their text make different predictions")


def _side_by_side(inputs: pl.DataFrame, model: Model, form: Model) -> pl.DataFrame:
    """(rows, features and both predictions) of the rows where they differ; all rows where one of the two refuses some.

    What refuses rows has no predictions there.
    """
    asked = {"scoreline.original": model, "scoreline.form": form}
    told = {name: values for name, one in asked.items() if (values := _predicted(one, inputs)) is not None}
    both = inputs.with_columns(values.alias(name) for name, values in told.items())
    if len({values.dtype for values in told.values()}) != 1 or len(told) != len(asked):
        return both
    return both.filter(pl.col("scoreline.original").ne_missing(pl.col("scoreline.form")))


def _predicted(model: Model, inputs: pl.DataFrame) -> pl.Series | None:
    try:
        return model.predict(inputs).values
    except ModelFailed:
        return None


def _types_of(job: Job, sample: pl.DataFrame) -> str:
    """What evidence holds for: a job that computes the same, and input of the same types."""
    types = {name: str(kind) for name, kind in sample.schema.items()}
    return json.dumps({"job": job.scoring_digest, "input": types}, sort_keys=True)
