"""Measures: how far predictions are from what was true, added up one slice of rows at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import polars as pl

from scoreline.errors import TrainingFailed


@dataclass
class Errors:
    """Sums over rows; numbers are compared as numbers, anything else for equality.

    Attributes:
        rows: rows so far.
        signed: sum of predicted - actual.
        absolute: sum of its absolute value.
        squared: sum of its square.
        equal: rows whose label was predicted, None while only numbers were seen.
    """

    rows: int = 0
    signed: float = 0.0
    absolute: float = 0.0
    squared: float = 0.0
    equal: int | None = None

    def add(self, predicted: pl.Series, actual: pl.Series) -> None:
        """Takes (rows,) predictions and (rows,) true values, neither with nulls.

        Raises:
            TrainingFailed: they are of kinds that nobody can compare.
        """
        if not predicted.len():
            return  # the type of no predictions says nothing
        self.rows += predicted.len()
        if predicted.dtype.is_numeric() and actual.dtype.is_numeric():
            error = predicted.cast(pl.Float64) - actual.cast(pl.Float64)
            self.signed += float(error.sum())
            self.absolute += float(error.abs().sum())
            self.squared += float((error * error).sum())
            return
        if predicted.dtype.is_numeric() or actual.dtype.is_numeric():
            raise TrainingFailed(
                f"the model predicts {predicted.dtype}, and the target is {actual.dtype}",
                hint="let fit learn the target as it is in the frame",
            )
        same = predicted.cast(pl.String) == actual.cast(pl.String)
        self.equal = (self.equal or 0) + int(same.sum())

    def metrics(self) -> dict[str, float]:
        """``rmse``, ``mae``, ``bias`` and ``rows``, or ``accuracy`` and ``rows``; without rows, only that."""
        if not self.rows:
            return {"rows": 0.0}
        if self.equal is not None:
            return {"accuracy": self.equal / self.rows, "rows": float(self.rows)}
        # A signed mean alone makes a bad model look perfect.
        return {
            "rmse": math.sqrt(self.squared / self.rows),
            "mae": self.absolute / self.rows,
            "bias": self.signed / self.rows,
            "rows": float(self.rows),
        }
