"""Writes docs/reference/jobs.md from the docstrings of `scoreline.__all__`: `python -m tests.docs.make_jobs`."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

import scoreline
from scoreline.template import Template

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/jobs.md"
EXAMPLE = Path(__file__).parent / "example_job.py"
COMMAND = "python -m tests.docs.make_jobs"
WIDTH = 100

GROUPS = {
    "Source and partitions": (["name", "partition", "source", "data_tz", "start"], ["Files", "Csv"]),
    "Contract": (["contract"], ["Field", "Rule", "within_partition"]),
    "Derived values and features": (
        ["derive", "features"],
        ["category", "cross", "number", "duration", "ratio", "expression"],
    ),
    "Filters": (["filters"], ["between", "Filter"]),
    "Model and training": (["model", "predict", "trust", "target", "fit", "experiment", "training", "simulate"], []),
    "Output": (
        ["output", "row_id"],
        [
            "row_id",
            "prediction",
            "passthrough",
            "computed",
            "model_version",
            "run_id",
            "scored_at",
            "partition_slug",
        ],
    ),
    "Sinks": (["sinks"], []),
    "Gates": (["gates"], ["Gates"]),
    "Retention": (["retention"], ["Retention"]),
    "Parameters": (["settings"], ["Identity", "Setting"]),
}
"""Heading -> arguments of `Job`, and names that they are made of."""

FUNCTIONS = ["train", "run", "read", "replay", "plan", "backfill", "explain", "verify", "summarise", "prune"]
FILLED = {"function", "identity"}
"""Arguments of `Job` that nobody writes."""

RECORD_REASONS = [
    ("record:too few fields", "CSV", "fewer fields than columns"),
    ("record:too many fields", "CSV", "more fields than columns"),
    (
        "record:quote not closed",
        "CSV",
        "a quote opens a field and nothing closes it; its own line is rejected, no other",
    ),
    ("record:text after a closing quote", "CSV", "so nobody knows where the field ends"),
    ("record:not JSON", "JSON lines", "the line is no JSON, or more than one value"),
    ("record:not an object", "JSON lines", "the line is another JSON value"),
    ("record:key twice", "JSON lines", "a key that is asked for comes twice"),
    ("record:undecodable", "both", "bytes that are no text in the file's encoding, or half a surrogate pair"),
    ("record:too long", "both", "over 4 MiB without an end; of its text the first 64 KiB are kept"),
]
"""Reasons of records that are no rows, with their formats."""

REASONS = [
    ("COLUMN:null", "contract", "a `Field` that is not nullable is missing"),
    ("COLUMN:nan", "contract", "a float `Field` is NaN, without `nan=True`"),
    ("COLUMN:infinite", "contract", "a float `Field` is infinite"),
    ("COLUMN:below BOUND", "contract", "a `Field` is below its `low`"),
    ("COLUMN:above BOUND", "contract", "a `Field` is above its `high`"),
    ("COLUMN:not TYPE", "contract", "a value would change if read as the `Field`'s type"),
    ("COLUMN:not allowed", "contract", "a value is not in the `Field`'s `one_of`"),
    ("rule:RULE", "contract", "a `Rule` (or `within_partition`) is false"),
    ("rule:RULE:null", "contract", "a `Rule` is null, and not for a column that is declared nullable"),
    ("filter:FILTER:null", "filter", "a filter is null, so that nobody knows whether the row is wanted"),
    (
        "feature:FEATURE:COLUMN is not a whole number",
        "feature, row_id",
        "`category` or `cross` reads a float that is none; for the declared id, `FEATURE` is `row_id`",
    ),
    ("feature:FEATURE:null", "feature", "the model raised, and cannot take the missing value"),
    ("feature:FEATURE:nan", "feature", "the model raised, and cannot take NaN"),
    ("feature:FEATURE:infinite", "feature", "the model raised, and cannot take the infinite value"),
    ("feature:FEATURE:too large", "feature", "the model raised, and cannot take what 32-bit floats cannot hold"),
    ("feature:FEATURE:never seen", "feature", "the model raised, and cannot take a category that it has not seen"),
    (
        "model:raised ERROR",
        "model",
        "the model raised such an error for this row by itself, and nothing above explains it",
    ),
    ("model:refused", "model", "the same, where Scoreline's way to call the model refused the row"),
    ("prediction:not finite", "prediction", "the prediction is missing, NaN or infinite"),
    ("row_id:COLUMN:null", "row_id", "the declared id is missing"),
    ("output:COLUMN:not TYPE", "output", "a value would change in the output column's type"),
]
"""Form, origin and meaning, in the order in which a row meets them; words in capitals stand for names and values."""

HEAD = f"""# Jobs

Made from the docstrings; `{COMMAND}` renews it. All names are imported from `scoreline`.
"""
SECTION = re.compile(r"^(Args|Attributes|Returns|Raises):\n((?:    .*\n|\n)+)", re.MULTILINE)
ITEM = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def value_of(name):
    """What a name of `scoreline.__all__` stands for."""
    return getattr(scoreline, name)


def marked(text):
    """A docstring's words on one line, as Markdown."""
    return re.sub(r"\s+", " ", text.replace("``", "`")).strip()


def sections(value):
    """The prose of a docstring, as paragraphs, and the text of each of its sections."""
    text = inspect.cleandoc(value.__doc__) + "\n"
    found = dict(SECTION.findall(text))
    return [marked(part) for part in SECTION.sub("\n", text).split("\n\n") if part.strip()], found


def arguments(value):
    """Argument -> what its docstring says of it."""
    found = sections(value)[1]
    return {name: marked(said) for name, said in ITEM.findall(found.get("Args", found.get("Attributes", "")))}


def default_of(value, parameter):
    """A default, as one would write it."""
    if dataclasses.is_dataclass(value):
        factory = {one.name: one.default_factory for one in dataclasses.fields(value)}[parameter.name]
        if factory is not dataclasses.MISSING:
            return "{}" if factory is dict else f"{factory.__name__}()"
    default = parameter.default
    return f"pl.{default.__name__}" if isinstance(default, type) else repr(default).replace("'", '"')


def signature(name):
    """`name(argument: type = default, ...)`, on lines of their own where one is too long."""
    value = value_of(name)
    told, keyword_only = [], False
    for one in inspect.signature(value).parameters.values():
        if one.name in FILLED:
            continue
        if one.kind is one.KEYWORD_ONLY and not keyword_only:
            told, keyword_only = [*told, "*"], True
        star = "*" if one.kind is one.VAR_POSITIONAL else ""
        keyword_only |= bool(star)
        default = "" if one.default is one.empty else f" = {default_of(value, one)}"
        told.append(f"{star}{one.name}: {one.annotation}{default}")
    gives = "" if inspect.isclass(value) else f" -> {inspect.signature(value).return_annotation}"
    line = f"{name}({', '.join(told)}){gives}"
    return line if len(line) <= WIDTH else "\n".join([f"{name}(", *(f"    {one}," for one in told), f"){gives}"])


def bullets(items):
    """Arguments as a list."""
    return "\n".join(f"- `{name}`: {said}" for name, said in items.items())


def entry(name):
    """Signature, description and arguments of one name."""
    value = value_of(name)
    prose, found = sections(value)
    told = [f"### {name}", *([] if name == "Identity" else [f"```python\n{signature(name)}\n```"]), *prose]
    told += [bullets(arguments(value))] if arguments(value) else []
    told += [f"Returns: {marked(found['Returns'])}"] if "Returns" in found else []
    told += [f"Raises: {'; '.join(raised(found))}."] if raised(found) else []
    return "\n\n".join(told) + "\n"


def raised(found):
    """Each error of a section, with its reason."""
    return [f"`{name}`: {marked(said).rstrip('.')}" for name, said in ITEM.findall(found.get("Raises", ""))]


def group(heading):
    """One group of `Job`'s arguments, with the names that they are made of."""
    mine, names = GROUPS[heading]
    said = arguments(scoreline.Job)
    told = [f"## {heading}\n", *([f"{bullets({name: said[name] for name in mine})}\n"] if mine else [])]
    fields = [f"Path templates. {' '.join(sections(Template)[0][1:])}\n"] if "Files" in names else []
    return "\n".join([*told, *map(entry, names), *fields])


def reasons():
    """The table of quarantine reasons."""
    rows = [f"| `{form}` | {origin} | {meaning} |" for form, origin, meaning in REASONS]
    return "\n".join(
        [
            "## Quarantine reasons\n",
            "In the order in which a row meets them (those of derived values come before the filters). A row keeps all",
            "the reasons of the stage that rejects it, and goes no further. A rule with `warn=True` rejects nothing;",
            "its rows are counted under the same words. `train` also leaves out rows for `target:COLUMN:null` and",
            "`target:COLUMN:not finite`.\n",
            "| reason | from | when |\n|---|---|---|",
            *rows,
            "\nA record of CSV or JSON lines that is no row is a rejected row too, with its text in the column",
            "`scoreline.raw` of the quarantine file. So is one with a JSON value of another kind than its `Field`",
            "declares, as `COLUMN:not TYPE`.\n",
            "| reason | format | when |\n|---|---|---|",
            *(f"| `{form}` | {origin} | {meaning} |" for form, origin, meaning in RECORD_REASONS),
        ]
    )


def page():
    """The whole page."""
    example = f"## Example\n\n```python\n{EXAMPLE.read_text('utf-8')}```\n"
    job = "\n\n".join(["## Job", f"```python\n{signature('Job')}\n```", *sections(scoreline.Job)[0]])
    functions = ["## Functions\n", *map(entry, FUNCTIONS)]
    parts = [HEAD, example, f"{job} Its arguments, as one writes them:\n", *map(group, GROUPS), *functions, reasons()]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
