"""Job: the declaration of what is scored, with what, into what. Frozen; everything else follows from it.

It holds values only: no open file, no model in memory. Its scoring digest says whether two declarations score alike.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import Any

from scoreline.contract import Field, Part, Rule, columns_of
from scoreline.errors import JobError
from scoreline.features import Feature
from scoreline.files import Files
from scoreline.filters import Filter
from scoreline.gates import Gates
from scoreline.output import GIVEN, Column
from scoreline.partition import Grid, Partition
from scoreline.retention import Retention

_FOR_EVER = Retention(outputs_days=None)
DRIVER_FIELDS = ("job", "model_version", "model_digest")
PREDICTS = ("value", "probability", "probabilities")
"""What a job may ask of a model."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """One batch-scoring job.

    Args:
        name: letters, digits and ``. _ -``; with identity parameters it is the job's key in the ledger.
        partition: what one run scores: ``"month"``, ``"day"``, ``"2h"`` ... or ``"named"``.
        source: the input `Files`.
        model: path of the model, relative to the job file's folder, or ``runs:/<run id>/model`` or
            ``models:/name@alias`` in MLflow; or a function of the job's file, ``predict(frame)`` -> one value for each
            row, each of its own row alone.
        predict: what is asked of the model: ``"value"``, what its ``predict`` gives; ``"probability"``, of the second
            class of a classifier of two; ``"probabilities"``, of every class.
        features: what the model reads, by name, computed after the filters.
        output: the published columns, in order.
        sinks: where predictions go: `Files`, or a list of them that each get all predictions.
        contract: what an input row has to be (`Field`, `Rule`, `within_partition`); other rows are quarantined.
        gates: what a publication must fulfil, else the run is refused: `Gates`, with its defaults.
        derive: values computed before the filters, for filters, features and output columns.
        filters: rules for rows that are left out on purpose.
        row_id: an input column that identifies rows; by default rows are numbered.
        data_tz: time zone of month and day bounds.
        trust: folders, relative to the job file's, whose pickled models may be loaded; only their owner may be able
            to write to them.
        start: the first partition that has to be scored, such as ``"2021-01"``, for `plan` and `backfill` without a
            range.
        target: the derived value or input column that the model learns to predict.
        fit: ``fit(rows)`` -> a fitted estimator, for `train`; ``rows`` is a Polars frame with the features and the
            target.
        experiment: of MLflow, where `train` logs; by default the job's name.
        retention: how long published partitions, logs and leftovers are kept, for `prune`: `Retention`; by default
            publications for ever.
        training: where `train` reads rows, which then hold the target too; by default the source.
        simulate: makes input rows of a partition, ``simulate(partition, seed, rows)`` -> Arrow table, for `simulate`;
            where ``training`` is declared, the table holds the target, and only those files do.
        settings: the job's own defaults of settings, such as ``{"MEMORY_LIMIT_GB": 4}``; environment and ``.env`` win.

    Raises:
        JobError: a part is of the wrong kind.
    """

    name: str
    partition: str
    source: Files
    model: str | Path | Callable[[Any], Any]
    features: Sequence[Feature]
    output: Sequence[Column]
    sinks: Files | Sequence[Files]
    predict: str = "value"
    contract: Sequence[Part] = ()
    gates: Gates = field(default_factory=Gates)
    derive: Sequence[Feature] = ()
    filters: Sequence[Filter] = ()
    row_id: str | None = None
    data_tz: str = "UTC"
    trust: Sequence[str | Path] = ()
    start: str | None = None
    target: str | None = None
    fit: Callable[[Any], Any] | None = None
    experiment: str | None = None
    training: Files | None = None
    simulate: Callable[[Partition, int, int | None], Any] | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    retention: Retention = _FOR_EVER
    function: Callable[[Any], Any] | None = field(default=None, repr=False)
    """The function that ``model`` was given as; ``model`` is then its URI."""
    identity: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Identity parameters, filled in where the job function is called."""

    def __post_init__(self) -> None:
        if callable(self.model):
            object.__setattr__(self, "function", _named(self.model))
            object.__setattr__(self, "model", f"function:/{self.model.__name__}")
        if isinstance(self.sinks, Files):
            object.__setattr__(self, "sinks", (self.sinks,))
        for name in ("name", "partition", "data_tz"):
            if not isinstance(getattr(self, name), str):
                raise JobError(f"{name} is {getattr(self, name)!r}, which is no text")
        for name, kind in _PARTS.items():
            values = _listed(name, getattr(self, name))
            object.__setattr__(self, name, values)
            for value in values:
                if not isinstance(value, kind):
                    called = getattr(value, "name", value)
                    raise JobError(
                        f"{name} holds {called!r}, a {type(value).__name__}, which is no {_kind_name(kind)}",
                        hint=_MAKERS.get(name),
                    )
        _require_kinds(self)
        _require_asked(self)

    def __getstate__(self) -> dict[str, Any]:
        # Workers neither train nor simulate, and a function that is the model comes by itself; these functions may come
        # from where no worker can import them.
        return {**self.__dict__, "fit": None, "simulate": None, "function": None}

    @property
    def key(self) -> str:
        """The job in the ledger: its name, with identity parameters in brackets."""
        inner = ",".join(f"{name}={value}" for name, value in self.identity)
        return f"{self.name}[{inner}]" if inner else self.name

    @property
    def grid(self) -> Grid:
        """How its data is cut into partitions."""
        return Grid(self.partition, self.data_tz)

    @property
    def sink_files(self) -> tuple[Files, ...]:
        """The sinks, always as a tuple."""
        assert isinstance(self.sinks, tuple)
        return self.sinks

    @property
    def path_values(self) -> dict[str, str]:
        """Values of template fields that are known before the model is."""
        return {"job": self.name, **dict(self.identity)}

    @property
    def input_columns(self) -> tuple[str, ...]:
        """Columns to read from the source: all that is used and not made."""
        made: set[str] = set(GIVEN)
        used: dict[str, None] = dict.fromkeys([self.row_id] if self.row_id else [])
        used |= dict.fromkeys(columns_of(self.contract))

        def use(names: Iterable[str], made: Container[str] = made) -> None:
            used.update(dict.fromkeys(name for name in names if name not in made))

        for feature in self.derive:
            use(feature.columns)
            made.add(feature.name)
        for rule in self.filters:
            use(rule.keep.meta.root_names())
        for feature in self.features:
            use(feature.columns)
            if feature.columns != (feature.name,):
                made.add(feature.name)
        before_output = frozenset(made)
        for column in self.output:
            use(column.expr.meta.root_names(), before_output if column.as_read else made)
            if column.name not in used:
                made.add(column.name)
        return tuple(used)

    @functools.cached_property
    def scoring_digest(self) -> str:
        """SHA-256 of everything declared that decides scored values; schedules, folders and limits do not.

        How text is written counts too: a file with commas is not what a job with semicolons declares.
        """
        declared = {
            "version": 1,
            "partition": self.partition,
            "data_tz": self.data_tz,
            "source": self.source.declaration(),
            "contract": [part.declaration() for part in self.contract],
            "derive": [part.declaration() for part in self.derive],
            "filters": [part.declaration() for part in self.filters],
            "features": [part.declaration() for part in self.features],
            "output": [part.declaration() for part in self.output],
            "row_id": self.row_id,
            "model": str(self.model),
        }
        written = [files.form() for files in self.sink_files if files.is_text]
        declared |= {"written": written} if written else {}
        # What was declared before there was a choice keeps its digest.
        declared |= {"predict": self.predict} if self.predict != PREDICTS[0] else {}
        return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()


def _require_asked(job: Job) -> None:
    if job.predict not in PREDICTS:
        raise JobError(
            f"predict is {job.predict!r}, which is none of {', '.join(map(repr, PREDICTS))}",
            hint='write predict="probability" for the second of two classes, "probabilities" for every class',
        )


def _named(function: Any) -> Any:
    """A model's function, which a worker has to find by its name."""
    if not isinstance(function, FunctionType) or function.__qualname__ != function.__name__ or "<" in function.__name__:
        called = getattr(function, "__qualname__", type(function).__name__)
        raise JobError(
            f"model is {called}, which no other process can find by its name",
            hint="let model be a path, a URI, or a function that stands in a file by itself: def predict(frame): ...",
        )
    return function


def _require_kinds(job: Job) -> None:
    if not isinstance(job.gates, Gates):
        raise JobError(f"gates is {job.gates!r}, which is no Gates", hint="write gates=Gates(quarantined_rows=100)")
    if not isinstance(job.retention, Retention):
        raise JobError(
            f"retention is {job.retention!r}, which is no Retention", hint="write retention=Retention(outputs_days=30)"
        )
    for name in ("fit", "simulate"):
        if getattr(job, name) is not None and not callable(getattr(job, name)):
            raise JobError(f"{name} is {getattr(job, name)!r}, which is no function")
    if not isinstance(job.settings, Mapping):
        raise JobError(f"settings is {job.settings!r}, which is no dict", hint='write settings={"MAX_WORKERS": 2}')
    if not isinstance(job.source, Files):
        raise JobError(f"source is {job.source!r}, which is no Files")
    if job.training is not None and not isinstance(job.training, Files):
        raise JobError(f"training is {job.training!r}, which is no Files", hint="write training=Files(path, under=...)")


def _listed(name: str, given: object) -> tuple[object, ...]:
    # A text is a list of its letters, which nobody means.
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise JobError(f"{name} is {given!r}, which is no list", hint=f"write {name}=[...]")
    return tuple(given)


_PARTS: dict[str, type] = {
    "contract": (Field, Rule),  # type: ignore[dict-item]
    "features": Feature,
    "derive": Feature,
    "filters": Filter,
    "output": Column,
    "sinks": Files,
    "trust": (str, Path),  # type: ignore[dict-item]
}


_MAKERS = {
    "contract": "make the contract of Field(name, dtype, ...), Rule(name, expression) and within_partition(column)",
    "features": "make features with category, cross, number, duration, ratio or expression",
    "derive": "make derived values with expression(name, ...), duration, ratio and the like; computed() is for output",
    "filters": "make filters with between(...) or Filter(name, ...)",
    "output": "make output columns with passthrough, prediction, computed, row_id and the like",
}


def _kind_name(kind: type | tuple[type, ...]) -> str:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join(one.__name__ for one in kinds)
