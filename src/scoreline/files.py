"""Files: where the rows of a job lie or go, as a path template under a folder.

The same declaration serves sources and sinks; an adapter does the work. It must not touch the file system.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from scoreline.errors import UsageError
from scoreline.template import Template

SUFFIXES = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
NAME = "{name}"
"""Stands for a file's own name in the path of a processed place."""
_WILD = {"*", "?"}
COMPRESSED = ".gz"
"""A text format may be compressed: its suffix then follows the format's own, as in ``.csv.gz``."""


@dataclass(frozen=True, slots=True)
class Csv:
    """How a CSV file is written, where it is not as RFC 4180 has it.

    Args:
        separator: one ASCII character between fields.
        header: whether the first record holds the columns' names.
        columns: the names of all columns in order, for files without a header.
        encoding: of the text, by Python's name for it; a byte-order mark is recognised in any case.
        nulls: unquoted texts that stand for a missing value; sinks write the first one.
        escape_formulas: for sinks: whether texts that a spreadsheet would execute (those that begin with ``= + - @``,
            a tab or a carriage return) are written with an apostrophe before them. `read` takes it off again.

    Raises:
        UsageError: a separator that is no single ASCII character, an encoding that Python does not know, or a file with
            neither header nor columns.
    """

    separator: str = ","
    header: bool = True
    columns: Sequence[str] = ()
    encoding: str = "utf-8"
    nulls: Sequence[str] = ("",)
    escape_formulas: bool = False

    def __post_init__(self) -> None:
        if len(self.separator) != 1 or not self.separator.isascii() or self.separator in '\r\n"':
            raise UsageError(f"{self.separator!r} cannot separate fields", hint="use one character, such as ',' or ';'")
        if not self.header and not self.columns:
            raise UsageError(
                "a CSV file without a header needs the names of its columns",
                hint="write Csv(header=False, columns=[...]), with all columns in order",
            )
        try:
            known = codecs.lookup(self.encoding)
            "".encode(known.name)  # else it is no encoding of text, such as base64
        except (LookupError, ValueError) as error:
            raise UsageError(
                f"the encoding {self.encoding!r} is unknown", hint="such as 'utf-8' or 'cp1252'"
            ) from error
        for name in ("columns", "nulls"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


@dataclass(frozen=True, slots=True)
class Files:
    """Files named by a template, such as ``Files("green_tripdata_{yyyy}-{mm}.parquet", under="data")``.

    Args:
        path: template of the path below ``under``; see `scoreline.template.Template`.
        under: a folder; relative to the job file's folder. It is taken as it is, without fields.
        format: the files' format; by default told by the suffix.
        layout: for sinks, what a slot is: ``file``, one ordered file.
        csv: how CSV files are written.
        processed: for sources, which it makes an inbox: where a partition's files are moved once it is published. A
            folder, or a path with ``{name}``, the file's own name, such as ``done/processed_{slug}_{name}``; relative
            to the job file's folder. Nothing there is ever overwritten.
        settle: for an inbox, seconds for which a file has to be left alone before it is taken.

    Raises:
        UsageError: an unusable template, or a format that nobody can tell.
    """

    path: str
    under: str | Path = "."
    format: str = ""
    layout: Literal["file"] = "file"
    csv: Csv = Csv()
    processed: str | Path = ""
    settle: float = 1.0
    template: Template = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "template", Template(self.path))
        if self.layout != "file":
            raise UsageError(f"{self.layout!r} is not a layout", hint="use layout='file'")
        name = PurePosixPath(self.path.lower().removesuffix(COMPRESSED))
        chosen = self.format or SUFFIXES.get(name.suffix, "")
        formats = tuple(dict.fromkeys(SUFFIXES.values()))
        if chosen not in formats:
            raise UsageError(
                f"the format of {self.path!r} is unknown",
                hint=f"end the path in {' or '.join(SUFFIXES)}, or give format=: {', '.join(formats)}",
            )
        if chosen == "parquet" and self.is_compressed:
            raise UsageError(f"{self.path!r} ends in {COMPRESSED}", hint="Parquet compresses itself: leave it out")
        object.__setattr__(self, "format", chosen)
        self._require_processed()

    @property
    def is_inbox(self) -> bool:
        """Whether files are moved away once they are published."""
        return bool(str(self.processed))

    @property
    def processed_place(self) -> tuple[str, str]:
        """Folder and template of the processed place; the template is ``{name}`` where only a folder was given."""
        text = str(self.processed)
        if "{" not in text:
            return text, "{name}"
        folder, _, rest = text[: text.index("{")].rpartition("/")
        return folder or ("/" if text.startswith("/") else "."), rest + text[text.index("{") :]

    @property
    def is_text(self) -> bool:
        """Whether the format has no types of its own, so that a field of the contract tells a column's type."""
        return self.format != "parquet"

    @property
    def is_compressed(self) -> bool:
        """Whether the files are gzip streams."""
        return self.path.lower().endswith(COMPRESSED)

    def declaration(self) -> dict[str, Any]:
        """What of it decides the scored values: not the folders, which may move."""
        return {"path": self.path, **self.form()}

    def form(self) -> dict[str, Any]:
        """What of it decides how a file is written, beside its rows."""
        told: dict[str, Any] = {"format": self.format}
        return told | ({"csv": asdict(self.csv)} if self.format == "csv" else {})

    def _require_processed(self) -> None:
        if not 0 <= self.settle < float("inf"):
            raise UsageError(f"settle={self.settle!r} is no number of seconds", hint="write such as settle=1.0")
        if not self.is_inbox:
            return
        template = Template(self.processed_place[1])
        if self.processed_place[1].rpartition("/")[2].count(NAME) != 1 or template.has_wildcard:
            raise UsageError(
                f"the processed place {str(self.processed)!r} does not say how a file is called there",
                hint="give a folder, or end the path in a name with {name} in it, such as 'done/{slug}_{name}'",
            )
        if template.text != NAME and _WILD & set(self.template.text.rpartition("/")[0]):
            raise UsageError(
                f"files of {self.path!r} may have the same name in several folders, and {str(self.processed)!r} tells "
                "them apart by their names alone",
                hint="give a folder as processed=: their folders are kept in it",
            )
