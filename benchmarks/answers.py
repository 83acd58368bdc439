"""Whether two contenders gave the same answers: a fast one that predicts something else has not won."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.commands import UnfitError

IDS, DURATION, PREDICTED = ["PULocationID", "DOLocationID"], "actual_duration", "predicted_duration"
TOLERANCE = 1e-9  # minutes; sums of a handful of numbers


def require_same(output: Path, reference: Path) -> int:
    """Rows of `output`, a file or a folder of the columns of green predictions, which may be in another order.

    Raises:
        UnfitError: The rows or predictions are not those of `reference`.
    """
    found, wanted = _answers(output), _answers(reference)
    if not found.select(*IDS, "trip").equals(wanted.select(*IDS, "trip")):
        raise UnfitError(f"{found.height:,} rows, and not the {wanted.height:,} of Scoreline")
    apart = (found[PREDICTED] - wanted[PREDICTED]).abs()
    if apart.null_count() or not apart.max() <= TOLERANCE:  # type: ignore[operator]
        raise UnfitError(f"predictions differ from Scoreline's by up to {apart.max()} minutes")
    return found.height


def _answers(path: Path) -> pl.DataFrame:
    """Trips in an order of their own: by what they are, to the microminute, then by what is predicted."""
    files = sorted(path.glob("**/*.parquet")) if path.is_dir() else path
    columns = [pl.col(*IDS).cast(pl.Int64), pl.col(DURATION).round(6).alias("trip"), PREDICTED]
    return pl.read_parquet(files, columns=[*IDS, DURATION, PREDICTED]).select(columns).sort(*IDS, "trip", PREDICTED)
