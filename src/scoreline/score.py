"""Scoring rows: contract -> derive -> filters -> features -> predict -> shape, one unit at a time.

Training and explaining take the same steps. It must not know where rows come from, or where they go.
"""

from __future__ import annotations

import functools
import operator
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from scoreline.abc import Model, Predictions, TakesParts
from scoreline.contract import judge
from scoreline.culprits import culprits
from scoreline.errors import InputInvalid, ModelFailed, ModelInvalid
from scoreline.expressions import nan_as_null
from scoreline.features import Feature, Schema, category
from scoreline.filters import Filter
from scoreline.job import Job
from scoreline.output import MODEL_VERSION, PARTITION, PREDICTION, ROW_ID, RUN_ID, SCORED_AT, UTC_INSTANT, shape
from scoreline.partition import Partition
from scoreline.rejects import ROW, Rejects
from scoreline.report import Counts
from scoreline.shortage import ran_short
from scoreline.splits import Split
from scoreline.suspects import refused
from scoreline.writable import unwritable

_FEATURE = "scoreline.feature."


@dataclass(frozen=True, slots=True)
class Constants:
    """What is the same for all rows of a run.

    Attributes:
        partition: that is scored.
        run_id: of the run.
        model_version: as output columns call it.
        scored_at: when the run began, aware.
    """

    partition: Partition
    run_id: str
    model_version: str
    scored_at: datetime


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of some rows.

    Attributes:
        frame: (scored rows, declared output columns).
        rejected: (rejected rows, input columns as read + reasons, file and row number).
        counts: where all rows went.
    """

    frame: pl.DataFrame
    rejected: pl.DataFrame
    counts: Counts


def score_rows(
    job: Job,
    model: Model,
    frame: pl.DataFrame,
    constants: Constants,
    split: Split,
    first_row: int,
    spent: Counter[str] | None = None,
) -> Scored:
    """Scores rows of one file.

    Args:
        job: the declaration.
        model: the model, original or accelerated.
        frame: (rows, input columns), in input order.
        constants: of the run.
        split: where the rows come from.
        first_row: row number of the first one in its file.
        spent: stage -> seconds, added to.

    Raises:
        ScorelineError: an expression, the model or a declared type does not fit the input's types.
    """
    clock = _Laps(spent)
    raw, rejects = numbered(frame, first_row), Rejects()
    ready, counts = admitted(job, raw, constants.partition, rejects)
    inputs, ready = model_inputs(ready, job.features, rejects, parts_of(model))
    clock.lap("features")
    shaped, unseen = empty_output(job), {}
    if ready.height:
        inputs, ready, predictions = predict_rows(model, inputs, ready, rejects)
        clock.lap("predict")
        unseen = predictions.unseen
        if ready.height:  # else nothing was predicted, and nothing tells of what type it would have been
            shaped = shape_rows(job, with_given(job, ready, predictions.values, constants, split, rejects), rejects)
    rejected = rejects.rows(raw, split.file.path)
    clock.lap("shape")
    counts += Counts(0, shaped.height, {}, rejected.height, rejects.reasons, {}, unseen, nulls_in(job, shaped))
    return Scored(shaped, rejected, counts)


class _Laps:
    """Adds up the seconds of the stages."""

    def __init__(self, spent: Counter[str] | None) -> None:
        self._spent = Counter() if spent is None else spent
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self._spent[stage] += now - self._last  # type: ignore[assignment]
        self._last = now


def admitted(job: Job, raw: pl.DataFrame, partition: Partition, rejects: Rejects) -> tuple[pl.DataFrame, Counts]:
    """The rows that keep the contract and pass the filters, with the derived values; training takes them too.

    Args:
        job: the declaration.
        raw: (rows, input columns) with their numbers.
        partition: that they belong to.
        rejects: takes records that are no rows, and rows that break the contract or that a filter cannot decide.

    Returns:
        The rows, and counts of rows in, filtered and warned about.
    """
    good, warnings = kept_contract(job, rejects.take_broken(raw), partition, rejects)
    frame, filtered = keep(derived(good, job.derive, rejects), job.filters, rejects)
    return frame, Counts(raw.height, 0, filtered, warnings=warnings)


def kept_contract(
    job: Job, frame: pl.DataFrame, partition: Partition, rejects: Rejects
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows that keep the contract, in its types, and how many of them break a warn-only rule.

    Raises:
        InputInvalid: a column has a type that no value of it could survive.
    """
    if not job.contract:
        return frame, {}
    verdict = judge(job.contract, frame, partition, text=job.source.is_text)
    good = rejects.take(verdict.good, verdict.broken)
    bad = functools.reduce(operator.or_, verdict.broken.values()) if good.height < frame.height else None
    counts = {name: int((mask if bad is None else mask & ~bad).sum()) for name, mask in verdict.warnings.items()}
    return good, {name: count for name, count in counts.items() if count}


def predict_rows(
    model: Model, inputs: pl.DataFrame, frame: pl.DataFrame, rejects: Rejects
) -> tuple[pl.DataFrame, pl.DataFrame, Predictions]:
    """Predictions for (rows, features); ``frame`` has the same rows with their numbers.

    Where the model raises, the rows are rejected that it cannot take because features are infinite, missing or never
    seen, and a few for which it raises although nothing of that explains it. So are rows whose prediction is missing,
    infinite or not a number.

    Returns:
        (rows, features), the frame and the predictions of the rows that are left.

    Raises:
        ModelFailed: the model raised, and neither anything suspect nor a few rows explain it.
    """
    inputs, frame, predictions = _predicted(model, inputs, frame, rejects)
    values = predictions.values
    if values.len() != frame.height:
        raise ModelInvalid(f"the model made {values.len()} predictions for {frame.height} rows")
    nothing = undecided(values)
    if not nothing.any():
        return inputs, frame, predictions
    left = rejects.take(frame, {"prediction:not finite": nothing})
    return inputs.filter(~nothing), left, Predictions(values.filter(~nothing), predictions.unseen)


def undecided(values: pl.Series) -> pl.Series:
    """(rows,) whether a prediction, or one of its numbers, is missing, infinite or not a number."""
    if isinstance(values.dtype, pl.Struct):
        parts = [undecided(values.struct.field(part.name)) for part in values.dtype.fields]
        return pl.select(pl.any_horizontal(values.is_null(), *parts)).to_series()
    if not values.dtype.is_float():
        return values.is_null()
    finite = values.is_finite()
    return ~(finite.fill_null(value=False) if finite.null_count() else finite)


def _predicted(
    model: Model, inputs: pl.DataFrame, frame: pl.DataFrame, rejects: Rejects
) -> tuple[pl.DataFrame, pl.DataFrame, Predictions]:
    try:
        return inputs, frame, model.predict(inputs.select(model.inputs))
    except ModelFailed as error:
        if ran_short(error):
            raise
        for explain in (functools.partial(refused, error=error), culprits):
            broken = explain(model, inputs.select(model.inputs))
            if not broken:
                continue
            clear = ~pl.select(pl.any_horizontal(list(broken.values()))).to_series()
            inputs, frame = inputs.filter(clear), rejects.take(frame, broken)
            # In one call, as if the others had never been there.
            predictions = _tried(model, inputs)
            if predictions is not None:
                return inputs, frame, predictions
        raise


def _tried(model: Model, inputs: pl.DataFrame) -> Predictions | None:
    """Predictions for (rows, features), also for none of them; None where the model raises."""
    if not inputs.height:
        return Predictions(pl.Series(dtype=pl.Float64))
    try:
        return model.predict(inputs.select(model.inputs))
    except ModelFailed as error:
        if ran_short(error):
            raise
        return None


def shape_rows(job: Job, frame: pl.DataFrame, rejects: Rejects) -> pl.DataFrame:
    """The declared output columns of rows with their numbers; a row with a value that does not fit is rejected."""
    shaped, broken = shape(frame, job.output)
    broken |= unwritable(shaped, job.sink_files)
    if not broken:
        return shaped
    left = rejects.take(frame.select(ROW), broken)
    return shaped.filter(frame[ROW].is_in(left[ROW].implode()))


def nulls_in(job: Job, shaped: pl.DataFrame) -> dict[str, int]:
    """Output column with a gate on its nulls -> how many it has."""
    return {name: shaped[name].null_count() for name in job.gates.null_percent}


def numbered(frame: pl.DataFrame, first_row: int) -> pl.DataFrame:
    """``frame`` with the row numbers that ids and messages use, counted in the input before filters."""
    return frame.with_columns(pl.int_range(first_row, first_row + frame.height, dtype=pl.Int64).alias(ROW))


def derived(frame: pl.DataFrame, features: Sequence[Feature], rejects: Rejects) -> pl.DataFrame:
    """``frame`` with the job's derived values; each may use, and replace, what was there before it.

    Raises:
        InputInvalid: an expression cannot be evaluated on these types.
    """
    for feature in features:
        frame = _sure(frame, feature, rejects)
        frame = frame.with_columns(_value(frame, feature))
    return frame


def in_parts(form: Model, job: Job) -> Model:
    """The form for crossed whole numbers that are not joined to text first, where it has such a way to read them."""
    read = {name for feature in job.features for name in feature.columns}
    read |= {name for column in job.output for name in column.expr.meta.root_names()}
    crossed = {
        feature.name: dict(feature.options)["sep"]
        for feature in job.features
        if _is_pair(feature) and feature.name not in read  # else somebody wants the text
    }
    return form.in_parts(crossed) if crossed and isinstance(form, TakesParts) else form


def parts_of(model: Model) -> frozenset[str]:
    """Features that a model reads in parts."""
    return model.parts if isinstance(model, TakesParts) else frozenset()


def _is_pair(feature: Feature) -> bool:
    return feature.kind == "cross" and len(feature.columns) == 2 and len(set(feature.columns)) == 2


def model_inputs(
    frame: pl.DataFrame, features: Sequence[Feature], rejects: Rejects, parts: frozenset[str] = frozenset()
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What the model reads.

    A feature may have the name of a column that it is made from: the model then reads the feature, and output columns
    the column.

    Args:
        frame: (rows, input columns and derived values).
        features: the declaration.
        rejects: takes rows whose value would have to be guessed.
        parts: crossed features that the model wants as their two numbers; where these are no Int64, they stay text.

    Returns:
        (rows, features in order), and ``frame`` with the features that have names of their own.

    Raises:
        InputInvalid: an expression cannot be evaluated on these types.
    """
    for feature in features:
        frame = _sure(frame, feature, rejects)
        if feature.name in parts and all(frame.schema[name] == pl.Int64 for name in feature.columns):
            first, second = feature.columns
            pair = pl.struct(pl.col(first).alias("0"), pl.col(second).alias("1"))
            frame = frame.with_columns(pair.alias(_FEATURE + feature.name))
            continue
        values = _value(frame, feature)
        # Under a name of its own too, so that it stays in step with rows that a later feature rejects.
        own = [] if feature.name in frame.columns else [values]
        frame = frame.hstack([values.alias(_FEATURE + feature.name), *own])
    inputs = [frame.get_column(_FEATURE + feature.name).alias(feature.name) for feature in features]
    return pl.DataFrame(inputs), frame[[name for name in frame.columns if not name.startswith(_FEATURE)]]


def _sure(frame: pl.DataFrame, feature: Feature, rejects: Rejects) -> pl.DataFrame:
    """``frame`` without the rows whose value the feature would have to guess."""
    missing = [column for column in feature.columns if column not in frame.columns]
    if missing:
        raise InputInvalid(f"feature {feature.name!r} reads {missing[0]!r}, which is neither input nor made before it")
    return rejects.take(frame, feature.broken(frame.schema))


def _value(frame: pl.DataFrame, feature: Feature) -> pl.Series:
    try:
        values = frame.select(feature.resolve(frame.schema)).to_series()
    except pl.exceptions.PolarsError as error:
        raise InputInvalid(f"feature {feature.name!r} cannot be computed: {error}") from error
    # A constant, or (until the row-wise check refuses it) an aggregate, comes as one value.
    values = values.new_from_index(0, frame.height) if values.len() == 1 else values
    if values.len() != frame.height:
        raise InputInvalid(f"feature {feature.name!r} makes {values.len()} values of {frame.height} rows")
    return values


def keep(frame: pl.DataFrame, filters: Sequence[Filter], rejects: Rejects) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows that all filters keep, and how many each of them left out; a row counts for its first rule.

    A row for which a filter is null is rejected: nobody knows whether it is wanted.
    """
    counts: dict[str, int] = {}
    for rule in filters:
        try:
            verdict = frame.select(nan_as_null(rule.keep, frame.schema).alias("keep")).to_series()
        except pl.exceptions.PolarsError as error:
            raise InputInvalid(f"filter {rule.name!r} cannot be evaluated: {error}") from error
        if verdict.dtype != pl.Boolean or verdict.len() != frame.height:
            raise InputInvalid(f"filter {rule.name!r} gives {verdict.dtype} values, not one true or false for each row")
        if verdict.null_count():
            rejects.take(frame, {rule.null_reason: verdict.is_null()})
        counts[rule.name] = int((~verdict).sum())
        frame = frame.filter(verdict)
    return frame, counts


def empty_output(job: Job) -> pl.DataFrame:
    """The declared output columns without a row."""
    return pl.DataFrame(schema={column.name: column.dtype for column in job.output})


def with_given(
    job: Job, frame: pl.DataFrame, predictions: pl.Series, constants: Constants, split: Split, rejects: Rejects
) -> pl.DataFrame:
    """``frame`` with the columns that the run itself gives, as far as the output uses them.

    A row whose declared id is missing, or a number that is not whole, is rejected.
    """
    used = {name for column in job.output for name in column.expr.meta.root_names()}
    frame = frame.with_columns(predictions.alias(PREDICTION))
    if job.row_id is not None and ROW_ID in used:
        broken = category("row_id", job.row_id).broken(frame.schema)
        frame = rejects.take(frame, {f"row_id:{job.row_id}:null": pl.col(job.row_id).is_null(), **broken})
    slug = constants.partition.slug
    given = {
        ROW_ID: row_ids(job, frame.schema, slug, split.ordinal),
        MODEL_VERSION: pl.lit(constants.model_version),
        RUN_ID: pl.lit(constants.run_id),
        SCORED_AT: pl.lit(constants.scored_at, dtype=UTC_INSTANT),
        PARTITION: pl.lit(slug),
    }
    return frame.with_columns(expr.alias(name) for name, expr in given.items() if name in used)


def row_ids(job: Job, schema: Schema, slug: str, ordinal: int) -> pl.Expr:
    """The declared id column as text, else ``<slug>_<file ordinal>-<row number in the input>``.

    Whole numbers have no decimal point, also where a missing value elsewhere has made floats of them.
    """
    if job.row_id is not None:
        floats = schema[job.row_id].is_float()
        return category(ROW_ID, job.row_id).resolve(schema) if floats else pl.col(job.row_id).cast(pl.String)
    return pl.concat_str([pl.lit(f"{slug}_{ordinal}-"), pl.col(ROW).cast(pl.String)])
