"""Rejects: the rows of one unit that can neither be scored nor filtered, with all their reasons.

Each stage of scoring takes out the rows that it cannot decide; what is left goes on. It must not know where rejected
rows are kept.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from scoreline import overlay
from scoreline.records import BROKEN, RAW

ROW, REASONS, FILE = overlay.ROW, "scoreline.reasons", overlay.FILE
"""Row number in its file, counted from 0 before filters; reasons, as a list of text; path of the input file."""


class Rejects:
    """Collects row numbers and reasons; frames that it takes from carry their row numbers in the column `ROW`."""

    def __init__(self) -> None:
        self._found: list[tuple[str, pl.Series]] = []

    def take(self, frame: pl.DataFrame, broken: Mapping[str, pl.Series | pl.Expr]) -> pl.DataFrame:
        """Takes the broken rows out of a frame.

        Args:
            frame: (rows, columns) with their numbers.
            broken: reason -> mask of the rows that are rejected for it; null is not broken.

        Returns:
            The rows that go on.
        """
        broken = {reason: mask for reason, mask in broken.items() if isinstance(mask, pl.Expr) or _says_so(mask)}
        if not broken:
            return frame
        masks = frame.select(
            (mask if isinstance(mask, pl.Expr) else pl.lit(mask)).fill_null(value=False).alias(str(at))
            for at, mask in enumerate(broken.values())
        )
        hit = False
        for at, reason in enumerate(broken):
            rows = frame[ROW].filter(masks[str(at)])
            if rows.len():
                self._found.append((reason, rows))
                hit = True
        return frame.filter(~pl.any_horizontal(list(masks))) if hit else frame

    def take_broken(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Takes out the records that could not be read as rows; returns the rows, without what was told of them."""
        if BROKEN not in frame.columns:
            return frame
        told = frame.filter(pl.col(BROKEN).is_not_null()).select(ROW, BROKEN).explode(BROKEN)
        for (reason,), rows in told.group_by(BROKEN, maintain_order=True):
            self._found.append((str(reason), rows[ROW]))
        return frame.filter(pl.col(BROKEN).is_null()).drop(BROKEN, RAW)

    @property
    def reasons(self) -> dict[str, int]:
        """Reason -> rows that were taken for it."""
        counts: dict[str, int] = {}
        for reason, rows in self._found:
            counts[reason] = counts.get(reason, 0) + rows.len()
        return counts

    def rows(self, raw: pl.DataFrame, path: str) -> pl.DataFrame:
        """The rejected rows as they were read.

        Args:
            raw: (rows, input columns) with their numbers, before any stage.
            path: of the file that they come from.

        Returns:
            (rejected rows, input columns + `RAW` + `REASONS` + `FILE` + `ROW`), in input order; `RAW`, the text of
            records that could not be read, is there where ``raw`` has some.
        """
        if not self._found:
            return _none_of(raw)
        found = [pl.DataFrame({ROW: rows}).with_columns(pl.lit(reason).alias(REASONS)) for reason, rows in self._found]
        none = pl.DataFrame(schema={ROW: pl.Int64, REASONS: pl.String})
        reasons = pl.concat([none, *found]).group_by(ROW, maintain_order=True).agg(REASONS)
        rejected = raw.join(reasons, on=ROW, how="inner", maintain_order="left")
        return rejected.with_columns(pl.lit(path).alias(FILE)).select(
            pl.exclude(BROKEN, REASONS, FILE, ROW), REASONS, FILE, ROW
        )


def _says_so(mask: pl.Series) -> bool:
    """Whether it is true of any row."""
    return mask.dtype == pl.Boolean and bool(mask.any())


def _none_of(raw: pl.DataFrame) -> pl.DataFrame:
    kept = {name: kind for name, kind in raw.schema.items() if name not in {BROKEN, REASONS, FILE, ROW}}
    return pl.DataFrame(schema=kept | {REASONS: pl.List(pl.String), FILE: pl.String, ROW: pl.Int64})
