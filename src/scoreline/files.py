"""Files: where the rows of a job lie or go, as a path template under a folder.

The same declaration serves sources and sinks; an adapter does the work. It must not touch the file system.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from scoreline.errors import UsageError
from scoreline.template import Template

SUFFIXES = {".parquet": "parquet"}


@dataclass(frozen=True, slots=True)
class Files:
    """Files named by a template, such as ``Files("green_tripdata_{yyyy}-{mm}.parquet", under="data")``.

    Args:
        path: template of the path below ``under``; see `scoreline.template.Template`.
        under: a folder; relative to the job file's folder. It is taken as it is, without fields.
        format: the files' format; by default told by the suffix.
        layout: for sinks, what a slot is: ``file``, one ordered file.

    Raises:
        UsageError: an unusable template, or a format that nobody can tell.
    """

    path: str
    under: str | Path = "."
    format: str = ""
    layout: Literal["file"] = "file"
    template: Template = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "template", Template(self.path))
        if self.layout != "file":
            raise UsageError(f"{self.layout!r} is not a layout", hint="use layout='file'")
        chosen = self.format or SUFFIXES.get(PurePosixPath(self.path).suffix.lower(), "")
        if chosen not in SUFFIXES.values():
            raise UsageError(
                f"the format of {self.path!r} is unknown",
                hint=f"end the path in {' or '.join(SUFFIXES)}, or give format=: {', '.join(SUFFIXES.values())}",
            )
        object.__setattr__(self, "format", chosen)

    def declaration(self) -> dict[str, str]:
        """What of it decides the scored values: not the folder, which may move."""
        return {"path": self.path, "format": self.format}
