"""Sketch and sample: what can be said of a model and of a data file before any job exists.

`scoreline init` matches the one with the other. It must not know how models are loaded or files are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from scoreline.files import Csv


@dataclass(frozen=True, slots=True)
class Wanted:
    """One input of a model.

    Attributes:
        name: as the model knows it.
        values: categories that the model has learned for it, a few of them; empty for a number, and where nothing is
            known.
        is_category: whether it is one; None where the model does not say.
    """

    name: str
    values: tuple[str, ...] = ()
    is_category: bool | None = None


@dataclass(frozen=True, slots=True)
class Sketch:
    """A model in a few words.

    Attributes:
        kind: such as ``DictVectorizer + LinearRegression``.
        wants: its inputs, in the order in which it knows them; empty when it does not tell.
        declared: declarations of the features, where training recorded them beside the model.
        labels: the type of what it predicts: ``Float64``, ``Int64`` or ``String``.
    """

    kind: str
    wants: Sequence[Wanted] = ()
    declared: Sequence[dict[str, object]] = ()
    labels: str = "Float64"


@dataclass(frozen=True, slots=True)
class Sample:
    """A data file as `scoreline init` has seen it.

    Attributes:
        path: the file.
        frame: (rows, columns), with the types that the values have.
        csv: how it is written, for CSV files.
    """

    path: Path
    frame: pl.DataFrame
    csv: Csv | None = None
