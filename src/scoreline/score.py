"""Scoring a split: read -> filters -> features -> predict -> shape -> write, in one worker, one unit at a time.

`ScoreSplit` is all that a worker needs; it pickles, and only a small report comes back. It must not know the ledger,
the engine, or which partition comes next.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from scoreline import crashpoints, durable
from scoreline.abc import Model, ModelFile, Predictions, Sink, Source, Staging
from scoreline.errors import InputInvalid, LossyCast, ModelFailed, ModelInvalid, RowsUnscorable
from scoreline.features import Feature, Schema, category
from scoreline.filters import Filter
from scoreline.job import Job
from scoreline.output import MODEL_VERSION, PARTITION, PREDICTION, ROW_ID, RUN_ID, SCORED_AT, UTC_INSTANT, shape
from scoreline.report import Counts, Receipt, SplitReport
from scoreline.splits import Split

_ROW = "scoreline.row"


@dataclass(frozen=True, slots=True)
class Constants:
    """What is the same for all rows of a run.

    Attributes:
        slug: of the partition.
        run_id: of the run.
        model_version: as output columns call it.
        scored_at: when the run began, aware.
    """

    slug: str
    run_id: str
    model_version: str
    scored_at: datetime


@dataclass(frozen=True)
class ScoreSplit:
    """Scores one split; the same object serves all splits of a run.

    Attributes:
        job: the declaration.
        source: reads the split.
        sinks: write its parts.
        stagings: one for each sink.
        model: the pinned model.
        accelerate: whether parity was shown for the accelerated form.
        constants: of the run.
        receipts: folder where the split's report is kept, for a later attempt at the same work.
    """

    job: Job
    source: Source
    sinks: tuple[Sink, ...]
    stagings: tuple[Staging, ...]
    model: ModelFile
    accelerate: bool
    constants: Constants
    receipts: Path

    @property
    def releases_interpreter(self) -> bool:
        """True when nearly all work runs outside Python's interpreter lock, so that threads are enough."""
        return self.accelerate

    def __call__(self, split: Split) -> SplitReport:
        """Scores the split, or finds that an earlier attempt already did."""
        kept = self._kept(split)
        if kept is not None:
            return kept
        model = self._load()
        counts, receipts, spent = Counts(), [], Counter[str]()
        started = time.perf_counter()
        for number, batch in enumerate(self.source.read(split, self.job.input_columns)):
            spent["read"] += time.perf_counter() - started  # type: ignore[assignment]
            frame, own = score_rows(self.job, model, batch.frame, self.constants, split, batch.first_row, spent)
            counts += own
            started = time.perf_counter()
            if frame.height:
                receipts += self._write(f"{split.index:06d}-{number:06d}", frame)
            spent["write"] += time.perf_counter() - started  # type: ignore[assignment]
            started = time.perf_counter()
        counts.require_conserved(split.rows, f"split {split.index} of {split.file.path}")
        report = SplitReport(split.index, counts, tuple(receipts), dict(spent))
        # The plan made the folder; if it is gone, so is the lease, and nothing may be left behind here.
        form = {"split": split.to_dict(), "report": report.to_dict()}
        durable.write_json(self._receipt_path(split), form, parents=False)
        crashpoints.reach("split.receipt_written")
        return report

    def _write(self, key: str, frame: pl.DataFrame) -> list[Receipt]:
        written = [sink.write(staging, key, frame) for sink, staging in zip(self.sinks, self.stagings, strict=True)]
        crashpoints.reach("split.part_written")
        return written

    def _load(self) -> Model:
        model = self.model.load([feature.name for feature in self.job.features])
        if not self.accelerate:
            return model
        accelerated = model.accelerated()
        if accelerated is None:
            raise ModelInvalid("the accelerated form that was checked cannot be made here")
        return accelerated

    def _receipt_path(self, split: Split) -> Path:
        return self.receipts / f"split-{split.index:06d}.json"

    def _kept(self, split: Split) -> SplitReport | None:
        form = durable.read_json(self._receipt_path(split))
        # A plan that was lost may have been cut anew: the receipt counts only for the same rows.
        if form is None or Split.from_dict(form["split"]) != split:
            return None
        report = SplitReport.from_dict(form["report"] | {"resumed": True})
        intact = all(_is_intact(receipt) for receipt in report.receipts)
        return report if intact else None


def _is_intact(receipt: Receipt) -> bool:
    path = Path(receipt.path)
    return path.is_file() and path.stat().st_size == receipt.size and durable.sha256_of(path) == receipt.sha256


def score_rows(
    job: Job,
    model: Model,
    frame: pl.DataFrame,
    constants: Constants,
    split: Split,
    first_row: int,
    spent: Counter[str] | None = None,
) -> tuple[pl.DataFrame, Counts]:
    """Scores rows of one file.

    Args:
        job: the declaration.
        model: the model, original or accelerated.
        frame: (rows, input columns), in input order.
        constants: of the run.
        split: where the rows come from.
        first_row: row number of the first one in its file.
        spent: stage -> seconds, added to.

    Returns:
        The declared output columns of the rows that were kept, and where all rows went.

    Raises:
        RowsUnscorable: a row can neither be scored nor filtered.
        ScorelineError: an expression, the model or a declared type does not fit the rows.
    """
    spent = Counter() if spent is None else spent
    started = time.perf_counter()
    rows_in = frame.height
    frame = numbered(frame, first_row)
    frame, filtered = keep(derived(frame, job.derive, split), job.filters, split)
    inputs, frame = model_inputs(frame, job.features, split)
    spent["features"] += time.perf_counter() - started  # type: ignore[assignment]
    if not frame.height:
        return empty_output(job), Counts(rows_in, 0, filtered)
    started = time.perf_counter()
    predictions = predict_rows(model, inputs, frame, split)
    spent["predict"] += time.perf_counter() - started  # type: ignore[assignment]
    started = time.perf_counter()
    shaped = shape_rows(job, with_given(job, frame, predictions.values, constants, split), split)
    spent["shape"] += time.perf_counter() - started  # type: ignore[assignment]
    return shaped, Counts(rows_in, shaped.height, filtered, {}, predictions.unseen)


def predict_rows(model: Model, inputs: pl.DataFrame, frame: pl.DataFrame, split: Split) -> Predictions:
    """Predictions for (rows, features); ``frame`` has the same rows with their numbers.

    Raises:
        ModelFailed: the model raised, or a prediction is missing, infinite or not a number; names the first such row.
    """
    try:
        predictions = model.predict(inputs.select(model.inputs))
    except ModelFailed as error:
        suspects = [inputs[name] for name in model.inputs if inputs.schema[name].is_numeric()]
        broken = _not_finite(suspects, frame)
        if not broken.len():
            raise
        what = f"{error.message}; {broken.len()} rows have a missing, infinite or not-a-number feature"
        raise _failed_on(broken, what, split) from error
    broken = _not_finite([predictions.values], frame)
    if broken.len():
        raise _failed_on(broken, f"the model predicts nothing finite for {broken.len()} rows", split)
    return predictions


def _failed_on(rows: pl.Series, what: str, split: Split) -> ModelFailed:
    return ModelFailed(
        f"{what}, the first is row {rows[0]} of {split.file.path} (counted from 0)",
        hint="leave such rows out by a filter, or train a model that reads missing values",
        rows=rows.len(),
        first=rows[0],
    )


def _not_finite(columns: Sequence[pl.Series], frame: pl.DataFrame) -> pl.Series:
    """Numbers of the rows where some of these values is null, infinite or not a number."""
    finite = [
        values.is_finite().fill_null(value=False) if values.dtype.is_float() else values.is_not_null()
        for values in columns
        if values.len() == frame.height
    ]
    return frame[_ROW].filter(~pl.select(pl.all_horizontal(finite)).to_series()) if finite else frame[_ROW].clear()


def shape_rows(job: Job, frame: pl.DataFrame, split: Split) -> pl.DataFrame:
    """The declared output columns of rows with their numbers; see `scoreline.output.shape`.

    Raises:
        LossyCast: a value does not fit its declared type; names its row.
    """
    try:
        return shape(frame, job.output)
    except LossyCast as error:
        if "first" not in error.facts:
            raise
        row = frame[_ROW][error.facts["first"]]
        raise LossyCast(
            f"{error.message}, in row {row} of {split.file.path} (counted from 0)",
            hint=error.hint,
            rows=error.facts["rows"],
            first=row,
        ) from error


def numbered(frame: pl.DataFrame, first_row: int) -> pl.DataFrame:
    """``frame`` with the row numbers that ids and messages use, counted in the input before filters."""
    return frame.with_columns(pl.int_range(first_row, first_row + frame.height, dtype=pl.Int64).alias(_ROW))


def derived(frame: pl.DataFrame, features: Sequence[Feature], split: Split) -> pl.DataFrame:
    """``frame`` with the job's derived values; each may use, and replace, what was there before it.

    Raises:
        RowsUnscorable: a value that a feature would have to guess.
        InputInvalid: an expression cannot be evaluated on these types.
    """
    for feature in features:
        frame = frame.with_columns(_value(frame, feature, split))
    return frame


def model_inputs(frame: pl.DataFrame, features: Sequence[Feature], split: Split) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What the model reads.

    A feature may have the name of a column that it is made from: the model then reads the feature, and output columns
    the column.

    Returns:
        (rows, features in order), and ``frame`` with the features that have names of their own.

    Raises:
        RowsUnscorable: a value that a feature would have to guess.
        InputInvalid: an expression cannot be evaluated on these types.
    """
    made: list[pl.Series] = []
    for feature in features:
        made.append(_value(frame, feature, split))
        if feature.name not in frame.columns:
            frame = frame.with_columns(made[-1])
    return pl.DataFrame(made), frame


def _value(frame: pl.DataFrame, feature: Feature, split: Split) -> pl.Series:
    missing = [column for column in feature.columns if column not in frame.columns]
    if missing:
        raise InputInvalid(f"feature {feature.name!r} reads {missing[0]!r}, which is neither input nor made before it")
    for reason, broken in feature.broken(frame.schema).items():
        _refuse(frame, broken, reason, split)
    try:
        values = frame.select(feature.resolve(frame.schema)).to_series()
    except pl.exceptions.PolarsError as error:
        raise InputInvalid(f"feature {feature.name!r} cannot be computed: {error}") from error
    # A constant, or (until the row-wise check refuses it) an aggregate, comes as one value.
    values = values.new_from_index(0, frame.height) if values.len() == 1 else values
    if values.len() != frame.height:
        raise InputInvalid(f"feature {feature.name!r} makes {values.len()} values of {frame.height} rows")
    return values


def keep(frame: pl.DataFrame, filters: Sequence[Filter], split: Split) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows that all filters keep, and how many each of them left out; a row counts for its first rule.

    Raises:
        RowsUnscorable: a filter evaluates to null, so nobody knows whether the row is wanted.
    """
    counts: dict[str, int] = {}
    for rule in filters:
        try:
            verdict = frame.select(_with_nan_as_null(rule, frame.schema).alias("keep")).to_series()
        except pl.exceptions.PolarsError as error:
            raise InputInvalid(f"filter {rule.name!r} cannot be evaluated: {error}") from error
        if verdict.dtype != pl.Boolean or verdict.len() != frame.height:
            raise InputInvalid(f"filter {rule.name!r} gives {verdict.dtype} values, not one true or false for each row")
        _refuse(frame, verdict.is_null(), rule.null_reason, split)
        before = frame.height
        frame = frame.filter(verdict)
        counts[rule.name] = before - frame.height
    return frame, counts


def _with_nan_as_null(rule: Filter, schema: Schema) -> pl.Expr:
    """The rule, null where a number that it reads is NaN: Polars takes NaN for larger than every number.

    A rule that asks for NaN itself knows what it does.
    """
    floats = [name for name in rule.keep.meta.root_names() if name in schema and schema[name].is_float()]
    if not floats or rule.asks_for_nan:
        return rule.keep
    return pl.when(pl.all_horizontal(pl.col(floats).is_not_nan().fill_null(value=True))).then(rule.keep)


def empty_output(job: Job) -> pl.DataFrame:
    """The declared output columns without a row."""
    return pl.DataFrame(schema={column.name: column.dtype for column in job.output})


def with_given(
    job: Job, frame: pl.DataFrame, predictions: pl.Series, constants: Constants, split: Split
) -> pl.DataFrame:
    """``frame`` with the columns that the run itself gives, as far as the output uses them.

    Raises:
        ModelInvalid: there is not one prediction for each row.
        RowsUnscorable: a row's declared id is missing, or a number that is not whole.
    """
    if predictions.len() != frame.height:
        raise ModelInvalid(f"the model made {predictions.len()} predictions for {frame.height} rows")
    used = {name for column in job.output for name in column.expr.meta.root_names()}
    if job.row_id is not None and ROW_ID in used:
        _refuse(frame, pl.col(job.row_id).is_null(), f"row_id:{job.row_id}:null", split)
        for reason, broken in category("row_id", job.row_id).broken(frame.schema).items():
            _refuse(frame, broken, reason, split)
    given = {
        ROW_ID: row_ids(job, frame.schema, constants.slug, split.ordinal),
        MODEL_VERSION: pl.lit(constants.model_version),
        RUN_ID: pl.lit(constants.run_id),
        SCORED_AT: pl.lit(constants.scored_at, dtype=UTC_INSTANT),
        PARTITION: pl.lit(constants.slug),
    }
    return frame.with_columns(
        predictions.alias(PREDICTION), *(expr.alias(name) for name, expr in given.items() if name in used)
    )


def row_ids(job: Job, schema: Schema, slug: str, ordinal: int) -> pl.Expr:
    """The declared id column as text, else ``<slug>_<file ordinal>-<row number in the input>``.

    Whole numbers have no decimal point, also where a missing value elsewhere has made floats of them.
    """
    if job.row_id is not None:
        floats = schema[job.row_id].is_float()
        return category(ROW_ID, job.row_id).resolve(schema) if floats else pl.col(job.row_id).cast(pl.String)
    return pl.concat_str([pl.lit(f"{slug}_{ordinal}-"), pl.col(_ROW).cast(pl.String)])


def _refuse(frame: pl.DataFrame, broken: pl.Expr | pl.Series, reason: str, split: Split) -> None:
    rows = frame.filter(broken)[_ROW]
    if rows.len():
        raise RowsUnscorable(
            f"{rows.len()} rows can neither be scored nor filtered: {reason}; "
            f"the first is row {rows[0]} of {split.file.path} (counted from 0)",
            hint="mend the input, or leave such rows out by a filter that is never null",
            reason=reason,
            rows=rows.len(),
            first=rows[0],
        )
