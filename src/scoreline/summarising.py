"""Summarising: a published partition in numbers, from the ledger and from the rows that are published.

Only the column of predictions is held in memory, 8 bytes a row: the median is exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import polars as pl

from scoreline.abc import Content
from scoreline.assembly import Assembly
from scoreline.audit import Outputs
from scoreline.errors import FilesDamaged, PredictionMissing
from scoreline.job import Job
from scoreline.output import PREDICTION
from scoreline.quarantine import kept_at
from scoreline.record import RunRecord
from scoreline.report import Counts
from scoreline.resources import disk_free
from scoreline.summary import Summary, named, spread


def summarise(assembly: Assembly, outputs: Outputs, record: RunRecord) -> Summary:
    """What one publication came to.

    Args:
        assembly: of the job.
        outputs: how to get at what was published.
        record: of the published run.

    Raises:
        PredictionMissing: its file is not there, or holds something else.
        FilesDamaged: it cannot be read.
    """
    path = outputs.place(record, 0)
    column, values, size = _published(assembly, outputs, record, path)
    counts, seconds = Counts(**record.facts["counts"]), _seconds(record)
    stats = {
        "num_predictions": len(values),
        "batch_id": record.partition,
        "processing_time_seconds": seconds,
        "throughput_per_second": round(len(values) / seconds, 1) if seconds else 0.0,
        **named(spread(values), column),
        "output_file": str(path),
        "file_size_mb": size / 1e6,
    }
    free = disk_free(path.parent)
    measured = {name: value for name, value in record.facts.get("resources", {}).items() if name != "seconds"}
    model = {name: record.facts["model"][name] for name in ("uri", "version")}
    return Summary(
        record.job,
        record.partition,
        record.run_id,
        record.ended_at,
        counts,
        model,
        stats,
        measured | {"disk_free_gb": round((free or 0) / 1e9, 3)},
        column,
        str(kept_at(assembly.home, record)) if record.facts.get("quarantine") else None,
    )


def _seconds(record: RunRecord) -> float:
    """As the run has measured it; else from its claim to its publication, by the ledger's clock."""
    measured = record.facts.get("resources", {}).get("seconds")
    if measured is not None:
        return float(measured)
    begun, ended = (datetime.fromisoformat(text) for text in (record.started_at, record.ended_at))
    return (ended - begun).total_seconds()


def _published(assembly: Assembly, outputs: Outputs, record: RunRecord, path: Path) -> tuple[str, pl.Series, int]:
    """Name and values of the predictions, and the file's size, all of one open file."""
    again = assembly.command("run", record.partition)
    try:
        with path.open("rb") as handle:
            content, size = outputs.opened(path, handle), path.stat().st_size
            there = content.provenance
            if there is None or there.run_id != record.run_id:
                raise PredictionMissing(f"{path} does not hold what run {record.run_id} has published", hint=again)
            try:
                column = _column(assembly.job, content.schema())
                return column, _values(column, content), size
            except (ValueError, pl.exceptions.PolarsError) as error:
                verify = assembly.command("verify", record.partition)
                raise FilesDamaged(f"{path} is damaged: {error}", hint=f"{verify}; then {again} --force") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PredictionMissing(f"{path} is not there, though run {record.run_id} was published", hint=again) from error


def _column(job: Job, schema: Iterable[str]) -> str:
    """The first output column that is made of the prediction and was published."""
    # The prediction itself before what is computed of it, such as a difference.
    themselves = [column.name for column in job.output if column.expr.meta.eq(pl.col(PREDICTION))]
    made = [*themselves, *(column.name for column in job.output if PREDICTION in column.expr.meta.root_names())]
    there = set(schema)
    found = next((name for name in made if name in there), None)
    if found is None:
        raise PredictionMissing(
            f"the published columns have none of {', '.join(made)}: the job was changed since",
            hint="score the partition again with --stale",
        )
    return found


def _values(column: str, content: Content) -> pl.Series:
    parts = [batch[column] for batch in content.batches()]
    empty = pl.Series(column, [], dtype=content.schema()[column])
    return pl.concat([empty, *parts])
