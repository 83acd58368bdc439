"""Output column: one declared column of the published predictions, with its name, type and origin.

Columns are evaluated in declaration order over the input columns, the derived features and the columns before them,
so ``diff`` may use ``predicted_duration``. It must not know how rows are read or written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from scoreline.casts import converted
from scoreline.errors import InputInvalid, JobError
from scoreline.features import canonical

PREFIX = "scoreline."
ROW_ID, PREDICTION = PREFIX + "row_id", PREFIX + "prediction"
MODEL_VERSION, RUN_ID, SCORED_AT = PREFIX + "model_version", PREFIX + "run_id", PREFIX + "scored_at"
PARTITION = PREFIX + "partition"
GIVEN = (ROW_ID, PREDICTION, MODEL_VERSION, RUN_ID, SCORED_AT, PARTITION)

UTC_INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One output column.

    Attributes:
        name: its name in the published data.
        dtype: its Polars type; rows whose value does not fit exactly are rejected.
        expr: where its values come from.
        volatile: differs between runs of the same input; left out of the content digest.
        as_read: takes its value from the rows as they were before any output column, also where one has that name.
    """

    name: str
    dtype: pl.DataType
    expr: pl.Expr
    volatile: bool = False
    as_read: bool = False

    def __post_init__(self) -> None:
        canonical(self.expr)
        try:
            dtype = self.dtype() if isinstance(self.dtype, type) else self.dtype
        except TypeError as error:
            raise JobError(f"output column {self.name!r} has the unfinished type {self.dtype}: {error}") from error
        if dtype.is_nested() or dtype in {pl.Object, pl.Unknown}:
            raise JobError(
                f"output column {self.name!r} cannot have the type {dtype}",
                hint="use a flat type; a field of a prediction has a column of its own: prediction(name, field='...')",
            )
        object.__setattr__(self, "dtype", dtype)

    def declaration(self) -> dict[str, Any]:
        """Canonical form for digests."""
        return {"name": self.name, "dtype": str(self.dtype), "expr": canonical(self.expr)}


DType = pl.DataType | type[pl.DataType]


def passthrough(name: str, dtype: DType, column: str | None = None) -> Column:
    """An input column (or derived feature) as it is, under ``name``.

    Args:
        name: the published name.
        dtype: its Polars type; a row whose value is not exactly one of it is rejected.
        column: the input column or derived feature; by default the one of that name.
    """
    return Column(name, dtype, pl.col(column or name), as_read=True)  # type: ignore[arg-type]


def computed(name: str, expr: pl.Expr, dtype: DType = pl.Float64) -> Column:
    """An expression over input columns, derived features and earlier output columns.

    Args:
        name: the published name.
        expr: such as ``pl.col("minutes") - pl.col("predicted_minutes")``.
        dtype: its Polars type; a row whose value is not exactly one of it is rejected.
    """
    return Column(name, dtype, expr)  # type: ignore[arg-type]


def prediction(name: str = "prediction", dtype: DType = pl.Float64, *, field: str | None = None) -> Column:
    """What the model predicts.

    Args:
        name: the published name.
        dtype: its Polars type; a row whose value is not exactly one of it is rejected.
        field: one number of a prediction of several: a class as text, where the job asks for ``"probabilities"``, or
            the position of an output, such as ``"0"``.
    """
    whole = pl.col(PREDICTION)
    return Column(name, dtype, whole if field is None else whole.struct.field(field))  # type: ignore[arg-type]


def field_of(expr: pl.Expr) -> str | None:
    """The field of the prediction that an expression is, None when it is something else."""
    if expr.meta.root_names() != [PREDICTION] or expr.meta.eq(pl.col(PREDICTION)):
        return None
    name = expr.meta.output_name(raise_if_undetermined=False)
    return name if name is not None and expr.meta.eq(pl.col(PREDICTION).struct.field(name)) else None


def row_id(name: str = "row_id") -> Column:
    """The row's id: the job's declared id column, else ``<slug>_<file ordinal>-<row number in the input>``."""
    return Column(name, pl.String(), pl.col(ROW_ID))


def partition_slug(name: str = "partition") -> Column:
    """The slug of the partition that the row belongs to."""
    return Column(name, pl.String(), pl.col(PARTITION))


def model_version(name: str = "model_version") -> Column:
    """The model's version: 12 hex digits of its digest, or what its store calls it."""
    return Column(name, pl.String(), pl.col(MODEL_VERSION))


def run_id(name: str = "run_id") -> Column:
    """The run that made the row (volatile)."""
    return Column(name, pl.String(), pl.col(RUN_ID), volatile=True)


def scored_at(name: str = "prediction_timestamp") -> Column:
    """When the run began, one instant for all its rows, in UTC (volatile)."""
    return Column(name, UTC_INSTANT, pl.col(SCORED_AT), volatile=True)


def shape(frame: pl.DataFrame, columns: Sequence[Column]) -> tuple[pl.DataFrame, dict[str, pl.Series]]:
    """The declared columns of ``frame``, in order, in their types.

    Args:
        frame: (rows, input columns + derived features + the given columns of `GIVEN`).
        columns: the output declaration.

    Returns:
        (rows, columns), and reason -> mask of the rows where a value does not fit its declared type; what the columns
        hold there is not to be used.

    Raises:
        LossyCast: no value of an expression's type can be of the declared one.
        InputInvalid: an expression cannot be evaluated on these types.
    """
    made: dict[str, pl.Series] = {}
    broken: dict[str, pl.Series] = {}
    rows = frame
    read_again = {name for column in columns if not column.as_read for name in column.expr.meta.root_names()}
    for column in columns:
        made[column.name], unfit = converted(_values(column, rows if column.as_read else frame), column.dtype)
        if unfit is not None:
            broken[f"output:{column.name}:not {column.dtype}"] = unfit
        if column.name in read_again:
            frame = frame.with_columns(made[column.name])
    return pl.DataFrame(list(made.values())), broken


def _values(column: Column, frame: pl.DataFrame) -> pl.Series:
    """(rows,) values of one column, as its expression makes them."""
    if column.expr.meta.is_column() and column.expr.meta.output_name() in frame.columns:
        return frame.get_column(column.expr.meta.output_name()).alias(column.name)
    try:
        values = frame.select(column.expr.alias(column.name)).to_series()
    except pl.exceptions.PolarsError as error:
        raise InputInvalid(f"output column {column.name!r} cannot be computed: {error}") from error
    if values.len() != frame.height and values.len() == 1:
        values = values.new_from_index(0, frame.height)
    if values.len() != frame.height:
        raise InputInvalid(f"output column {column.name!r} makes {values.len()} values of {frame.height} rows")
    return values
