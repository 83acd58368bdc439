"""Models in their libraries' own formats, which run no code of their own and predict through the library itself.

Here is what XGBoost's and LightGBM's adapters share: named features become one matrix of floats, categories their
codes. It must not know any library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl

from scoreline.abc import Model, Predictions
from scoreline.errors import ModelFailed, ModelInvalid
from scoreline.models.as_is import AsItIs, raised
from scoreline.models.shapes import AT_ONCE, require_count, require_names

_EXACT = 1 << 53
_NONE = pl.Series([None], dtype=pl.Float64)
TRIED = 256
"""Rows that are tried where a file may make its library crash."""


class Native(Protocol):
    """A model file, read by its library."""

    def adapt(self, features: tuple[str, ...], facts: dict[str, Any], batch: int | None, predict: str) -> Model:
        """The model for a job's features.

        Raises:
            ModelInvalid: it cannot predict from these features, or not what is asked of it.
        """
        ...

    def about(self) -> dict[str, Any]:
        """``kind``, ``inputs``, ``classes`` and what else is worth telling; ``made_with``, where the file says it."""
        ...

    def try_out(self) -> None:
        """Predicts something, whatever it is."""
        ...


@dataclass(frozen=True)
class Inputs:
    """How the features of a job become a model's matrix.

    Attributes:
        names: as the model knows them; None where it reads by position.
        count: how many it reads.
        known: name -> its categories, in the order of their codes.
        refuses: whether a category that is not known is refused; else it counts as missing.
    """

    names: tuple[str, ...] | None
    count: int
    known: dict[str, pl.Series] = field(default_factory=dict)
    refuses: bool = False

    def order(self, features: Sequence[str]) -> tuple[str, ...]:
        """The job's features in the model's order.

        Raises:
            ModelInvalid: they are not what it reads.
        """
        if self.names is None:
            require_count(self.count, features)
            return tuple(features)
        require_names(self.names, features)
        return self.names

    def codes(self, features: pl.DataFrame) -> tuple[dict[str, pl.Series], dict[str, int]]:
        """Feature -> (rows,) Float64 codes of its categories, null where there is none; and of the others how many.

        Raises:
            ModelInvalid: a feature is of a type that the model has not learned.
            ModelFailed: with ``unseen``, feature -> positions of rows, where categories never seen are refused.
        """
        coded = {name: _coded(features[name], known) for name, known in self.known.items() if name in features.columns}
        unseen = {name: new.arg_true().to_list() for name, (_, new) in coded.items() if new.any()}
        if unseen and self.refuses:
            raise ModelFailed(
                f"the model has never seen these categories of {', '.join(map(repr, unseen))}, and knows no answer",
                hint="such rows are set aside; train it again with them",
                unseen=unseen,
            )
        return {name: codes for name, (codes, _) in coded.items()}, {name: len(rows) for name, rows in unseen.items()}

    def matrix(self, features: pl.DataFrame) -> tuple[Any, dict[str, int]]:
        """(rows, count) Float64 with NaN for what is missing, and feature -> rows with a category never seen.

        Raises:
            ModelInvalid: a feature is of a type that the model has not learned.
            ModelFailed: with ``unseen``, feature -> positions of rows, where these categories are refused.
        """
        coded, unseen = self.codes(features)
        columns = [coded[one.name] if one.name in coded else _number(one) for one in features]
        return pl.DataFrame(columns).to_numpy(order="c"), unseen

    def samples(self) -> Any:
        """(TRIED, count) made-up numbers of many sizes, some of them missing: for a file that may be damaged."""
        import numpy as np

        rng = np.random.default_rng(0)
        found = rng.normal(size=(TRIED, self.count)) * 10.0 ** rng.integers(-2, 5, (TRIED, 1))
        found[rng.random(found.shape) < 0.1] = np.nan
        found[: TRIED // 4] = rng.integers(0, 20, (TRIED // 4, self.count))
        return found


def _number(values: pl.Series) -> pl.Series:
    if values.dtype.is_numeric() or values.dtype in {pl.Boolean, pl.Null}:
        return values.cast(pl.Float64)
    raise ModelInvalid(
        f"the model reads {values.name!r} as a number, and the job makes it {values.dtype}",
        hint=f"declare number({values.name!r}, ...) in features=; if it is a category to the model, its file has to "
        "know the names: train it on a frame with categorical columns, and save it with a library that keeps them",
    )


def _coded(values: pl.Series, known: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Codes of categories, null where there is none, and a mask of those that are not known."""
    is_text = values.dtype in (pl.String, pl.Categorical, pl.Enum)
    if values.dtype != pl.Null and is_text != (known.dtype == pl.String):
        shown = ", ".join(map(repr, known.head(3)))
        raise ModelInvalid(
            f"the model has learned {values.name!r} as categories such as {shown}, and the job makes it {values.dtype}",
            hint=f"declare {'category' if known.dtype == pl.String else 'number'}({values.name!r}, ...) in features=",
        )
    given = values.cast(pl.String if known.dtype == pl.String else pl.Float64)
    given = given.fill_nan(None) if given.dtype == pl.Float64 else given
    codes = pl.Series(range(known.len()), dtype=pl.Float64)
    coded = given.replace_strict(known, codes, default=None, return_dtype=pl.Float64).alias(values.name)
    if values.dtype in (pl.Int64, pl.UInt64):  # as a float, a larger one may be its neighbour
        coded = coded.zip_with(
            values.is_between(1 - _EXACT if values.dtype.is_signed_integer() else 0, _EXACT - 1), _NONE
        )
    return coded, coded.is_null() & given.is_not_null()


def categories(listed: Sequence[Any], name: str) -> pl.Series:
    """Categories as a library keeps them, as text or as floats.

    Raises:
        ModelInvalid: they are neither.
    """
    if all(isinstance(one, str) for one in listed):
        return pl.Series(name, list(listed), dtype=pl.String)
    if all(isinstance(one, int | float) for one in listed):
        if any(abs(one) >= _EXACT for one in listed):
            raise ModelInvalid(
                f"the model has learned categories of {name!r} beyond 2^53, which no float can tell apart",
                hint="train it with text for them: .astype(str).astype('category')",
            )
        return pl.Series(name, [float(one) for one in listed], dtype=pl.Float64)
    raise ModelInvalid(f"the model has learned categories of {name!r} that are neither all text nor all numbers")


@dataclass(frozen=True)
class MatrixModel(AsItIs):
    """A model that a library predicts with, from a matrix of floats.

    Attributes:
        reads: how features become the matrix.
        inputs: the job's features in the model's order.
        call: (rows, inputs) -> (rows,) of what the job asks for; threads may call it side by side.
        facts: what ``describe`` says.
        batch: rows of one call.
    """

    reads: Inputs
    inputs: tuple[str, ...]
    call: Callable[[Any], pl.Series]
    facts: dict[str, Any] = field(default_factory=dict, repr=False)
    batch: int | None = None

    def predict(self, features: pl.DataFrame) -> Predictions:
        """See `scoreline.abc.Model.predict`.

        Raises:
            ModelFailed: with ``unseen`` where categories are refused.
        """
        # Found for all rows at once, so that positions are those of the asker.
        matrix, unseen = self.reads.matrix(features.select(self.inputs))
        size = self.batch or AT_ONCE
        try:
            parts = [self.call(matrix[start : start + size]) for start in range(0, features.height, size)]
        except (ModelFailed, ModelInvalid):
            raise
        except Exception as error:
            raise raised(error) from error
        return Predictions(pl.concat(parts), unseen)
