"""Preflight: what is shown on a run's first rows before all of them are scored.

Every declared expression looks at its own row only, and an accelerated model agrees with its original. A run does this
each time, because data and models change; ``check`` does it without a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import polars as pl

from scoreline.abc import Model, ModelVersion, Parity, Source
from scoreline.assembly import Assembly
from scoreline.contract import Rule
from scoreline.errors import JobError, NotRowWise
from scoreline.expressions import beyond_own_row, wrapping_part
from scoreline.job import Job
from scoreline.output import GIVEN, PREDICTION, SCORED_AT, UTC_INSTANT, shape
from scoreline.rejects import Rejects
from scoreline.rowwise import require_row_wise
from scoreline.score import (
    Constants,
    admitted,
    derived,
    keep,
    kept_contract,
    model_inputs,
    numbered,
    predict_rows,
    with_given,
)
from scoreline.splits import Split
from scoreline.vetting import vet

SAMPLE_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """What preflight found.

    Attributes:
        rows: rows of the sample that the filters kept.
        parity: of the accelerated form; None when there is none, or no row to compare.
        shared: whether earlier runs of the same backfill have found it, on rows of the same types.
    """

    rows: int
    parity: Parity | None
    shared: bool = False

    @property
    def accelerate(self) -> bool:
        """True when an accelerated form may be used."""
        return self.parity is not None and self.parity.agrees

    def to_dict(self) -> dict[str, Any]:
        """JSON form, for the ledger."""
        parity = self.parity and asdict(self.parity)
        told = {"rows": self.rows, "accelerated": self.accelerate, "parity": parity}
        return told | ({"shared": True} if self.shared else {})


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


def vetted(assembly: Assembly, version: ModelVersion) -> tuple[Model, dict[str, Any], list[str]]:
    """A pinned model that may be used: loaded, with what it says of itself and the notes on it.

    Whether it may is found out once for all runs of an assembly: neither the pinned model nor the job changes.

    Raises:
        ScorelineError: it may not; see `scoreline.vetting.vet`.
    """
    file = assembly.models.fetch(version)
    model = file.load([feature.name for feature in assembly.job.features])
    notes = assembly.once.get(("vet", version.digest), lambda: vet(assembly.job, file, model, assembly.accept_version))
    return model, assembly.once.get(("about", version.digest), model.describe), notes


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


def examine(job: Job, model: Model, sample: pl.DataFrame, split: Split, constants: Constants) -> Evidence:
    """Checks the job's expressions, and the model's accelerated form, on real rows.

    Args:
        job: the declaration.
        model: the original.
        sample: (rows, input columns), the first of the partition; `SAMPLE_ROWS` of those that keep the contract are
            tried, and as many of those that the filters keep.
        split: where they come from.
        constants: of the run.

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
    candidate = model.accelerated()
    parity = model.parity(candidate, inputs.select(model.inputs)) if candidate else None
    return Evidence(kept.height, parity)
