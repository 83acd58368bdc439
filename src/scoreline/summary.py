"""Summary: what one published partition came to, in numbers: how many predictions, how they spread, what it took."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from scoreline.report import Counts

STATISTICS = ("mean", "median", "min", "max")


@dataclass(frozen=True, slots=True)
class Summary:
    """One published partition.

    Attributes:
        job: the job's key.
        partition: slug.
        run_id: whose content is published.
        published_at: ISO 8601 in UTC.
        counts: where the rows of its input went.
        model: uri and version.
        processing_stats: ``num_predictions``, ``batch_id`` (the slug), ``processing_time_seconds``,
            ``throughput_per_second`` (predictions), ``mean_prediction``, ``median_prediction``, ``min_prediction``,
            ``max_prediction`` (None where predictions are no numbers, or there are none), ``output_file``,
            ``file_size_mb``; and ``mean_duration`` and so on where the prediction's column is called a duration.
        resources: ``cpu_seconds``, ``peak_memory_mb`` and ``peak_worker_memory_mb`` as the run has measured them, and
            ``disk_free_gb`` of the output's disk now.
        column: the output column that was summed up.
        quarantine: file with the rejected rows.
    """

    job: str
    partition: str
    run_id: str
    published_at: str
    counts: Counts
    model: dict[str, str]
    processing_stats: dict[str, Any]
    resources: dict[str, Any] = field(default_factory=dict)
    column: str | None = None
    quarantine: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def spread(values: pl.Series) -> dict[str, float | None]:
    """Mean, median, least and greatest of (rows,) predictions, nulls left out; None where there is no number."""
    if not values.dtype.is_numeric():
        return dict.fromkeys(STATISTICS)
    found = values.drop_nulls().cast(pl.Float64)
    mean, median, least, greatest = found.mean(), found.median(), found.min(), found.max()
    return {"mean": _number(mean), "median": _number(median), "min": _number(least), "max": _number(greatest)}


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def named(found: dict[str, float | None], column: str) -> dict[str, float | None]:
    """The spread under the names that people look for: those of durations too, where the column is called one."""
    things = ["prediction", *(["duration"] if "duration" in column.lower() else [])]
    return {f"{name}_{thing}": value for thing in things for name, value in found.items()}
