"""Drafting: a job for somebody's own model and data, written as a Python file that they can read and go on with.

What the model wants is matched with the columns of a sample; the contract is what the sample shows, no tighter: types,
which values may be missing, and that a number is never negative where none was. It must not know how files are read or
models are loaded.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from scoreline.errors import UsageError
from scoreline.files import COMPRESSED, Csv
from scoreline.partition import SLUG, Grid
from scoreline.sketch import Sample, Sketch, Wanted

_SEPARATORS = ("_", "-", "|", ":", " ", "")
_TRIED_ROWS = 1_000
_TRIED_COLUMNS = 24
_RENAMED = 0.5
"""Part of the sample's rows whose value the model has learned, for a column of another name to be what it means."""
_RECOGNISED = 0.2
"""The same for two columns whose values were joined; fewer of the pairs will have been seen in training."""
_RIVAL = 0.75
"""A candidate that fits at least so well as the best one, by this factor, may be what is meant as well."""
_ODD = 0.05
"""Part of a column's values that may be no numbers where all others are: dirt, which the contract keeps out."""
_COMMAS = r"^[+-]?\d+(,\d+)?$"
"""A number with a decimal comma."""
_DATES = (
    ("day", r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)", "{yyyy}-{mm}-{dd}"),
    ("month", r"(?<!\d)\d{4}-\d{2}(?![\d-])", "{yyyy}-{mm}"),
)


@dataclass(frozen=True, slots=True)
class Wish:
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
class Missing:
    """An input of the model that the draft leaves open, since nothing in the sample decides it.

    Attributes:
        name: of the input.
        options: the columns that may give it, several joined by commas; empty where none fits.
    """

    name: str
    options: tuple[str, ...] = ()


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


def draft(sample: Sample, sketch: Sketch, wish: Wish, folder: Path, model: str) -> Draft:
    """Writes a job for a model and the data that a sample stands for.

    Args:
        sample: of the data.
        sketch: of the model.
        wish: of the user.
        folder: where the job file will lie; paths in it begin there.
        model: path or URI of the model, as the job names it.

    Raises:
        UsageError: a chosen column is not there, or the sample's name cannot name a partition.
    """
    given = [column for columns in wish.given.values() for column in columns]
    _require_columns(sample, [*wish.features, *given, *([wish.row_id] if wish.row_id else [])])
    wants = _wanted(sketch, wish)
    sample = _without_odd_numbers(sample, _columns_of_numbers(wants, wish, sample.frame.columns))
    matches = [_match(wanted, sample.frame, wish.given.get(wanted.name)) for wanted in wants]
    found = [one for one in matches if isinstance(one, _Match)]
    grid, template, slug = _named(sample.path)
    contract = tuple(_contract(sample, found, wish.row_id))
    text = _Text(sample, wish, grid, template, model, folder).whole(found, contract, sketch)
    missing = tuple(one for one in matches if isinstance(one, Missing))
    return Draft(text, slug, grid, contract, missing, tuple(sample.frame.columns))


# -- from the model's inputs to columns


@dataclass(frozen=True, slots=True)
class _Match:
    """A feature as code, and the columns that it reads, as what."""

    name: str
    code: str
    columns: tuple[str, ...]
    is_category: bool
    has_commas: bool = False


def _wanted(sketch: Sketch, wish: Wish) -> Sequence[Wanted]:
    wants = sketch.wants or [Wanted(name) for name in wish.features]
    if not wants:
        raise UsageError(
            f"the model ({sketch.kind}) does not tell the names of its inputs",
            hint="name the columns that it reads, in the order of its training: --features first,second,third",
        )
    unknown = sorted(set(wish.given) - {one.name for one in wants})
    if unknown:
        raise UsageError(
            f"the model has no input {', '.join(map(repr, unknown))}",
            hint=f"its inputs are {', '.join(one.name for one in wants)}",
        )
    return wants


def _match(wanted: Wanted, frame: pl.DataFrame, given: Sequence[str] | None) -> _Match | Missing:
    """The feature that gives a model its input; what nothing decides is left open."""
    if given is not None:
        return _as_given(wanted, frame, given)
    column = _by_name(wanted.name, frame.columns)
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


def _as_given(wanted: Wanted, frame: pl.DataFrame, columns: Sequence[str]) -> _Match | Missing:
    if len(columns) == 1:
        return _plain(wanted, frame[columns[0]]) or Missing(wanted.name)
    rows = _with_whole_ids(frame.head(_TRIED_ROWS))
    sep = max(_SEPARATORS, key=lambda sep: _share(rows, columns, sep, wanted))
    option = "" if sep == "_" else f", sep={_quoted(sep)}"
    code = f"sl.cross({', '.join(map(_quoted, (wanted.name, *columns)))}{option})"
    return _Match(wanted.name, code, tuple(columns), is_category=True)


def _by_name(name: str, columns: Sequence[str]) -> str | None:
    if name in columns:
        return name
    alike = [column for column in columns if _letters(column) == _letters(name)]
    return alike[0] if len(alike) == 1 else None


def _letters(name: str) -> str:
    """A name as people say it: ``Trip distance`` is ``trip_distance``."""
    return re.sub(r"[\W_]", "", name.casefold()) or name


def _plain(wanted: Wanted, values: pl.Series) -> _Match | None:
    column, dtype = values.name, values.dtype
    if not wanted.is_category and dtype == pl.String and _are_numbers_with_commas(values):
        number = f'pl.col({_quoted(column)}).str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)'
        code = f"sl.expression({_quoted(wanted.name)}, {number})"
        return _Match(wanted.name, code, (column,), is_category=False, has_commas=True)
    is_text = isinstance(dtype, pl.String | pl.Categorical | pl.Enum)
    if not (is_text or dtype.is_numeric() or dtype == pl.Boolean) or (is_text and wanted.is_category is False):
        return None
    is_category = is_text if wanted.is_category is None else wanted.is_category
    kind = "category" if is_category else "number"
    source = "" if column == wanted.name else f", {_quoted(column)}"
    return _Match(wanted.name, f"sl.{kind}({_quoted(wanted.name)}{source})", (column,), is_category)


def _are_numbers_with_commas(texts: pl.Series) -> bool:
    """Whether nearly all values are numbers with a decimal comma; 1,500 alone may be a thousand and a half."""
    known = texts.drop_nulls()
    numbers = int(known.str.contains(_COMMAS).sum())
    return numbers >= (1 - _ODD) * known.len() and bool(known.str.contains(r"^[+-]?\d+,(\d{1,2}|\d{4,})$").any())


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
        column.cast(pl.Int64) for column in rows.iter_columns() if column.dtype.is_float() and _are_whole(column)
    )


def _are_whole(values: pl.Series) -> bool:
    known = values.drop_nulls()
    return bool((known.is_between(-(2**53), 2**53) & (known == known.round(0))).all())


def _category_columns(frame: pl.DataFrame) -> list[str]:
    return [name for name, dtype in frame.schema.items() if dtype.is_integer() or dtype == pl.String][:_TRIED_COLUMNS]


def _share(rows: pl.DataFrame, columns: Sequence[str], sep: str, wanted: Wanted) -> float:
    joined = rows.select(pl.concat_str([pl.col(name).cast(pl.String) for name in columns], separator=sep)).to_series()
    return float(joined.is_in(list(wanted.values)).sum()) / max(rows.height, 1) if wanted.values else 0.0


# -- from the sample to a contract


def _columns_of_numbers(wants: Sequence[Wanted], wish: Wish, columns: Sequence[str]) -> Iterator[str]:
    """Columns that give inputs which are not known to be categories."""
    for wanted in wants:
        given = wish.given.get(wanted.name)
        column = _by_name(wanted.name, columns) if given is None else given[0]
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
        if padded or not 0 < int(odd.sum()) <= _ODD * known:
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


def _contract(sample: Sample, matches: Sequence[_Match], row_id: str | None) -> Iterator[Used]:
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
        return "pl.Int64" if is_category and _are_whole(values) else "pl.Float64"
    if isinstance(dtype, pl.Datetime):
        return f'pl.Datetime("us", {_quoted(dtype.time_zone)})' if dtype.time_zone else 'pl.Datetime("us")'
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
    wish: Wish
    grid: str
    template: str
    model: str
    folder: Path

    def whole(self, matches: Sequence[_Match], contract: Sequence[Used], sketch: Sketch) -> str:
        suffix = "".join(_stem(self.sample.path)[1])
        field, rows = "{slug}", self.sample.frame.height
        lines = [
            f'"""Scores {self.wish.name} with a {sketch.kind}."""',
            "",
            f"# Drafted by scoreline init from {rows:,} rows of {self.sample.path.name!r}. It is yours to go on with.",
            "",
            "import polars as pl",
            "",
            "import scoreline as sl",
            "",
            "job = sl.Job(",
            f"    name={_quoted(self.wish.name)},",
            f"    partition={_quoted(self.grid)},",
            f"    source=sl.Files({_quoted(self.template)}, under={_quoted(self._under())}{self._csv()}),",
            *_listed(
                "contract",
                [
                    *((_field(used), used.seen) for used in contract),
                    *((rule, "") for rule in _rules(matches, contract)),
                ],
                "rows that break it go to quarantine",
            ),
            *_listed("features", [(match.code, "") for match in matches], "what the model reads"),
            *([f"    row_id={_quoted(self.wish.row_id)},"] if self.wish.row_id else []),
            f"    model={_quoted(self.model)},",
            *_listed("output", [(code, "") for code in _output(contract, self.wish, sketch)], "the published columns"),
            f'    sinks=sl.Files({_quoted(field + suffix)}, under="predictions"),',
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
    return f"sl.Field({_quoted(used.name)}, {used.dtype}{low}{nullable})"


def _rules(matches: Sequence[_Match], contract: Sequence[Used]) -> Iterator[str]:
    """What a text with a decimal comma has to be: what is none would reach the model as a missing value."""
    nullable = {used.name for used in contract if used.nullable}
    for column in dict.fromkeys(match.columns[0] for match in matches if match.has_commas):
        read = f"pl.col({_quoted(column)})"
        may_miss = f"{read}.is_null() | " if column in nullable else ""
        yield f"sl.Rule({_quoted(f'{column} is a number')}, {may_miss}{read}.str.contains({_quoted(_COMMAS)}))"


def _output(contract: Sequence[Used], wish: Wish, sketch: Sketch) -> Iterator[str]:
    yield 'sl.row_id("row_id")'
    for used in contract:
        if used.name != wish.row_id:
            yield f"sl.passthrough({_quoted(used.name)}, {used.dtype})"
    kind = "" if sketch.labels == "Float64" else f", pl.{sketch.labels}"
    yield f'sl.prediction("prediction"{kind})'
    yield 'sl.model_version("model_version")'


def _listed(name: str, items: Sequence[tuple[str, str]], why: str) -> list[str]:
    rows = [f"        {code},  # seen: {seen}" if seen else f"        {code}," for code, seen in items]
    return [f"    {name}=[  # {why}", *rows, "    ],"]


def _quoted(value: Any) -> str:
    """A Python literal with double quotes, as formatters have it."""
    text = repr(str(value))
    inner = text[1:-1]
    return text if '"' in inner else '"' + inner.replace("\\'", "'") + '"'


def _code(value: Any) -> str:
    return _quoted(value) if isinstance(value, str) else repr(list(value) if isinstance(value, tuple) else value)
