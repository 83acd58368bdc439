"""Trees: an ensemble of decision trees as a few arrays, with the sums that they predict.

What they are read from is another module's affair, and what the sums mean is a link's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scoreline.errors import MissingExtra
from scoreline.models.compiled.keys import Keys, as_array

SPLIT_WORDS = 9
_BLOCK_BYTES = 1 << 21
"""Keys of so many rows lie in the cache's last level while a tree is walked by all of them."""
_LEAST_ROWS = 8192
"""So many rows are worth bringing a large tree nearer, however wide they are."""


@dataclass(frozen=True)
class Trees:
    """An ensemble; its score of a row is (base + the sum of one leaf of each tree) / divisor, added in order.

    Make one with `Trees.checked` or `Trees.of`, which see to it that no walk leaves the arrays.

    Attributes:
        keys: which columns are compared, and how.
        nodes: (nodes,) uint64, laid out as `scoreline.models.compiled.kernel` says, with ``bits`` bits of column.
        bits: of a node's column.
        roots: (trees + 1,) uint64, where each tree begins, and the last ends.
        leaves: (leaves, values) float64; a leaf's values are added to as many outputs.
        firsts: (trees,) uint64, the first of the outputs that a tree adds to.
        splits: (splits, 9) uint32, which categories go right.
        base: (outputs,) float64.
        divisor: of the sums.
        texts: matrix column -> its categories where these are text: the matrix holds their positions, and NaN for any
            other.
        rounds: (trees, 2) int64, the steps that every walk takes, and the most that one takes.
    """

    keys: Keys
    nodes: np.ndarray
    bits: int
    roots: np.ndarray
    leaves: np.ndarray
    firsts: np.ndarray
    splits: np.ndarray
    base: np.ndarray
    divisor: float
    texts: dict[int, tuple[str, ...]]
    rounds: np.ndarray

    @classmethod
    def checked(
        cls,
        keys: Keys,
        arrays: dict[str, np.ndarray],
        divisor: float,
        texts: dict[int, tuple[str, ...]] | None = None,
    ) -> Trees:
        """Trees of the arrays ``nodes``, ``roots``, ``leaves``, ``firsts``, ``splits`` and ``base``.

        Raises:
            ValueError: they do not fit each other; a walk through them would go astray.
        """
        nodes, roots = as_array(arrays["nodes"], np.uint64), as_array(arrays["roots"], np.uint64)
        leaves = as_array(arrays["leaves"], np.float64, 2)
        firsts, base = as_array(arrays["firsts"], np.uint64), as_array(arrays["base"], np.float64)
        splits = as_array(arrays["splits"], np.uint32, 2)
        trees, outputs = len(firsts), len(base)
        fits = (
            len(roots) == trees + 1
            and int(roots[0]) == 0
            and int(roots[-1]) == len(nodes)
            and bool((roots[:-1] < roots[1:]).all())
            and 0 < leaves.shape[1] <= outputs
            and bool((firsts <= np.uint64(outputs - leaves.shape[1])).all())
            and splits.shape[1] == SPLIT_WORDS
            and divisor > 0
            and all(column in keys.categories for column in texts or {})
        )
        rounds = _rounds(keys, nodes, roots, len(leaves), len(splits)) if fits else None
        if rounds is None:
            raise ValueError("the trees are damaged: a walk through them would go astray")
        bits = column_bits(keys)
        return cls(keys, nodes, bits, roots, leaves, firsts, splits, base, float(divisor), dict(texts or {}), rounds)

    @classmethod
    def of(cls, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Trees:
        """The trees that ``header`` and ``arrays`` described.

        Raises:
            ValueError: something is missing, or a walk through them would go astray.
        """
        try:
            keys = Keys.from_arrays(header, arrays)
            texts = {int(column): tuple(map(str, known)) for column, known in header["texts"].items()}
            return cls.checked(keys, arrays, float(header["divisor"]), texts)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"the trees are damaged: {type(error).__name__}: {error}") from error

    def header(self) -> dict[str, Any]:
        """What ``of`` needs beside the arrays, as JSON."""
        texts = {str(column): list(known) for column, known in self.texts.items()}
        return {**self.keys.header(), "divisor": self.divisor, "texts": texts}

    def arrays(self) -> dict[str, np.ndarray]:
        """What ``of`` needs beside the header."""
        names = ("nodes", "roots", "leaves", "firsts", "splits", "base")
        return {**self.keys.arrays(), **{name: getattr(self, name) for name in names}}

    @property
    def outputs(self) -> int:
        """Scores of a row."""
        return len(self.base)

    @property
    def takes_missing(self) -> bool:
        """Whether the original scores rows with missing values."""
        return self.keys.takes_missing

    def refuses(self, matrix: np.ndarray) -> np.ndarray:
        """(rows,) bool, the rows for which the original raises: infinite, too large for its floats, or missing.

        Args:
            matrix: (rows, width) float64 or float32.
        """
        return self.keys.refuses(self._numbers(matrix))

    def scores(self, matrix: np.ndarray) -> np.ndarray:
        """The scores of some rows; those of a row depend on it alone, to the last bit.

        Args:
            matrix: (rows, width) float64 or float32, NaN where a value is missing.

        Returns:
            (rows, outputs) float64; NaN in the rows that the original refuses.

        Raises:
            ValueError: another width or type.
        """
        matrix = self._numbers(matrix)
        by_category = len(self.keys.categories) > 0
        walk = _kernel().walk(by_category=by_category)
        scores = np.empty((len(matrix), self.outputs))
        scores[:] = self.base
        shift, splits = np.uint64(32 + self.bits), self.splits if by_category else None
        numbers, kinds = np.uint64(self.keys.constant), np.uint64(len(self.keys.categories))
        step = max(_BLOCK_BYTES // (4 * self.keys.columns), _LEAST_ROWS)
        for start in range(0, len(matrix), step):
            part = scores[start : start + step]
            keys, twice, refused = self.keys.of(matrix[start : start + step].astype(np.float64, copy=False))
            mask = np.uint64((1 + twice) * self.keys.half - 1)
            forest = self.nodes, self.roots, self.rounds, self.leaves, self.firsts
            walk(*forest, keys, mask, shift, splits, numbers, kinds, part)
            if refused is not None:
                part[refused] = np.nan
        return scores if self.divisor == 1 else np.divide(scores, self.divisor, out=scores)

    def _numbers(self, matrix: np.ndarray) -> np.ndarray:
        if matrix.ndim != 2 or matrix.shape[1] != self.keys.width:
            raise ValueError(f"the trees want {self.keys.width} columns, not a matrix of shape {matrix.shape}")
        if matrix.dtype not in {np.dtype(np.float64), np.dtype(np.float32)}:
            raise ValueError(f"the trees want floats, not {matrix.dtype}")
        return matrix


def keep_machine_code_in(folder: Path | None) -> None:
    """Names the folder for the machine code of the walk; see `scoreline.models.compiled.kernel.keep_in`."""
    _KEPT["folder"] = folder


_KEPT: dict[str, Path | None] = {"folder": None}


def _kernel() -> Any:
    """The module that imports Numba, which takes its time.

    Raises:
        MissingExtra: Numba is not installed.
    """
    try:
        from scoreline.models.compiled import kernel
    except ImportError as error:
        raise MissingExtra(
            "numba is not installed, and compiled trees need it", hint="pip install 'scoreline[trees]'"
        ) from error
    kernel.keep_in(_KEPT["folder"])
    return kernel


def column_bits(keys: Keys) -> int:
    """Bits of a node's column: a key column, and one bit that sends missing values to the left."""
    return keys.half.bit_length()


def _rounds(keys: Keys, nodes: np.ndarray, roots: np.ndarray, leaves: int, splits: int) -> np.ndarray | None:
    """(trees, 2) steps of the walk; None where it would leave the arrays."""
    bits = column_bits(keys)
    if bits > 30:
        return None
    rounds = np.zeros((len(roots) - 1, 2), dtype=np.int64)
    mask, shift = np.uint64(2 * keys.half - 1), np.uint64(32 + bits)
    numbers, columns = np.uint64(keys.constant), np.uint64(keys.columns)
    return rounds if _kernel().survey()(nodes, roots, leaves, mask, shift, splits, numbers, columns, rounds) else None
