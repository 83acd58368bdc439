"""Job: the declaration of what is scored, with what, into what. Frozen; everything else follows from it.

It holds values only: no open file, no model in memory. Its scoring digest says whether two declarations score alike.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from scoreline.contract import Field, Part, Rule, columns_of
from scoreline.errors import JobError, UsageError
from scoreline.features import Feature
from scoreline.files import Files
from scoreline.filters import Filter
from scoreline.gates import Gates
from scoreline.output import GIVEN, MODEL_VERSION, PREDICTION, PREFIX, RUN_ID, Column
from scoreline.partition import SLUG, Grid, Partition
from scoreline.retention import Retention
from scoreline.template import TIME_FIELDS, Template
from scoreline.writable import unusable

_FOR_EVER = Retention(outputs_days=None)
DRIVER_FIELDS = ("job", "model_version", "model_digest")


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """One batch-scoring job.

    Args:
        name: letters, digits and ``. _ -``; with identity parameters it is the job's key in the ledger.
        partition: what one run scores: ``"month"``, ``"day"``, ``"2h"`` ... or ``"named"``.
        source: the input `Files`.
        model: path of the model, relative to the job file's folder, or ``runs:/<run id>/model`` or
            ``models:/name@alias`` in MLflow.
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
    model: str | Path
    features: Sequence[Feature]
    output: Sequence[Column]
    sinks: Files | Sequence[Files]
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
    identity: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Identity parameters, filled in where the job function is called."""

    def __post_init__(self) -> None:
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

    def __getstate__(self) -> dict[str, Any]:
        # Workers neither train nor simulate, and these functions may come from where no worker can import them.
        return {**self.__dict__, "fit": None, "simulate": None}

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

    @property
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
        return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()


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


def lint(job: Job) -> list[str]:
    """What is wrong with a declaration, in sentences that say what to do; empty when nothing is."""
    return [finding for check in _CHECKS for finding in check(job)]


def require_sound(job: Job) -> None:
    """Refuses a job that `lint` finds fault with.

    Raises:
        JobError: with all findings.
    """
    findings = lint(job)
    if findings:
        raise JobError(
            f"job {job.name!r} cannot run:\n" + "\n".join(f"  - {finding}" for finding in findings),
            hint="mend the job file, then: scoreline check JOB",
        )


def _check_name(job: Job) -> Iterator[str]:
    if not SLUG.match(job.name) or "=" in job.name:
        yield f"the name {job.name!r} cannot stand in paths; use letters, digits and . _ -"


def _check_contract(job: Job) -> Iterator[str]:
    for kind, called in ((Field, "field"), (Rule, "rule")):
        names = [part.name for part in job.contract if isinstance(part, kind)]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"the contract declares the {called} {name!r} twice"
    if job.partition == "named" and any(isinstance(part, Rule) and part.holds is None for part in job.contract):
        yield "the contract has within_partition, but named partitions have no bounds"
    columns = {column.name for column in job.output}
    for name in job.gates.null_percent:
        if name not in columns:
            yield f"the gate null_percent names {name!r}, which is no output column"


def _check_start(job: Job) -> Iterator[str]:
    if job.start is not None:
        try:
            job.grid.parse(job.start)
        except UsageError as error:
            yield f"start: {error.message}"


def _check_names_unique(job: Job) -> Iterator[str]:
    for part in ("derive", "features", "filters", "output"):
        names = [value.name for value in getattr(job, part)]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"{part} declares {name!r} twice; give each its own name"
        for name in names:
            if name.startswith(PREFIX) or not name:
                yield f"{part} declares {name!r}; names are not empty and do not begin with {PREFIX!r}"


def _check_columns_read(job: Job) -> Iterator[str]:
    for name in job.input_columns:
        if name.startswith(PREFIX):
            yield f"the job reads {name!r}; names that begin with {PREFIX!r} are Scoreline's own, and no input columns"


def _check_parts_present(job: Job) -> Iterator[str]:
    if not job.features:
        yield "features is empty; a model needs at least one"
    if not job.sink_files:
        yield "sinks is empty; name where predictions go, such as Files('{yyyy}-{mm}.parquet', under='predictions')"
    if not any(PREDICTION in column.expr.meta.root_names() for column in job.output):
        yield "output has no prediction; add prediction('predicted_...')"


def _check_paths(job: Job) -> Iterator[str]:
    for name in sorted({*TIME_FIELDS, *DRIVER_FIELDS} & set(dict(job.identity))):
        yield f"the parameter {name!r} has the name of a path field; give it another one"
    known = {*TIME_FIELDS, *dict(job.identity), *DRIVER_FIELDS}
    for role, files in _declared_files(job):
        fields = files.template.fields
        for name in sorted(fields - known):
            yield (
                f"the path {files.path!r} in {role} has the field {{{name}}}; known are partition fields, "
                f"{', '.join(DRIVER_FIELDS)} and parameters marked Annotated[..., Identity]"
            )
        if files.template.is_ambiguous:
            yield f"the wildcard in {files.path!r} would take other partitions' files; put a folder between: {{slug}}/*"
        if role != "sinks" and fields & {"model_version", "model_digest"}:
            yield f"the path {files.path!r} in {role} names the model; only sinks can"
        if fields <= known:
            yield from _check_partitions_apart(job, files, role)


def _declared_files(job: Job) -> Iterator[tuple[str, Files]]:
    yield "source", job.source
    if job.training is not None:
        yield "training", job.training
    for sink in job.sink_files:
        yield "sinks", sink


def _check_slots(job: Job) -> Iterator[str]:
    for files in job.sink_files:
        if files.template.has_wildcard:
            yield f"the path {files.path!r} in sinks has a wildcard; a slot has one path"
        place = f"{files.under}/{files.path}"
        for name, value in job.identity:
            if name not in files.template.fields and value not in place:
                yield f"the path {files.path!r} in sinks is the same for every {name}; add {{{name}}}"


def _check_processed(job: Job) -> Iterator[str]:
    for sink in job.sink_files:
        if sink.is_inbox:
            yield f"{sink.path!r} in sinks has processed=; only a source's files are moved away"
    if job.source.is_inbox:
        known = {*TIME_FIELDS, *dict(job.identity), "job", "name"}
        for name in sorted(Template(job.source.processed_place[1]).fields - known):
            yield f"the processed place {str(job.source.processed)!r} has the field {{{name}}}, which nothing fills"


def _check_partitions_apart(job: Job, files: Files, role: str) -> Iterator[str]:
    """Renders partitions that differ in one part of their time, because a form such as {start:%m} may leave it out."""
    try:
        paths = [files.template.render(partition, _path_values(job)) for partition in _telling_partitions(job.grid)]
    except UsageError as error:
        yield error.message
        return
    if len(set(paths)) < len(paths):
        yield f"the path {files.path!r} in {role} is the same for several partitions; add {{slug}}"


def _telling_partitions(grid: Grid) -> Iterator[Partition]:
    digits = (1, 2, 11, 12)
    dates = [(2019, month, day) for month in digits for day in (*digits, 21, 22)] + [(2020, 1, 1), (2119, 1, 1)]
    slugs = [f"{year}-{month:02d}-{day:02d}" for year, month, day in dates]
    if grid.spec == "named":
        slugs = ["batch-1", "batch-2"]
    elif grid.hours:
        slugs = [f"{slug}T{hour:02d}Z" for slug in slugs for hour in range(0, 24, grid.hours)]
    elif grid.spec == "month":
        slugs = sorted({slug[:7] for slug in slugs})
    return map(grid.parse, slugs)


def _path_values(job: Job) -> dict[str, str]:
    return job.path_values | dict.fromkeys(("model_version", "model_digest"), "0")


def _check_texts(job: Job) -> Iterator[str]:
    """What a file without types or metadata has to have, and cannot hold."""
    texts = [files for files in job.sink_files if files.format != "parquet"]
    names = ", ".join(repr(files.path) for files in texts)
    given = [pl.col(MODEL_VERSION), pl.col(RUN_ID)]
    if texts and not any(column.expr.meta.eq(one) for column in job.output for one in given):
        yield (
            f"the sink {names} has no place for what made it, so its rows have to say it; "
            "add model_version('model_version') or run_id('run_id') to output"
        )
    for column in job.output if texts else ():
        if isinstance(column.dtype, pl.Binary | pl.Duration | pl.Null):
            yield f"the sink {names} cannot hold {column.name!r}, which is {column.dtype}; make it a number or a text"
    for files in texts:
        if files.format == "csv":
            yield from unusable(files, [column.name for column in job.output])


def _check_sinks_apart(job: Job) -> Iterator[str]:
    places = [(str(files.under), files.path) for files in job.sink_files]
    if len(set(places)) < len(places):
        yield "two sinks have the same path; each needs its own"
    for sink in job.sink_files:
        if str(sink.under) == str(job.source.under) and _would_read(job, sink):
            yield f"the source {job.source.path!r} would read what goes to {sink.path!r}; use another folder"


def example_paths(job: Job, sink: Files) -> tuple[Template, str]:
    """The source's pattern and a sink's path of one partition, to see whether the one would read the other.

    Raises:
        UsageError: a path cannot be rendered.
    """
    example = job.grid.parse(job.grid.example)
    pattern = job.source.template.render(example, _path_values(job))
    return Template(pattern), sink.template.render(example, _path_values(job))


def _would_read(job: Job, sink: Files) -> bool:
    try:
        pattern, path = example_paths(job, sink)
    except UsageError:
        return False  # another check says what cannot be rendered
    return pattern.matches(path)


_CHECKS = (
    _check_name,
    _check_start,
    _check_names_unique,
    _check_contract,
    _check_columns_read,
    _check_parts_present,
    _check_paths,
    _check_processed,
    _check_slots,
    _check_texts,
    _check_sinks_apart,
)
