"""Files of JSON lines in a local folder, one or several for each partition.

Numbers and truth values come in the types that the contract declares, all else as text.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from scoreline.abc import InputFormat
from scoreline.formats.jsonl_rows import JsonDialect
from scoreline.formats.text_rows import TextRows
from scoreline.stores.folder import FolderSource


@dataclass(frozen=True)
class JsonlSource(FolderSource):
    """Implements `scoreline.abc.Source` for JSON lines in a local folder.

    Args:
        types: (key, type) of the keys that the contract declares; the other arguments are those of `FolderSource`.
    """

    types: tuple[tuple[str, pl.DataType], ...] = ()

    @property
    def format(self) -> InputFormat:
        """How the files are read."""
        return TextRows(JsonDialect(self.types))
