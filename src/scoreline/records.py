"""Record: what a text format writes for one row, and why it may be no row at all.

A record that cannot be read is still a row of its file: it is numbered, counted and rejected like any other. Sources
hand it out as a row of nulls with its reasons and its text beside it. It must not know formats or files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

BROKEN, RAW = "scoreline.broken", "scoreline.raw"
"""Columns of a batch in which some record could not be read: its reasons, null for a row; and its text, likewise."""

TOO_FEW, TOO_MANY = "record:too few fields", "record:too many fields"
STRAY_QUOTE, UNCLOSED_QUOTE = "record:text after a closing quote", "record:quote not closed"
TOO_LONG, UNDECODABLE = "record:too long", "record:undecodable"
NO_JSON, NO_OBJECT, KEY_TWICE = "record:not JSON", "record:not an object", "record:key twice"

_AT = "scoreline.at"

Broken = Mapping[int, tuple[Sequence[str], str]]
"""Position of a record -> reasons, and its text."""


Partly = Mapping[int, Mapping[str, object]]
"""Position of a record that is no row -> those of its values that could be read."""


def with_broken(rows: pl.DataFrame, broken: Broken, height: int, partly: Partly | None = None) -> pl.DataFrame:
    """All records of a unit, in order.

    Args:
        rows: (records that could be read, columns), in order.
        broken: the others, by position among all.
        height: of all records.
        partly: what could be read of some of the others.

    Returns:
        (height, columns), with `BROKEN` and `RAW` where there are broken records, whose other values are null.
    """
    if not broken:
        return rows
    at = pl.DataFrame({_AT: list(broken)}, schema={_AT: pl.Int64})
    told = at.with_columns(
        pl.Series(BROKEN, [list(reasons) for reasons, _ in broken.values()], dtype=pl.List(pl.String)),
        pl.Series(RAW, [raw for _, raw in broken.values()], dtype=pl.String),
    )
    every = pl.DataFrame({_AT: pl.int_range(height, dtype=pl.Int64, eager=True)})
    read = every.join(at, on=_AT, how="anti", maintain_order="left")
    numbered = pl.concat([rows, read], how="horizontal")
    whole = every.join(numbered, on=_AT, how="left", maintain_order="left")
    if partly:
        known = pl.DataFrame([{_AT: at, **values} for at, values in partly.items()], schema=whole.schema)
        whole = whole.update(known, on=_AT, how="left", maintain_order="left")
    return whole.join(told, on=_AT, how="left", maintain_order="left").drop(_AT)
