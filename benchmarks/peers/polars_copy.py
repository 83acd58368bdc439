"""Copy a Parquet file through Polars, decoding and encoding every value: the least a scorer must do."""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl


def main() -> None:
    """Command line: input and output."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    pl.scan_parquet(options.input).sink_parquet(options.output)


if __name__ == "__main__":
    main()
