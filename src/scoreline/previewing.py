"""Previewing: predictions of some rows to look at; nothing is claimed, written or published."""

from __future__ import annotations

import polars as pl

from scoreline.assembly import Assembly
from scoreline.due import survey
from scoreline.linting import require_sound
from scoreline.partition import Partition
from scoreline.report import Counts
from scoreline.score import Constants, empty_output, score_rows
from scoreline.vetting import vet


def preview(assembly: Assembly, partition: Partition, limit: int) -> tuple[pl.DataFrame, pl.DataFrame, Counts]:
    """Scores the first ``limit`` input rows with the model itself; claims, writes and publishes nothing.

    Returns:
        (output columns of the scored rows, rejected rows with their reasons, where the rows went).
    """
    require_sound(assembly.job)
    found = survey(assembly, partition)
    model_file = assembly.models.fetch(found.model)
    model = model_file.load([feature.name for feature in assembly.job.features], assembly.job.predict)
    vet(assembly.job, model_file, model, assembly.accept_version)
    constants = Constants(partition, "preview", found.model.version, assembly.now())
    frames, rejected, counts = [empty_output(assembly.job)], [pl.DataFrame()], Counts()
    for split in assembly.source.splits(found.files, 1):
        for batch in assembly.source.read(split, assembly.job.input_columns):
            rows = batch.frame.head(limit - counts.rows_in)
            scored = score_rows(assembly.job, model, rows, constants, split, batch.first_row)
            frames.append(scored.frame)
            rejected.append(scored.rejected)
            counts += scored.counts
            if counts.rows_in >= limit:
                break
        if counts.rows_in >= limit:
            break
    return pl.concat(frames), pl.concat(rejected, how="diagonal_relaxed"), counts
