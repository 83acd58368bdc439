"""32-bit keys of a matrix, which the walk compares: they keep the order of values, so that a comparison says the same.

A forest that was trained on 32-bit floats compares these, and their bits, read as integers with the negative ones
turned round, are in the same order. One that compares 64-bit floats has few different thresholds in a column; a value's
key is how many of them lie below it. A category's key is its number among those that were learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MISSING_CATEGORY = 256
"""The key of a missing or unknown category; known ones are numbered from 0, and there are at most 255."""
LOWEST, HIGHEST = np.int32(-(2**31)), np.int32(2**31 - 1)
"""Keys of no float: a missing value is below or above all others, where its column is looked up twice."""


@dataclass(frozen=True)
class Keys:
    """Which columns of a matrix a forest compares, and how.

    Attributes:
        width: columns of the matrix.
        numbers: (numbers,) its columns that are compared as numbers.
        categories: (categories,) its columns that are compared as categories.
        known: for each of ``categories``, (kinds,) ascending float64 values; a category's number is its position.
        cuts: for each of ``numbers``, (thresholds,) ascending float64; None where 32-bit floats are compared.
        takes_missing: whether a missing number is an answerable value.
    """

    width: int
    numbers: np.ndarray
    categories: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    known: tuple[np.ndarray, ...] = ()
    cuts: tuple[np.ndarray, ...] | None = None
    takes_missing: bool = True

    def __post_init__(self) -> None:
        """Checks that the parts fit each other.

        Raises:
            ValueError: they do not.
        """
        used = [*self.numbers.tolist(), *self.categories.tolist()]
        sound = (
            all(0 <= column < self.width for column in used)
            and len(set(used)) == len(used)
            and len(self.known) == len(self.categories)
            and all(len(values) < MISSING_CATEGORY and _ascend(values) for values in self.known)
            and (self.cuts is None or len(self.cuts) == len(self.numbers))
            and all(_ascend(values) for values in self.cuts or ())
        )
        if not sound:
            raise ValueError("the columns of a forest do not fit each other")

    @property
    def constant(self) -> int:
        """The key column whose keys are below all thresholds; categories follow it."""
        return len(self.numbers)

    @property
    def columns(self) -> int:
        """Key columns where no value is missing."""
        return len(self.numbers) + 1 + len(self.categories)

    @property
    def half(self) -> int:
        """Where the key columns begin in which missing values are lowest: the next power of two."""
        return 1 << (self.columns - 1).bit_length()

    def refuses(self, matrix: np.ndarray) -> np.ndarray:
        """(rows,) whether the original raises for a row of (rows, width): infinite where it may not be, or missing."""
        if self.cuts is None:
            return self._unfit(_floats(matrix))  # also of a column that no tree asks for
        return np.asarray(np.isinf(matrix[:, self.categories]).any(axis=1))

    def of(self, matrix: np.ndarray) -> tuple[np.ndarray, bool, np.ndarray | None]:
        """The keys of some rows.

        Args:
            matrix: (rows, width) float64.

        Returns:
            (rows, at least ``columns``) int32, C-ordered; whether missing values made it ``half + numbers`` wide; and
            (rows,) what the original refuses, None where it takes all.
        """
        count = len(self.numbers)
        numbers, refused = self._numbers(matrix)
        missing = np.isnan(numbers)
        twice = bool(missing.any())
        keys = np.empty((len(matrix), self.half + count if twice else _aligned(self.columns)), dtype=np.int32)
        keys[:, count] = LOWEST
        keys[:, :count] = found = _ordered(numbers) if self.cuts is None else _counted(self.cuts, numbers)
        if twice:
            keys[:, self.half :] = found
            keys[:, :count][missing] = HIGHEST
            keys[:, self.half :][missing] = LOWEST
        if len(self.categories):
            self._categories(matrix, keys)
        return keys, twice, refused

    def _numbers(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The compared numbers, for the caller to change, and the refused rows."""
        if self.cuts is None:
            floats = _floats(matrix)
            refused = None if np.isfinite(floats).all() else self._unfit(floats)
            numbers = floats[:, self.numbers]
        else:
            refused = self.refuses(matrix) if len(self.categories) else None
            numbers = matrix[:, self.numbers]
        return numbers, None if refused is None or not refused.any() else refused

    def _categories(self, matrix: np.ndarray, keys: np.ndarray) -> None:
        for at, (column, known) in enumerate(zip(self.categories, self.known, strict=True), self.constant + 1):
            values = matrix[:, column]
            place = np.searchsorted(known, values)
            if len(known):
                same = known[np.minimum(place, len(known) - 1)] == values
                keys[:, at] = np.where(same, place, MISSING_CATEGORY)
            else:
                keys[:, at] = MISSING_CATEGORY

    def _unfit(self, numbers: np.ndarray) -> np.ndarray:
        unfit = np.isinf(numbers) if self.takes_missing else ~np.isfinite(numbers)
        return np.asarray(unfit.any(axis=1))

    def header(self) -> dict[str, Any]:
        """What ``from_arrays`` needs beside the arrays, as JSON."""
        return {"width": self.width, "takes_missing": self.takes_missing, "cut": self.cuts is not None}

    def arrays(self) -> dict[str, np.ndarray]:
        """What ``from_arrays`` needs beside the header."""
        return {
            "numbers": self.numbers,
            "categories": self.categories,
            **_joined("known", self.known),
            **_joined("cuts", self.cuts or ()),
        }

    @classmethod
    def from_arrays(cls, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Keys:
        """The keys that were described.

        Raises:
            ValueError: the parts do not fit each other.
        """
        cuts = _parted("cuts", arrays)
        return cls(
            int(header["width"]),
            as_array(arrays["numbers"], np.int64),
            as_array(arrays["categories"], np.int64),
            _parted("known", arrays),
            cuts if header["cut"] else None,
            bool(header["takes_missing"]),
        )


def rounded_down(thresholds: np.ndarray) -> np.ndarray:
    """(nodes,) float64 -> the largest float32 that is not above: x <= threshold stays what it is for 32-bit x."""
    with np.errstate(over="ignore"):
        near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near)


def float_keys(values: np.ndarray) -> np.ndarray:
    """Float32 -> int32 in the same order; -0.0 is 0.0."""
    return _ordered(np.array(values, dtype=np.float32))


def as_array(array: np.ndarray, dtype: Any, dimensions: int = 1) -> np.ndarray:
    """The array as the kernel wants it.

    Raises:
        ValueError: it has another type or other dimensions.
    """
    if array.dtype != np.dtype(dtype) or array.ndim != dimensions:
        raise ValueError(f"an array of {array.dtype} with {array.ndim} dimensions, where {np.dtype(dtype)} is wanted")
    return np.require(array, requirements=["C", "A", "W"])


def _floats(numbers: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as the original refuses it
        return numbers.astype(np.float32)


def _ordered(numbers: np.ndarray) -> np.ndarray:
    """Changes ``numbers``."""
    numbers += np.float32(0)  # -0.0 becomes 0.0
    bits = numbers.view(np.int32)
    return np.asarray(bits ^ ((bits >> 31) & HIGHEST))


def _counted(cuts: Sequence[np.ndarray], numbers: np.ndarray) -> np.ndarray:
    found = np.empty(numbers.shape, dtype=np.int32)
    for at, ascending in enumerate(cuts):
        found[:, at] = np.searchsorted(ascending, numbers[:, at], side="left")
    return found


def _aligned(columns: int) -> int:
    """Rows of up to 16 keys begin at a multiple of 32 bytes, so that one lies in as few cache lines as it can."""
    return -(-columns // 8) * 8 if columns <= 16 else columns


def _ascend(values: np.ndarray) -> bool:
    return bool((values[:-1] < values[1:]).all()) and not np.isnan(values).any()


def _joined(name: str, parts: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    sizes = np.array([len(part) for part in parts], dtype=np.int64)
    return {name: np.concatenate([np.empty(0), *parts]), f"{name}_sizes": sizes}


def _parted(name: str, arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    values, sizes = as_array(arrays[name], np.float64), as_array(arrays[f"{name}_sizes"], np.int64)
    if (sizes < 0).any() or int(sizes.sum()) != len(values):
        raise ValueError(f"the sizes of {name} do not add up")
    return tuple(np.split(values, np.cumsum(sizes)[:-1])) if len(sizes) else ()
