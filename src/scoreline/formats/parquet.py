"""Parquet as Scoreline publishes it: what a file's footer says of the run that made it."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from scoreline.formats.parquet_join import read_footer_metadata
from scoreline.provenance import Provenance


def provenance_in(source: Path | BinaryIO) -> Provenance | None:
    """The provenance of a file; None when there is no file, no whole Parquet, or nothing that Scoreline wrote.

    An open handle keeps its position.
    """
    try:
        return Provenance.from_metadata(read_footer_metadata(source))
    except (FileNotFoundError, ValueError):
        return None
