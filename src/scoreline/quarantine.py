"""Quarantine: where rejected rows go, one Parquet file for each run, with reasons, input file and row number.

The file becomes visible before the run's predictions do, and also for a refused run. Its place is
``<home>/quarantine/<job>/<slug>/<run>.parquet``, so that no folder of published data holds it. Identity parameters are
a folder of their own, ``nyc_green/taxi_type=yellow``: the brackets of a job's key are a pattern to Polars and DuckDB.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from scoreline import durable
from scoreline.abc import Ledger
from scoreline.errors import FilesDamaged, InputMissing, StagingLost, UsageError
from scoreline.output import PREFIX
from scoreline.record import EXPIRED, PREPARED, PUBLISHED, REFUSED, RunHandle, RunRecord
from scoreline.rejects import FILE, REASONS, ROW
from scoreline.report import Receipt
from scoreline.slot import folders_of

_HISTORY = 10_000


@dataclass(frozen=True, slots=True)
class Quarantined:
    """The rejected rows of one run.

    Attributes:
        job: the job's key.
        partition: slug.
        run_id: the run.
        state: of the run: published, prepared or refused.
        rows: rejected rows.
        reasons: reason -> rows rejected for it; a row may have several.
        path: of the file.
        sha256: of its bytes.
    """

    job: str
    partition: str
    run_id: str
    state: str
    rows: int
    reasons: dict[str, int]
    path: str
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def publish(home: Path, handle: RunHandle, receipts: Sequence[Receipt]) -> dict[str, Any]:
    """Joins the parts of a run into its quarantine file, all at once; repeating it changes nothing.

    Returns:
        ``path``, ``rows``, ``size`` and ``sha256`` of the file, for the ledger.

    Raises:
        StagingLost: a part is gone or damaged.
    """
    path = file_of(home, handle.job, handle.partition, handle.run_id)
    durable.make_folder(path.parent)
    for receipt in receipts:
        if not durable.is_intact(Path(receipt.path), receipt.size, receipt.sha256):
            raise StagingLost(
                f"rejected rows are gone, or not as they were written: {receipt.path}",
                hint="run the same command again",
            )
    with durable.written(path, durable=True) as out:
        _join([Path(receipt.path) for receipt in receipts], out)
    rows = sum(receipt.rows for receipt in receipts)
    return {"path": str(path), "rows": rows, "size": path.stat().st_size, "sha256": durable.sha256_of(path)}


def file_of(home: Path, job: str, partition: str, run_id: str) -> Path:
    """Where a run's rejected rows lie."""
    return home.joinpath("quarantine", *folders_of(job), partition, f"{run_id}.parquet")


def _join(parts: Sequence[Path], out: Any) -> None:
    """Files of one partition may differ in a column's type; where no type holds both exactly, it becomes text."""
    schemas = []
    for part in parts:
        with part.open("rb") as handle:
            schemas.append(pl.read_parquet_schema(handle))
    # Parts in which all records could be read have no text of broken ones.
    names = max((list(schema) for schema in schemas), key=len)
    wanted = {name: _common([schema[name] for schema in schemas if name in schema]) for name in names}
    scans = [
        pl.scan_parquet(part, glob=False).select(
            _as(name, schema[name], kind) if name in schema else pl.lit(None, dtype=kind).alias(name)
            for name, kind in wanted.items()
        )
        for part, schema in zip(parts, schemas, strict=True)
    ]
    pl.concat(scans).sink_parquet(out, maintain_order=True)


def _as(name: str, source: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    if source == wanted or wanted != pl.String:
        return pl.col(name).cast(wanted)
    if source.is_nested():
        return pl.struct(name).struct.json_encode().alias(name)
    return pl.col(name).bin.encode("hex") if source == pl.Binary else pl.col(name).cast(pl.String)


def _common(kinds: Sequence[pl.DataType]) -> pl.DataType:
    found = [kind for kind in dict.fromkeys(kinds) if kind != pl.Null]
    if len(found) > 1:
        return pl.String()
    return found[0] if found else pl.Null()


def kept_at(home: Path, run: RunRecord) -> Path:
    """The rejected rows of a run that has some; the home may have been moved since."""
    recorded = Path(run.facts["quarantine"]["path"])
    moved = file_of(home, run.job, run.partition, run.run_id)
    return recorded if recorded.exists() or not moved.exists() else moved


def listed(
    home: Path, ledger: Ledger, job: str, partition: str | None = None, *, every: bool = False
) -> list[Quarantined]:
    """What is in quarantine: of each partition the newest run that was published or refused, or of every run.

    Returns:
        By partition, the newest run of each last.
    """
    found, seen = [], set()
    for run in ledger.runs(job, partition, limit=_HISTORY):
        if run.state not in {PUBLISHED, PREPARED, REFUSED, EXPIRED} or (run.partition in seen and not every):
            continue
        seen.add(run.partition)
        if run.state != EXPIRED and (quarantined := _of(home, run)):
            found.append(quarantined)
    found.reverse()  # a stable sort leaves them in the ledger's order
    return sorted(found, key=lambda one: one.partition)


def _of(home: Path, run: RunRecord) -> Quarantined | None:
    file = run.facts.get("quarantine")
    if not file:
        return None
    reasons, path = run.facts["counts"]["reasons"], str(kept_at(home, run))
    return Quarantined(run.job, run.partition, run.run_id, run.state, file["rows"], reasons, path, file["sha256"])


def rows(found: Quarantined, limit: int | None = None, reason: str | None = None) -> pl.DataFrame:
    """The rejected rows: (rows, columns as read + reasons, file, row number), in input order.

    Args:
        found: whose.
        limit: at most so many.
        reason: only those that have this reason.

    Raises:
        InputMissing: the file was removed.
        FilesDamaged: it cannot be read.
    """
    damaged = f"{found.path} is not as run {found.run_id} wrote it"
    hint = "score the partition again with --force to make it anew"
    try:
        with Path(found.path).open("rb") as handle:
            # Polars reads some damaged files without an error, and ends the process over others.
            if hashlib.file_digest(handle, "sha256").hexdigest() != found.sha256:
                raise FilesDamaged(damaged, hint=hint)
            handle.seek(0)
            frame = pl.scan_parquet(handle)
            if reason is not None:
                frame = frame.filter(pl.col(REASONS).list.contains(reason))
            return (frame if limit is None else frame.head(limit)).collect()
    except FileNotFoundError as error:
        raise InputMissing(f"{found.path} is not there any more", hint=hint) from error


def write_editable(frame: pl.DataFrame, path: Path) -> None:
    """Writes rejected rows so that people can edit their values and have them replayed.

    File, row number and reasons come first. In a CSV the reasons are one text, an empty cell is a missing value, and
    an empty text has quotes.

    Args:
        frame: as `rows` gives it.
        path: ``.csv`` or ``.parquet``, new.

    Raises:
        UsageError: another suffix, something is there already, or a column that no text can hold.
    """
    own = [name for name in frame.columns if name.startswith(PREFIX) and name not in {FILE, ROW, REASONS}]
    frame = frame.select(FILE, ROW, REASONS, *own, pl.exclude(FILE, ROW, REASONS, *own))
    suffix = path.suffix.lower()
    if suffix not in {".csv", ".parquet"}:
        raise UsageError(f"{path} is neither .csv nor .parquet", hint="name it fixes.csv")
    if path.exists():
        raise UsageError(f"{path} is there already, and may have been edited", hint="give another name, or remove it")
    if suffix == ".csv":
        frame = frame.with_columns(pl.col(REASONS).list.join("; "))
        mute = [name for name, kind in frame.schema.items() if kind.is_nested() or kind in (pl.Binary, pl.Duration)]
        if mute:
            raise UsageError(f"no CSV can hold the column {mute[0]!r}", hint=f"write {path.with_suffix('.parquet')}")
    with durable.written(path, durable=False) as out:
        frame.write_csv(out) if suffix == ".csv" else frame.write_parquet(out)
