"""Matching: which columns of a sample give what a model wants.

A match is a feature, as the code that declares it. Where two candidates fit alike, or none does, nothing is chosen:
that is for the user to say. It must not know how the rest of a job is written.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from scoreline.sketch import Wanted

_SEPARATORS = ("_", "-", "|", ":", " ", "")
_TRIED_ROWS = 1_000
_TRIED_COLUMNS = 24
_RENAMED = 0.5
"""Part of the sample's rows whose value the model has learned, for a column of another name to be what it means."""
_RECOGNISED = 0.2
"""The same for two columns whose values were joined; fewer of the pairs will have been seen in training."""
_RIVAL = 0.75
"""A candidate that fits at least so well as the best one, by this factor, may be what is meant as well."""
ODD = 0.05
"""Part of a column's values that may be no numbers where all others are: dirt, which the contract keeps out."""
COMMAS = r"^[+-]?\d+(,\d+)?$"
"""A number with a decimal comma."""


@dataclass(frozen=True, slots=True)
class Missing:
    """An input of the model that the draft leaves open, since nothing in the sample decides it.

    Attributes:
        name: of the input.
        options: the columns that may give it, several joined by commas; empty where none fits.
    """

    name: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """A feature as code, and the columns that it reads, as what."""

    name: str
    code: str
    columns: tuple[str, ...]
    is_category: bool
    has_commas: bool = False


def matched(wanted: Wanted, frame: pl.DataFrame, given: Sequence[str] | None) -> Match | Missing:
    """The feature that gives a model its input; what nothing decides is left open."""
    if given is not None:
        return _as_given(wanted, frame, given)
    column = by_name(wanted.name, frame.columns)
    if column is not None and (match := _plain(wanted, frame[column])):
        return match
    rows = _with_whole_ids(frame.head(_TRIED_ROWS))
    for least, candidates in ((_RENAMED, _columns(wanted, rows)), (_RECOGNISED, _crosses(wanted, rows))):
        likely = _likely(candidates, least)
        if len(likely) > 1:
            likely = [one for one in likely if _is_named_for(wanted, one)] or likely
        if len(likely) == 1:
            return _as_given(wanted, frame, likely[0])
        if likely:
            return Missing(wanted.name, tuple(",".join(columns) for columns in likely))
    return Missing(wanted.name)


def _as_given(wanted: Wanted, frame: pl.DataFrame, columns: Sequence[str]) -> Match | Missing:
    if len(columns) == 1:
        return _plain(wanted, frame[columns[0]]) or Missing(wanted.name)
    rows = _with_whole_ids(frame.head(_TRIED_ROWS))
    sep = max(_SEPARATORS, key=lambda sep: _share(rows, columns, sep, wanted))
    option = "" if sep == "_" else f", sep={quoted(sep)}"
    code = f"sl.cross({', '.join(map(quoted, (wanted.name, *columns)))}{option})"
    return Match(wanted.name, code, tuple(columns), is_category=True)


def by_name(name: str, columns: Sequence[str]) -> str | None:
    """The column that a name means, also in other letters; None where none does, or several may."""
    if name in columns:
        return name
    alike = [column for column in columns if _letters(column) == _letters(name)]
    return alike[0] if len(alike) == 1 else None


def _letters(name: str) -> str:
    """A name as people say it: ``Trip distance`` is ``trip_distance``."""
    return re.sub(r"[\W_]", "", name.casefold()) or name


def _plain(wanted: Wanted, values: pl.Series) -> Match | None:
    column, dtype = values.name, values.dtype
    if not wanted.is_category and dtype == pl.String and _are_numbers_with_commas(values):
        number = f'pl.col({quoted(column)}).str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)'
        code = f"sl.expression({quoted(wanted.name)}, {number})"
        return Match(wanted.name, code, (column,), is_category=False, has_commas=True)
    is_text = isinstance(dtype, pl.String | pl.Categorical | pl.Enum)
    if not (is_text or dtype.is_numeric() or dtype == pl.Boolean) or (is_text and wanted.is_category is False):
        return None
    is_category = is_text if wanted.is_category is None else wanted.is_category
    kind = "category" if is_category else "number"
    source = "" if column == wanted.name else f", {quoted(column)}"
    return Match(wanted.name, f"sl.{kind}({quoted(wanted.name)}{source})", (column,), is_category)


def _are_numbers_with_commas(texts: pl.Series) -> bool:
    """Whether nearly all values are numbers with a decimal comma; 1,500 alone may be a thousand and a half."""
    known = texts.drop_nulls()
    numbers = int(known.str.contains(COMMAS).sum())
    return numbers >= (1 - ODD) * known.len() and bool(known.str.contains(r"^[+-]?\d+,(\d{1,2}|\d{4,})$").any())


def _columns(wanted: Wanted, rows: pl.DataFrame) -> list[tuple[float, tuple[str, ...]]]:
    """(part of the rows whose value the model has learned, column), for each that may be a category."""
    return [(_share(rows, (name,), "", wanted), (name,)) for name in _category_columns(rows)]


def _crosses(wanted: Wanted, rows: pl.DataFrame) -> list[tuple[float, tuple[str, ...]]]:
    """The same for two columns whose joined values are what the model has learned, such as ``43_151``."""
    pairs = itertools.permutations(_category_columns(rows), 2)
    return [(max(_share(rows, pair, sep, wanted) for sep in _SEPARATORS), pair) for pair in pairs]


def _likely(candidates: Sequence[tuple[float, tuple[str, ...]]], least: float) -> list[tuple[str, ...]]:
    """The candidates that fit about as well as the best one, which has to fit at all."""
    best = max((share for share, _ in candidates), default=0.0)
    return [columns for share, columns in candidates if share >= max(least, best * _RIVAL)]


def _is_named_for(wanted: Wanted, columns: Sequence[str]) -> bool:
    """Whether an input such as ``PU_DO`` has the beginnings of the columns in its name, in their order."""
    parts = re.split(r"[^A-Za-z0-9]+", wanted.name.casefold())
    return len(parts) == len(columns) and all(
        column.casefold().startswith(part) for part, column in zip(parts, columns, strict=True)
    )


def _with_whole_ids(rows: pl.DataFrame) -> pl.DataFrame:
    """Columns of whole doubles as the ids that they are: where one is missing, pandas makes 43.0 of 43."""
    return rows.with_columns(
        column.cast(pl.Int64) for column in rows.iter_columns() if column.dtype.is_float() and are_whole(column)
    )


def are_whole(values: pl.Series) -> bool:
    """Whether all floats of a column are whole numbers that a float holds exactly."""
    known = values.drop_nulls()
    return bool((known.is_between(-(2**53), 2**53) & (known == known.round(0))).all())


def _category_columns(frame: pl.DataFrame) -> list[str]:
    return [name for name, dtype in frame.schema.items() if dtype.is_integer() or dtype == pl.String][:_TRIED_COLUMNS]


def _share(rows: pl.DataFrame, columns: Sequence[str], sep: str, wanted: Wanted) -> float:
    joined = rows.select(pl.concat_str([pl.col(name).cast(pl.String) for name in columns], separator=sep)).to_series()
    return float(joined.is_in(list(wanted.values)).sum()) / max(rows.height, 1) if wanted.values else 0.0


def quoted(value: object) -> str:
    """A Python literal with double quotes, as formatters have it."""
    text = repr(str(value))
    inner = text[1:-1]
    return text if '"' in inner else '"' + inner.replace("\\'", "'") + '"'
