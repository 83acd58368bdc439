"""CSV files in a local folder, one or several for each partition.

All columns come as text; the contract reads them as what it declares.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from scoreline.abc import InputFormat
from scoreline.files import Csv
from scoreline.formats.csv_rows import CsvDialect
from scoreline.formats.text_rows import TextRows
from scoreline.stores.folder import FolderSource


@dataclass(frozen=True)
class CsvSource(FolderSource):
    """Implements `scoreline.abc.Source` for CSV in a local folder.

    Args:
        csv: how the files are written; the other arguments are those of `FolderSource`.
    """

    csv: Csv = field(default_factory=Csv)

    @property
    def format(self) -> InputFormat:
        """How the files are read."""
        return TextRows(CsvDialect(self.csv))
