"""As it is: what models share that have no accelerated form: their library is fast, or nobody can look inside."""

from __future__ import annotations

from typing import Any

import polars as pl

from scoreline.abc import Model, Parity
from scoreline.errors import ModelFailed


class AsItIs:
    """What of `scoreline.abc.Model` is the same for all of them; `predict` is their own.

    Attributes:
        inputs: the job's features in the model's order.
        facts: what ``describe`` says.
    """

    inputs: tuple[str, ...]
    facts: dict[str, Any]

    def accelerated(self) -> Model | None:
        """See `scoreline.abc.Model.accelerated`."""
        return None

    def parity(self: Model, candidate: Model, features: pl.DataFrame) -> Parity:
        """See `scoreline.abc.Model.parity`."""
        return same_predictions(self, candidate, features)

    def describe(self) -> dict[str, Any]:
        """See `scoreline.abc.Model.describe`."""
        return {**self.facts, "inputs": list(self.inputs)}


def same_predictions(model: Model, candidate: Model, features: pl.DataFrame) -> Parity:
    """Parity of what has to predict the very same."""
    mine, theirs = model.predict(features).values, candidate.predict(features).values
    same = mine.equals(theirs, null_equal=True)
    return Parity(same, features.height, 0.0 if same else float("nan"), "same predictions" if same else "others")


def raised(error: Exception, who: str = "the model", hint: str | None = None) -> ModelFailed:
    """What to raise from an error of a model's own code: its type, and the first line of its text."""
    return ModelFailed(f"{who} raised {type(error).__name__}: {first_line(error)}", hint=hint)


def first_line(error: Exception) -> str:
    """Of its text; '' where there is none."""
    return next(iter(str(error).strip().splitlines()), "")
