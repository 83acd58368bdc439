"""What tests of the contract share: a month, the verdict row by row, and an oracle in plain Python.

The oracle looks at one row at a time, in Python's own unbounded numbers, and shares no code with the contract.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import polars as pl

from scoreline.contract import Field, judge
from scoreline.partition import Grid

MONTH = Grid("month").parse("2021-02")


def field_of(dtype, name="x", **more):
    return Field(name, dtype, **more)


class Said(NamedTuple):
    """A verdict row by row: reasons, warnings, and the frame that goes on."""

    reasons: list[list[str]]
    warnings: list[list[str]]
    good: pl.DataFrame


def said(parts, frame, partition=MONTH):
    verdict = judge(parts, frame, partition)
    assert verdict.good.height == frame.height
    return Said(listed(verdict.broken, frame.height), listed(verdict.warnings, frame.height), verdict.good)


def listed(masks, rows):
    """Reason -> mask, as the reasons of each row."""
    columns = {reason: mask.to_list() for reason, mask in masks.items()}
    return [[reason for reason, mask in columns.items() if mask[row]] for row in range(rows)]


def is_nan(value):
    return isinstance(value, float) and math.isnan(value)


def fits(value, dtype):
    """Whether a Python number has an exact place in Int64, Int8, UInt64 or Float64."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return True
    if dtype.is_float():
        return not isinstance(value, int) or int(float(value)) == value
    bits = 8 if dtype == pl.Int8 else 64
    low, high = (0, 2**bits - 1) if dtype == pl.UInt64 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return value == math.floor(value) and low <= value <= high


def broken_field(field, value):
    """Reasons for which one value breaks its field."""
    name = field.name
    if value is None:
        return [] if field.nullable else [f"{name}:null"]
    if is_nan(value):
        return [] if field.nan else [f"{name}:nan"]
    if isinstance(value, float) and math.isinf(value):
        return [f"{name}:infinite"]
    found = []
    if field.low is not None and value < field.low:
        found.append(f"{name}:below {field.low}")
    if field.high is not None and value > field.high:
        found.append(f"{name}:above {field.high}")
    if not fits(value, field.dtype):
        found.append(f"{name}:not {field.dtype}")
    elif field.one_of is not None and value not in field.one_of:
        found.append(f"{name}:not allowed")
    return found


def broken_rule(name, columns, answer, row, fields, reasons):
    """Reasons for which one row breaks a rule whose plain answer is ``answer(row)``: true, false or None."""
    holds = answer(row)
    if holds is not None:
        return [] if holds else [f"rule:{name}"]
    explained = any(reasons.get(column) for column in columns)
    absent = [column for column in columns if row[column] is None]
    excused = bool(absent) and all(column in fields and fields[column].nullable for column in absent)
    return [] if explained or excused else [f"rule:{name}:null"]
