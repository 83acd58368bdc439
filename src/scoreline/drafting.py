"""Drafting: a job for somebody's own model and data, written as a Python file that they can read and go on with.

What the model wants is matched with the columns of a sample; the contract is what the sample shows, no tighter: types,
which values may be missing, and that a number is never negative where none was. It must not know how files are read or
models are loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from scoreline.errors import UsageError
from scoreline.files import COMPRESSED, Csv
from scoreline.matching import COMMAS, ODD, Match, Missing, are_whole, by_name, matched, quoted
from scoreline.partition import SLUG, Grid
from scoreline.sketch import Sample, Sketch, Wanted

_DATES = (
    ("day", r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)", "{yyyy}-{mm}-{dd}"),
    ("month", r"(?<!\d)\d{4}-\d{2}(?![\d-])", "{yyyy}-{mm}"),
)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the user chose.

    Attributes:
        name: of the job; by default that of its folder.
        features: columns that the model reads, in order, for a model that does not tell.
        row_id: an input column that identifies rows.
        given: input of the model -> the column that gives it, or the columns whose values are joined to it.
    """

    name: str
    features: Sequence[str] = ()
    row_id: str | None = None
    given: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Used:
    """One column of the contract: how the draft uses it, and what the sample shows.

    Attributes:
        name: of the column.
        dtype: its Polars type, as code.
        nullable: whether values were missing.
        low: 0 where no value was negative, else None.
        seen: the range, or some of the values, for people.
        use: for what.
    """

    name: str
    dtype: str
    nullable: bool
    low: int | None
    seen: str
    use: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A job file, ready to be written.

    Attributes:
        text: of the Python file.
        partition: slug of the sample, as the job calls it.
        grid: of the job.
        contract: the columns that it reads.
        missing: inputs of the model that no column of the sample gives, or several could.
        columns: of the sample.
    """

    text: str
    partition: str
    grid: str
    contract: tuple[Used, ...]
    missing: tuple[Missing, ...]
    columns: tuple[str, ...]


def draft(sample: Sample, sketch: Sketch, answers: Answers, folder: Path, model: str) -> Draft:
    """Writes a job for a model and the data that a sample stands for.

    Args:
        sample: of the data.
        sketch: of the model.
        answers: of the user.
        folder: where the job file will lie; paths in it begin there.
        model: path or URI of the model, as the job names it.

    Raises:
        UsageError: a chosen column is not there, or the sample's name cannot name a partition.
    """
    given = [column for columns in answers.given.values() for column in columns]
    _require_columns(sample, [*answers.features, *given, *([answers.row_id] if answers.row_id else [])])
    wants = _wanted(sketch, answers)
    sample = _without_odd_numbers(sample, _columns_of_numbers(wants, answers, sample.frame.columns))
    matches = [matched(wanted, sample.frame, answers.given.get(wanted.name)) for wanted in wants]
    found = [one for one in matches if isinstance(one, Match)]
    grid, template, slug = _named(sample.path)
    contract = tuple(_contract(sample, found, answers.row_id))
    text = _Text(sample, answers, grid, template, model, folder).whole(found, contract, sketch)
    missing = tuple(one for one in matches if isinstance(one, Missing))
    return Draft(text, slug, grid, contract, missing, tuple(sample.frame.columns))


# -- from the model's inputs to columns


def _wanted(sketch: Sketch, answers: Answers) -> Sequence[Wanted]:
    wants = sketch.wants or [Wanted(name) for name in answers.features]
    if not wants:
        raise UsageError(
            f"the model ({sketch.kind}) does not tell the names of its inputs",
            hint="name the columns that it reads, in the order of its training: --features first,second,third",
        )
    unknown = sorted(set(answers.given) - {one.name for one in wants})
    if unknown:
        raise UsageError(
            f"the model has no input {', '.join(map(repr, unknown))}",
            hint=f"its inputs are {', '.join(one.name for one in wants)}",
        )
    return wants


def _columns_of_numbers(wants: Sequence[Wanted], answers: Answers, columns: Sequence[str]) -> Iterator[str]:
    """Columns that give inputs which are not known to be categories."""
    for wanted in wants:
        given = answers.given.get(wanted.name)
        column = by_name(wanted.name, columns) if given is None else given[0]
        if column is not None and not wanted.is_category and len(given or ()) <= 1:
            yield column


def _without_odd_numbers(sample: Sample, columns: Iterator[str]) -> Sample:
    """The sample with columns as the numbers that nearly all of their texts are, less the rows of the others."""
    frame = sample.frame
    for name in columns:
        texts = frame[name]
        if texts.dtype != pl.String:
            continue
        numbers = texts.cast(pl.Float64, strict=False)
        odd = numbers.is_null() & texts.is_not_null()
        known = texts.len() - texts.null_count()
        padded = texts.str.contains(r"^0\d").any()
        if padded or not 0 < int(odd.sum()) <= ODD * known:
            continue
        whole = texts.filter(~odd).str.contains(r"^[+-]?\d+$").all()
        frame = frame.with_columns(numbers.cast(pl.Int64) if whole else numbers).filter(~odd)
    return replace(sample, frame=frame)


def _require_columns(sample: Sample, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in sample.frame.columns]
    if missing:
        raise UsageError(
            f"{sample.path} has no column {', '.join(map(repr, missing))}",
            hint=f"its columns are {', '.join(sample.frame.columns)}",
        )


# -- from the sample to a contract


def _contract(sample: Sample, matches: Sequence[Match], row_id: str | None) -> Iterator[Used]:
    uses: dict[str, list[str]] = {row_id: ["row id"]} if row_id else {}
    categories: set[str] = set()
    for match in matches:
        for column in match.columns:
            uses.setdefault(column, []).append(f"feature {match.name}")
            categories |= {column} if match.is_category else set()
    for name, use in uses.items():
        yield _used(sample.frame[name], ", ".join(use), is_category=name in categories or name == row_id)


def _used(values: pl.Series, use: str, *, is_category: bool) -> Used:
    dtype = _declared(values, is_category=is_category)
    known = values.drop_nulls()
    if not values.dtype.is_numeric():
        some = ", ".join(map(repr, known.unique(maintain_order=True).head(3).to_list()))
        return Used(values.name, dtype, values.has_nulls(), None, f"such as {some}" if some else "no value", use)
    finite = known.filter(known.is_finite()) if known.dtype.is_float() else known
    low: Any = finite.min()
    high: Any = finite.max()
    positive = low is not None and low >= 0
    return Used(
        values.name, dtype, values.has_nulls(), 0 if positive else None, f"{_short(low)} to {_short(high)}", use
    )


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _declared(values: pl.Series, *, is_category: bool) -> str:
    """The type of a field, as code: ids that came as doubles are the integers that they are."""
    dtype = values.dtype
    if dtype.is_integer():
        return "pl.Int64"
    if dtype.is_float():
        return "pl.Int64" if is_category and are_whole(values) else "pl.Float64"
    if dtype.is_decimal():
        return "pl.Float64"  # what models compute with; a value that a float does not hold exactly is quarantined
    if isinstance(dtype, pl.Datetime):
        return f'pl.Datetime("us", {quoted(dtype.time_zone)})' if dtype.time_zone else 'pl.Datetime("us")'
    return f"pl.{dtype.base_type().__name__}" if dtype in {pl.Boolean, pl.Date, pl.Time} else "pl.String"


# -- from the file's name to partitions


def _named(path: Path) -> tuple[str, str, str]:
    """(grid, template, slug): a date in a file's name tells that there will be a file for each day or month."""
    for grid, pattern, fields in _DATES:
        found = re.findall(pattern, path.name)
        if len(found) == 1:
            try:
                slug = Grid(grid).parse(found[0]).slug
            except UsageError:
                continue
            return grid, _braced(path.name).replace(found[0], fields), slug
    stem, suffix = _stem(path)
    if not SLUG.match(stem):
        raise UsageError(
            f"{path.name!r} cannot name a partition",
            hint="rename the file: use letters, digits and . _ - in its name",
        )
    return "named", "{slug}" + suffix, stem


def _stem(path: Path) -> tuple[str, str]:
    name = path.name
    gz = name[-len(COMPRESSED) :] if name.lower().endswith(COMPRESSED) else ""
    plain = Path(name[: len(name) - len(gz)])
    return plain.stem, plain.suffix + gz


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


# -- the file


@dataclass(frozen=True, slots=True)
class _Text:
    """Lays the job out as a file."""

    sample: Sample
    answers: Answers
    grid: str
    template: str
    model: str
    folder: Path

    def whole(self, matches: Sequence[Match], contract: Sequence[Used], sketch: Sketch) -> str:
        suffix = "".join(_stem(self.sample.path)[1])
        field, rows = "{slug}", self.sample.frame.height
        lines = [
            f'"""Scores {self.answers.name} with a {sketch.kind}."""',
            "",
            f"# Drafted by scoreline init from {rows:,} rows of {self.sample.path.name!r}. It is yours to go on with.",
            "",
            "import polars as pl",
            "",
            "import scoreline as sl",
            "",
            "job = sl.Job(",
            f"    name={quoted(self.answers.name)},",
            f"    partition={quoted(self.grid)},",
            f"    source=sl.Files({quoted(self.template)}, under={quoted(self._under())}{self._csv()}),",
            *_listed(
                "contract",
                [
                    *((_field(used), used.seen) for used in contract),
                    *((rule, "") for rule in _rules(matches, contract)),
                ],
                "rows that break it go to quarantine",
            ),
            *_listed("features", [(match.code, "") for match in matches], "what the model reads"),
            *([f"    row_id={quoted(self.answers.row_id)},"] if self.answers.row_id else []),
            f"    model={quoted(self.model)},",
            *_listed(
                "output", [(code, "") for code in _output(contract, self.answers, sketch)], "the published columns"
            ),
            f'    sinks=sl.Files({quoted(field + suffix)}, under="predictions"),',
            ")",
            "",
        ]
        return "\n".join(lines)

    def _under(self) -> str:
        home = self.sample.path.parent.resolve()
        try:
            return home.relative_to(self.folder.resolve()).as_posix()
        except ValueError:
            return str(home)

    def _csv(self) -> str:
        csv, plain = self.sample.csv, Csv()
        if csv is None or csv == plain:
            return ""
        options = {
            "separator": csv.separator,
            "header": csv.header,
            "columns": list(csv.columns),
            "encoding": csv.encoding,
            "nulls": list(csv.nulls),
        }
        told = [
            f"{name}={_code(value)}" for name, value in options.items() if _code(value) != _code(getattr(plain, name))
        ]
        return f", csv=sl.Csv({', '.join(told)})" if told else ""


def _field(used: Used) -> str:
    low = f", low={used.low}" if used.low is not None else ""
    nullable = ", nullable=True" if used.nullable else ""
    return f"sl.Field({quoted(used.name)}, {used.dtype}{low}{nullable})"


def _rules(matches: Sequence[Match], contract: Sequence[Used]) -> Iterator[str]:
    """What a text with a decimal comma has to be: what is none would reach the model as a missing value."""
    nullable = {used.name for used in contract if used.nullable}
    for column in dict.fromkeys(match.columns[0] for match in matches if match.has_commas):
        read = f"pl.col({quoted(column)})"
        may_miss = f"{read}.is_null() | " if column in nullable else ""
        yield f"sl.Rule({quoted(f'{column} is a number')}, {may_miss}{read}.str.contains({quoted(COMMAS)}))"


def _output(contract: Sequence[Used], answers: Answers, sketch: Sketch) -> Iterator[str]:
    yield 'sl.row_id("row_id")'
    for used in contract:
        if used.name != answers.row_id:
            yield f"sl.passthrough({quoted(used.name)}, {used.dtype})"
    kind = "" if sketch.labels == "Float64" else f", pl.{sketch.labels}"
    yield f'sl.prediction("prediction"{kind})'
    yield 'sl.model_version("model_version")'


def _listed(name: str, items: Sequence[tuple[str, str]], why: str) -> list[str]:
    rows = [f"        {code},  # seen: {seen}" if seen else f"        {code}," for code, seen in items]
    return [f"    {name}=[  # {why}", *rows, "    ],"]


def _code(value: Any) -> str:
    return quoted(value) if isinstance(value, str) else repr(list(value) if isinstance(value, tuple) else value)
