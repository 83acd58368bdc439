"""ScoreSplit: what a worker does with one split: read its units, score them, write parts, and leave a report.

It is all that a worker needs; it pickles, and only a small report comes back. It must not know the ledger, the engine,
or which partition comes next.
"""

from __future__ import annotations

import gc
import logging
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from scoreline import crashpoints, durable
from scoreline.abc import Model, ModelFile, Sink, Source, Staging
from scoreline.errors import MemoryShort, ModelInvalid
from scoreline.job import Job
from scoreline.portions import Portioned
from scoreline.report import Counts, Receipt, SplitReport
from scoreline.score import Constants, in_parts, score_rows
from scoreline.shortage import ran_short
from scoreline.splits import Split

LEAST_ROWS = 1_024
"""Rows of a predict call that are not halved any more when memory runs out: something else has taken it."""
_BYTES_PER_VALUE = 24
"""A month of taxi trips took 18; text takes more."""


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoreSplit:
    """Scores one split; the same object serves all splits of a run.

    Attributes:
        job: the declaration.
        source: reads the split.
        sinks: write its parts.
        stagings: one for each sink.
        model: the pinned model.
        accelerate: whether parity was shown for the accelerated form.
        constants: of the run.
        receipts: folder where the split's report is kept, for a later attempt at the same work.
    """

    job: Job
    source: Source
    sinks: tuple[Sink, ...]
    stagings: tuple[Staging, ...]
    model: ModelFile
    accelerate: bool
    constants: Constants
    receipts: Path

    @property
    def releases_interpreter(self) -> bool:
        """True when nearly all work runs outside Python's interpreter lock, so that threads are enough."""
        return self.accelerate or getattr(self.model, "releases_interpreter", False)

    @property
    def bytes_per_row(self) -> int:
        """What a row takes while it is scored, about: its values are held as read, as computed and as published."""
        job = self.job
        values = len(job.input_columns) + len(job.derive) + len(job.features) + len(job.output)
        return _BYTES_PER_VALUE * values

    def __call__(self, split: Split) -> SplitReport:
        """Scores the split, or finds that an earlier attempt already did.

        Where memory runs out it begins again with half the rows in a predict call; its units stay the same, and so do
        parts, ids and row groups.

        Raises:
            MemoryShort: it ran out with few rows too.
        """
        kept = self._kept(split)
        if kept is not None:
            return kept
        rows = max((unit.rows for unit in split.units), default=0)
        cut: int | None = None
        while True:
            try:
                return self._scored(split, cut)
            except Exception as error:
                if not ran_short(error):
                    raise
                smaller = -(-(cut or rows) // 2)
                if smaller < LEAST_ROWS:
                    raise _out_of_memory(split, cut or rows) from error
                cut = smaller
            gc.collect()  # what the error held on to, before memory is asked for again
            _log.warning(
                "split %d of %s ran out of memory: again, with %d rows a predict call",
                split.index,
                split.file.path,
                cut,
            )

    def _scored(self, split: Split, cut: int | None) -> SplitReport:
        """Scores the split, with no more than ``cut`` rows in a predict call."""
        model = self._load() if cut is None else Portioned(self._load(), cut)
        counts, receipts, rejected, spent = Counts(), [], [], Counter[str]()
        started = time.perf_counter()
        for number, batch in enumerate(self.source.read(split, self.job.input_columns)):
            spent["read"] += time.perf_counter() - started  # type: ignore[assignment]
            scored = score_rows(self.job, model, batch.frame, self.constants, split, batch.first_row, spent)
            counts += scored.counts
            started = time.perf_counter()
            key = f"{split.index:06d}-{number:06d}"
            if scored.frame.height:
                receipts += self._write(key, scored.frame)
            if scored.rejected.height:
                rejected.append(self._set_aside(key, scored.rejected))
            spent["write"] += time.perf_counter() - started  # type: ignore[assignment]
            started = time.perf_counter()
        counts.require_conserved(split.rows, f"split {split.index} of {split.file.path}")
        report = SplitReport(split.index, counts, tuple(receipts), dict(spent), tuple(rejected))
        # The plan made the folder; if it is gone, so is the lease, and nothing may be left behind here.
        form = {"split": split.to_dict(), "report": report.to_dict()}
        durable.write_json(self._receipt_path(split), form, parents=False)
        crashpoints.reach("split.receipt_written")
        return report

    def _write(self, key: str, frame: pl.DataFrame) -> list[Receipt]:
        written = [sink.write(staging, key, frame) for sink, staging in zip(self.sinks, self.stagings, strict=True)]
        crashpoints.reach("split.part_written")
        return written

    def _set_aside(self, key: str, rejected: pl.DataFrame) -> Receipt:
        path = self.receipts / f"rejected-{key}.part"
        with durable.written(path, durable=False) as handle:
            rejected.write_parquet(handle)
        return Receipt(-1, str(path), rejected.height, path.stat().st_size, durable.sha256_of(path))

    def _load(self) -> Model:
        features, predict = [feature.name for feature in self.job.features], self.job.predict
        if not self.accelerate:
            return self.model.load(features, predict)
        kept = self.model.compiled(features, predict)
        accelerated = kept.form if kept is not None else self.model.load(features, predict).accelerated()
        if accelerated is None:
            raise ModelInvalid("the accelerated form that was checked cannot be made here")
        return in_parts(accelerated, self.job)

    def _receipt_path(self, split: Split) -> Path:
        return self.receipts / f"split-{split.index:06d}.json"

    def _kept(self, split: Split) -> SplitReport | None:
        form = durable.read_json(self._receipt_path(split))
        # A plan that was lost may have been cut anew: the receipt counts only for the same rows.
        if form is None or Split.from_dict(form["split"]) != split:
            return None
        report = SplitReport.from_dict(form["report"] | {"resumed": True})
        intact = all(
            durable.is_intact(Path(receipt.path), receipt.size, receipt.sha256)
            for receipt in (*report.receipts, *report.quarantine)
        )
        return report if intact else None


def _out_of_memory(split: Split, rows: int) -> MemoryShort:
    return MemoryShort(
        f"split {split.index} of {split.file.path} ran out of memory with {rows:,} rows a predict call",
        hint="run the same command again with --workers 1, or where there is more memory (what was scored is kept)",
        path=split.file.path,
        index=split.index,
        rows=rows,
    )
