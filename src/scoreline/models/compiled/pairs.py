"""Pairs: the texts of two joined whole numbers, such as ``43_151``, as a table of the numbers themselves.

Most crossed features are two small codes. To join them to a text for each row, only to look the text up, takes most of
the time that a linear model takes. The table answers with the same positions without a text in between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

_MOST_CELLS = 1 << 22
_FURTHEST = 1 << 60


@dataclass(frozen=True, slots=True)
class PairTable:
    """Positions of known pairs.

    Attributes:
        cells: (first numbers, second numbers) positions among the known texts, flat; their count where there is none,
            and all around, so that a number outside finds a border cell.
        least: what stands at the border before the smallest known number of each part.
        sizes: cells in each direction.
    """

    cells: np.ndarray
    least: tuple[int, int]
    sizes: tuple[int, int]

    @classmethod
    def of(cls, known: pl.Series, separator: str) -> PairTable | None:
        """The table of texts that all are two whole numbers as text joins them; None where one is not, or too wide.

        A text such as ``007_1`` is no such pair: no number is written so.
        """
        if not known.len() or not separator:
            return None
        parts = known.to_frame("text").select(pl.col("text").str.splitn(separator, 2).alias("parts")).unnest("parts")
        numbers = parts.select(pl.all().cast(pl.Int64, strict=False))
        written = numbers.select(pl.concat_str(pl.all().cast(pl.String), separator=separator)).to_series()
        if not (written == known).fill_null(value=False).all():
            return None
        columns = [column.to_numpy() for column in numbers.iter_columns()]
        least = [int(column.min()) - 1 for column in columns]
        sizes = [int(column.max()) - low + 2 for column, low in zip(columns, least, strict=True)]
        if sizes[0] * sizes[1] > _MOST_CELLS or max(map(abs, least)) > _FURTHEST:
            return None
        cells = np.full(sizes[0] * sizes[1], known.len(), dtype=np.int32)
        cells[(columns[0] - least[0]) * sizes[1] + (columns[1] - least[1])] = np.arange(known.len(), dtype=np.int32)
        return cls(cells, (least[0], least[1]), (sizes[0], sizes[1]))

    def look_up(self, column: pl.Series) -> np.ndarray:
        """(rows,) positions of a struct of two Int64 fields; a missing part makes the pair unknown."""
        first, second = (
            _places(part, least, size)
            for part, least, size in zip(column.struct.unnest(), self.least, self.sizes, strict=True)
        )
        first *= self.sizes[1]
        first += second
        return np.take(self.cells, first)


def _places(part: pl.Series, least: int, size: int) -> np.ndarray:
    """(rows,) the cell of each number in one direction; those at the border for missing and unknown ones."""
    numbers = (part.fill_null(least) if part.null_count() else part).to_numpy()
    places: np.ndarray = np.clip(numbers, least, least + size - 1)
    places -= least
    return places
