"""Columns: the numbers that fitted transformers make of features, one column at a time, without the transformers.

A column of the matrix that an estimator reads comes from one feature, by a few steps: a category becomes its number, a
missing value is filled, a mean is taken away. The steps compute with the very operations of the originals, in their
order, so that each number has the original's bits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl

from scoreline.errors import ModelFailed
from scoreline.models.compiled.pairs import PairTable

Operation = Literal[
    "fill",
    "fill_floats",
    "mark",
    "mark_floats",
    "subtract",
    "divide",
    "multiply",
    "add",
    "clip_low",
    "clip_high",
    "refuse_infinite",
    "log",
    "log1p",
    "log2",
    "log10",
    "exp",
    "expm1",
    "sqrt",
    "square",
    "absolute",
]
Step = tuple[Operation, float]
"""An operation on numbers and its operand; ``fill`` replaces NaN, ``mark`` makes 1 of it and 0 of all else. With
``_floats`` they do not take a missing boolean for NaN. Functions of NumPy, such as ``log1p``, need no operand.
"""
FUNCTIONS: tuple[Operation, ...] = ("log", "log1p", "log2", "log10", "exp", "expm1", "sqrt", "square", "absolute")


@dataclass(frozen=True, eq=False)
class Codes:
    """The categories of one feature.

    Attributes:
        known: distinct texts, or ascending numbers.
        numbers: (known,) what each becomes.
        missing: what a missing value becomes; None: the original refuses it, as an unknown one is refused.
        unknown: what any other value becomes; None: the original refuses it, and all rows beside it.
        fill: what a missing value is taken for before it is looked up.
        fills_none: whether a missing boolean is too, which is None to pandas.
        pairs: the table of its two whole numbers, where the feature is given as these.
    """

    known: pl.Series
    numbers: np.ndarray
    missing: float | None
    unknown: float | None
    fill: str | float | None = None
    fills_none: bool = True
    pairs: PairTable | None = None

    def in_parts(self, separator: str) -> Codes | None:
        """The same for texts that are given as the two whole numbers that they join; None where they are not."""
        if self.known.dtype != pl.String or self.missing is not None or self.fill is not None:
            return None  # a pair of which a part is missing is one that was never seen
        table = _table(self, separator)
        return None if table is None else replace(self, pairs=table)

    def look_up(self, name: str, column: pl.Series) -> tuple[np.ndarray, int]:
        """(rows,) numbers, and how many values were never seen.

        Raises:
            ModelFailed: the original refuses some of them, or the feature is of another kind than in training.
        """
        if self.pairs is not None and column.dtype.is_nested():
            found, missing = self.pairs.look_up(column), None
        else:
            found, missing = self._found(name, column)
        unknown = found == self.known.len()
        if missing is not None:
            unknown &= ~missing
        if self.unknown is None and unknown.any():
            raise ModelFailed(
                f"the model has never seen some categories of {name!r}",
                unseen={name: np.flatnonzero(unknown).tolist()},
            )
        others = self.unknown if self.unknown is not None else np.nan
        numbers = np.append(self.numbers, [others])[found]
        if missing is not None:
            numbers[missing] = self.missing
        return numbers, int(np.count_nonzero(unknown))

    def _found(self, name: str, column: pl.Series) -> tuple[np.ndarray, np.ndarray | None]:
        """(rows,) positions among the known, or their number; (rows,) whether it is missing, if that was learned."""
        is_filled = self.fill is not None and (self.fills_none or column.dtype not in (pl.Boolean, pl.Null))
        column = self._comparable(name, column)
        if is_filled:
            column = column.fill_null(self.fill)
        count = self.known.len()
        place = pl.int_range(count, dtype=pl.Int32, eager=True)
        found = column.replace_strict(self.known, place, default=count, return_dtype=pl.Int32)
        return found.to_numpy(), column.is_null().to_numpy() if self.missing is not None else None

    def _comparable(self, name: str, column: pl.Series) -> pl.Series:
        is_text = self.known.dtype == pl.String
        if is_text and column.dtype in (pl.String, pl.Categorical, pl.Enum):
            return column.cast(pl.String)
        if not is_text and _is_number(column.dtype):
            numbers = column.cast(pl.Float64)
            if numbers.is_infinite().any():
                raise ModelFailed(f"the model cannot take an infinite {name!r}")
            return numbers.fill_nan(None)
        raise ModelFailed(f"{name!r} is {column.dtype}, and the model has learned {self.known.dtype}")


@dataclass(frozen=True, eq=False)
class Column:
    """One column of a matrix, or several of which a category sets one to 1.

    Attributes:
        source: feature that it comes from.
        codes: its categories, None for a number.
        steps: what is done with the number, or with a category's.
        spread: 0; or how many columns a category is spread over: its number is the place of the 1, or below 0.
        finite: whether the original refuses infinite numbers before its last estimator sees them.
        ends: (spread,) what its columns are where the category is not theirs, and where it is; None: 0 and 1. A form
            has taken them in, and keeps none.
    """

    source: str
    codes: Codes | None = None
    steps: tuple[Step, ...] = ()
    spread: int = 0
    finite: bool = False
    ends: tuple[np.ndarray, np.ndarray] | None = None

    def low_and_high(self) -> tuple[np.ndarray, np.ndarray]:
        """Of one that is spread: ``ends``, with what they are by default."""
        return (np.zeros(self.spread), np.ones(self.spread)) if self.ends is None else self.ends

    @property
    def width(self) -> int:
        """Columns of the matrix that it makes."""
        return self.spread or 1

    def in_parts(self, separator: str) -> Column | None:
        """The same for a text that is given as the two whole numbers that it joins; None where it is not."""
        codes = None if self.codes is None else self.codes.in_parts(separator)
        return None if codes is None else replace(self, codes=codes)

    def values(self, column: pl.Series) -> tuple[np.ndarray, int]:
        """(rows,) numbers, places where it is spread, and how many categories were never seen.

        Raises:
            ModelFailed: the original refuses some of them.
        """
        unseen = 0
        if self.codes is not None:
            numbers, unseen = self.codes.look_up(self.source, column)
        else:
            numbers = self._numbers(column)
        # To pandas a missing boolean is None, and some imputers look for NaN.
        has_none = self.codes is None and column.dtype in (pl.Boolean, pl.Null)
        operations = _OPERATIONS | _OF_NONE if has_none else _OPERATIONS
        for operation, operand in self.steps:
            numbers = operations[operation](numbers, operand)
        return numbers, unseen

    def _numbers(self, column: pl.Series) -> np.ndarray:
        if not _is_number(column.dtype):
            raise ModelFailed(f"{self.source!r} is {column.dtype}, and the model has learned a number")
        numbers = np.array(column.cast(pl.Float64).fill_null(float("nan")).to_numpy())
        if self.finite and np.isinf(numbers).any():
            raise ModelFailed(f"the model cannot take an infinite {self.source!r}")
        return numbers


@functools.lru_cache(maxsize=4)
def _table(codes: Codes, separator: str) -> PairTable | None:
    """Made once for all splits, and all runs of a process, that use one form."""
    return PairTable.of(codes.known, separator)


def _is_number(kind: pl.DataType) -> bool:
    return kind.is_numeric() or kind in (pl.Boolean, pl.Null)


def _filled(numbers: np.ndarray, by: float) -> np.ndarray:
    return np.where(np.isnan(numbers), by, numbers)


def _marked(numbers: np.ndarray, _: float) -> np.ndarray:
    return np.asarray(np.isnan(numbers), dtype=np.float64)


def _finite(numbers: np.ndarray, _: float) -> np.ndarray:
    if np.isinf(numbers).any():
        raise ModelFailed("the model cannot take an infinite number, and makes one of a feature")
    return numbers


def _alone(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray, float], np.ndarray]:
    def operation(numbers: np.ndarray, _: float) -> np.ndarray:
        with np.errstate(all="ignore"):  # not a number, or infinite, as the original's
            return function(numbers)

    return operation


_OPERATIONS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "fill": _filled,
    "fill_floats": _filled,
    "mark": _marked,
    "mark_floats": _marked,
    "subtract": np.subtract,
    "divide": np.divide,
    "multiply": np.multiply,
    "add": np.add,
    "clip_low": np.maximum,
    "clip_high": np.minimum,
    "refuse_infinite": _finite,
    **{name: _alone(getattr(np, name)) for name in FUNCTIONS},
}
_OF_NONE: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "fill_floats": lambda numbers, _: numbers,
    "mark_floats": lambda numbers, _: np.zeros(len(numbers)),
}
_EXACT = 1 << 53


def operate(operation: Operation, numbers: np.ndarray, operands: np.ndarray) -> np.ndarray:
    """What an operation makes of numbers, none of them missing, with an operand for each."""
    return _OPERATIONS[operation](numbers, operands)  # type: ignore[arg-type]


def rounds_twice(column: pl.Series) -> bool:
    """Whether a whole number of it is another 32-bit float when it becomes a 64-bit one first.

    Libraries whose trees have 32-bit floats take whole numbers to these at once, where no other feature is a float.
    """
    if column.dtype not in (pl.Int64, pl.UInt64):
        return False
    large = column.filter(~_are_exact(column)).to_numpy()
    return bool((large.astype(np.float32) != large.astype(np.float64).astype(np.float32)).any())


def is_exact(column: pl.Series) -> bool:
    """Whether each whole number of it is a 64-bit float."""
    return column.dtype not in (pl.Int64, pl.UInt64) or bool(_are_exact(column).fill_null(value=True).all())


def _are_exact(column: pl.Series) -> pl.Series:
    return column.is_between(-_EXACT if column.dtype.is_signed_integer() else 0, _EXACT)


def header_of(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """JSON form of columns."""
    return [
        {
            "source": column.source,
            "codes": None if column.codes is None else _codes_header(column.codes),
            "steps": [[operation, operand.hex()] for operation, operand in column.steps],
            "spread": column.spread,
            "finite": column.finite,
        }
        for column in columns
    ]


def columns_of(header: Sequence[dict[str, Any]]) -> tuple[Column, ...]:
    """The columns that a header described.

    Raises:
        ValueError: it described none.
    """
    try:
        return tuple(
            Column(
                form["source"],
                None if form["codes"] is None else _codes_of(form["codes"]),
                tuple((_known(operation), float.fromhex(operand)) for operation, operand in form["steps"]),
                int(form["spread"]),
                bool(form["finite"]),
            )
            for form in header
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no columns: {error}") from error


def _known(operation: str) -> Operation:
    if operation not in _OPERATIONS:
        raise ValueError(f"no operation: {operation}")
    return operation  # type: ignore[return-value]


def _codes_header(codes: Codes) -> dict[str, Any]:
    texts = codes.known.dtype == pl.String
    return {
        "texts": texts,
        "known": codes.known.to_list() if texts else [value.hex() for value in codes.known.to_list()],
        "numbers": [value.hex() for value in codes.numbers.tolist()],
        "missing": None if codes.missing is None else codes.missing.hex(),
        "unknown": None if codes.unknown is None else codes.unknown.hex(),
        "fill": codes.fill if texts or codes.fill is None else float(codes.fill).hex(),
        "fills_none": codes.fills_none,
    }


def _codes_of(form: dict[str, Any]) -> Codes:
    def number(text: str | None) -> float | None:
        return None if text is None else float.fromhex(text)

    texts = form["texts"]
    known = pl.Series(form["known"], dtype=pl.String) if texts else pl.Series(map(float.fromhex, form["known"]))
    return Codes(
        known if texts else known.cast(pl.Float64),
        np.array([float.fromhex(text) for text in form["numbers"]], dtype=np.float64),
        number(form["missing"]),
        number(form["unknown"]),
        form["fill"] if texts else number(form["fill"]),
        bool(form["fills_none"]),
    )
