"""Lint: what is wrong with a declaration, told before anything runs, in sentences that say what to do.

It looks at a job alone: not at files, models or settings.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import polars as pl

from scoreline.contract import Field, Rule
from scoreline.errors import JobError, UsageError
from scoreline.files import Files
from scoreline.job import DRIVER_FIELDS, Job
from scoreline.output import MODEL_VERSION, PREDICTION, PREFIX, RUN_ID, field_of
from scoreline.partition import SLUG, Grid, Partition
from scoreline.template import TIME_FIELDS, Template
from scoreline.writable import unusable


def lint(job: Job) -> list[str]:
    """What is wrong with a declaration, in sentences that say what to do; empty when nothing is."""
    return list(_found(job))


@functools.lru_cache(maxsize=4)
def _found(job: Job) -> tuple[str, ...]:
    """Looked for once: each step on the way to a run asks."""
    return tuple(finding for check in _CHECKS for finding in check(job))


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


def _check_predict(job: Job) -> Iterator[str]:
    if job.function is not None and job.fit is not None:
        yield "the model is a function, so there is nothing that fit could make; leave one of them out"
    if job.function is not None and job.predict != "value":
        yield "the model is a function, which gives what it gives; leave predict= out"
    for column in job.output:
        whole, parts = column.expr.meta.eq(pl.col(PREDICTION)), field_of(column.expr)
        if job.predict == "probabilities" and whole:
            yield (
                f"output has all probabilities in {column.name!r}, and a column holds one value; give each class its "
                f"own, such as prediction({column.name + '_setosa'!r}, field='setosa')"
            )
        if job.predict == "probability" and parts is not None:
            yield f"output has the field {parts!r} of the prediction; there are fields with predict='probabilities'"


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
    _check_predict,
    _check_paths,
    _check_processed,
    _check_slots,
    _check_texts,
    _check_sinks_apart,
)
