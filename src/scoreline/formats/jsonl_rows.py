"""JSON lines as rows, read by pyarrow where all of a block is as declared, and line by line where something is not.

A field of the contract says whether a key holds numbers, truth values or text; a value of another kind breaks its
record. A key without a field holds text, and what is no text there comes as it is written. A key that is not there is
null. Keys that nobody asks for may hold anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import polars as pl

from scoreline.formats.record_cuts import Cuts, Cutter
from scoreline.formats.text_bytes import UTF8
from scoreline.formats.text_rows import Layout, Parsed
from scoreline.records import KEY_TWICE, NO_JSON, NO_OBJECT, UNDECODABLE

_BLOCK = 1_024
"""Lines that are looked at one by one where pyarrow takes not all of them."""

_BRACES = ord("{"), ord("}")
_WHOLE = re.compile(r"(-?[0-9]+)(\.0*)?")
_LIMITS = {True: (0, 2**64), False: (-(2**63), 2**63)}


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


class _Pairs(list[tuple[str, Any]]):
    """An object, with keys that come twice."""

    __slots__ = ()


class _Misfit(ValueError):
    """A value is not of the declared kind."""


@dataclass(frozen=True, slots=True)
class JsonDialect:
    """Implements `scoreline.formats.text_rows.Dialect` for JSON lines.

    Args:
        types: (key, type) of the keys that the contract declares.
    """

    types: tuple[tuple[str, pl.DataType], ...] = ()

    @property
    def encoding(self) -> str:
        """JSON is UTF-8."""
        return UTF8

    def layout(self, head: bytes, encoding: str, path: str) -> Layout:
        """See `scoreline.formats.text_rows.Dialect.layout`."""
        return Layout(None, 0, Cutter())

    def require(self, layout: Layout, path: str, columns: Sequence[str]) -> None:
        """See `scoreline.formats.text_rows.Dialect.require`: each record names its own keys."""

    def parse(self, data: bytes, cuts: Cuts, layout: Layout, columns: Sequence[str]) -> Parsed:
        """See `scoreline.formats.text_rows.Dialect.parse`."""
        declared = dict(self.types)
        kinds = {name: _kind(declared.get(name)) for name in columns}
        whole = _block(data, cuts, kinds)
        if whole is not None:
            return Parsed(whole)
        frames: list[pl.DataFrame] = []
        broken: dict[int, tuple[str, ...]] = {}
        partly: dict[int, dict[str, Any]] = {}
        for first in range(0, len(cuts), _BLOCK):
            some = slice(first, first + _BLOCK)
            block = Cuts(cuts.starts[some], cuts.ends[some], cuts.nexts[some], {})
            rows = _block(data, block, kinds)
            if rows is None:
                found = _line_by_line(data, block, kinds, declared)
                assert found.rows is not None
                rows = found.rows
                broken |= {first + at: reasons for at, reasons in found.broken.items()}
                partly |= {first + at: values for at, values in found.partly.items()}
            frames.append(rows)
        return Parsed(pl.concat(frames), broken, partly)


def _kind(dtype: pl.DataType | None) -> str:
    if dtype is None or dtype in {pl.Int128(), pl.UInt128()} or isinstance(dtype, pl.Decimal):
        return "written"
    if dtype.is_integer():
        return "positive" if dtype == pl.UInt64 else "whole"
    if dtype.is_float():
        return "float"
    return "boolean" if dtype == pl.Boolean else "text"


_TYPES: dict[str, pl.DataType] = {
    "written": pl.String(),
    "text": pl.String(),
    "whole": pl.Int64(),
    "positive": pl.UInt64(),
    "float": pl.Float64(),
    "boolean": pl.Boolean(),
}


def _block(data: bytes, cuts: Cuts, kinds: Mapping[str, str]) -> pl.DataFrame | None:
    """The rows of some lines, None where pyarrow does not take all of them as they are declared."""
    import pyarrow as pa
    import pyarrow.json as pj

    none = pl.DataFrame(schema={name: _TYPES[kind] for name, kind in kinds.items()})
    if not len(cuts):
        return none
    view = np.frombuffer(data, np.uint8)
    # So no line holds half an object, and as many objects as lines are one in each.
    if (view[cuts.starts] != _BRACES[0]).any() or (view[cuts.ends - 1] != _BRACES[1]).any():
        return None
    some = data[int(cuts.starts[0]) : int(cuts.nexts[-1])]
    try:
        table = pj.read_json(
            pa.BufferReader(some),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(some) + 1),
            parse_options=pj.ParseOptions(explicit_schema=_arrow_schema(kinds), unexpected_field_behavior="ignore"),
        )
    except pa.ArrowException:
        return None
    if table.num_rows != len(cuts):
        return None
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame.select(none.columns)


def _arrow_schema(kinds: Mapping[str, str]) -> Any:
    import pyarrow as pa

    types = {"whole": pa.int64(), "positive": pa.uint64(), "float": pa.float64(), "boolean": pa.bool_()}
    return pa.schema([(name, types.get(kind, pa.string())) for name, kind in kinds.items()])


def _line_by_line(data: bytes, cuts: Cuts, kinds: Mapping[str, str], declared: Mapping[str, pl.DataType]) -> Parsed:
    rows: list[dict[str, Any]] = []
    broken: dict[int, tuple[str, ...]] = {}
    partly: dict[int, dict[str, Any]] = {}
    for at, (start, end) in enumerate(zip(cuts.starts.tolist(), cuts.ends.tolist(), strict=True)):
        found = _object(data[start:end].decode(UTF8))
        if isinstance(found, str):
            broken[at] = (found,)
            continue
        row, reasons = _row(found, kinds, declared)
        if reasons:
            broken[at], partly[at] = tuple(reasons), row
        else:
            rows.append(row)
    schema = {name: _TYPES[kind] for name, kind in kinds.items()}
    return Parsed(pl.DataFrame(rows, schema=schema, orient="row"), broken, partly)


def _object(line: str) -> _Pairs | str:
    """The object of a line, or the reason why there is none."""
    try:
        found = _decoder().decode(line)
    except (ValueError, RecursionError):
        return NO_JSON
    return found if isinstance(found, _Pairs) else NO_OBJECT


@cache
def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=_Number, parse_float=_Number, parse_constant=_Number)


def _row(
    pairs: _Pairs, kinds: Mapping[str, str], declared: Mapping[str, pl.DataType]
) -> tuple[dict[str, Any], list[str]]:
    asked = [(name, value) for name, value in pairs if name in kinds]
    values = dict(asked)
    if len(values) < len(asked):
        return {}, [KEY_TWICE]
    row: dict[str, Any] = {}
    reasons: list[str] = []
    for name, kind in kinds.items():
        value = values.get(name)
        try:
            read = None if value is None else _READERS[kind](value)
            str(read).encode(UTF8)
            row[name] = read
        except UnicodeEncodeError:
            reasons.append(UNDECODABLE)
        except _Misfit:
            reasons.append(f"{name}:not {declared.get(name, pl.String())}")
    return row, list(dict.fromkeys(reasons))


def _text(value: Any) -> str:
    if isinstance(value, _Number) or not isinstance(value, str):
        raise _Misfit
    return value


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise _Misfit
    return str(value)


def _whole(value: Any, *, positive: bool) -> int:
    found = _WHOLE.fullmatch(value) if isinstance(value, _Number) else None
    low, above = _LIMITS[positive]
    # Longer numbers are none of ours, and take long to read.
    if found is None or len(found[1]) > 20 or not low <= int(found[1]) < above:
        raise _Misfit
    return int(found[1])


def _float(value: Any) -> float:
    if not isinstance(value, _Number):
        raise _Misfit
    return float(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Misfit
    return value


_READERS: dict[str, Any] = {
    "written": _written,
    "text": _text,
    "whole": partial(_whole, positive=False),
    "positive": partial(_whole, positive=True),
    "float": _float,
    "boolean": _boolean,
}
