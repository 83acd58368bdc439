"""Files in a local folder, layout ``file``: one ordered file per slot, of any format, replaced in one rename.

Staging, locks and labels lie in one dot-folder beside the output folder, on the same file system; staged files end in
``.part``, so that no reader's pattern finds them. A format that has no room for the provenance gets a label, which is
on stable storage before the rename: see `scoreline.formats.labels`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from scoreline import crashpoints, durable
from scoreline.abc import Fence, OutputFormat, Staging
from scoreline.errors import LeaseLost, OutputForeign, StagingLost, StorageUnfit
from scoreline.formats import labels
from scoreline.formats.parquet import ParquetOutput
from scoreline.formats.published import provenance_in
from scoreline.provenance import Provenance
from scoreline.record import Prepared
from scoreline.report import Receipt
from scoreline.slot import Slot
from scoreline.stores import local
from scoreline.template import Template

_log = logging.getLogger(__name__)
_LOCK_SECONDS = 30.0
_NOT_OURS = "is no file that Scoreline published (or it is damaged)"


@dataclass(frozen=True)
class FileSink:
    """Implements `scoreline.abc.Sink` for files in a local folder.

    Args:
        folder: where the template's paths begin; made when it is not there.
        template: path of a slot's file.
        replace_foreign: whether a file that no run published may be replaced.
        format: how rows lie in a file.
    """

    folder: Path
    template: Template
    replace_foreign: bool = False
    format: OutputFormat = field(default_factory=ParquetOutput)

    def begin(self, slot: Slot, sink: int, work: str) -> Staging:
        """See `scoreline.abc.Sink.begin`."""
        target = self.folder / slot.path
        self._require_own(target, slot.job, slot.partition)
        try:
            durable.make_folder(target.parent)
        except (FileExistsError, NotADirectoryError) as error:
            raise StorageUnfit(
                f"{error.filename} is a file, and predictions go into the folder {target.parent}",
                hint="move the file away, or let under= in the job name another folder",
            ) from error
        # Only now, because where staging lies depends on folders that are there.
        staging = self._staging(slot) / work
        staging.mkdir(parents=True, exist_ok=True)
        local.require_one_file_system(staging, target.parent)
        return Staging(slot, sink, str(staging))

    def write(self, staging: Staging, key: str, frame: pl.DataFrame) -> Receipt:
        """See `scoreline.abc.Sink.write`."""
        path = Path(staging.folder) / f"{staging.sink}-{key}.part"
        try:
            with durable.written(path, durable=False) as handle:
                self.format.write(frame, handle)
            digest = durable.sha256_of(path)
        except FileNotFoundError as error:
            raise _staging_gone(path) from error
        return Receipt(staging.sink, str(path), frame.height, path.stat().st_size, digest)

    def prepare(self, staging: Staging, receipts: Iterable[Receipt], provenance: Callable[[], Provenance]) -> Prepared:
        """See `scoreline.abc.Sink.prepare`."""
        # A name of its own, because two claims may be at the same work at once.
        staged = Path(staging.folder) / f"{staging.sink}-joined-{uuid.uuid4().hex[:12]}.part"
        taken: list[Receipt] = []
        try:
            with durable.written(staged, durable=True) as handle:
                joined = self.format.join(_intact(receipts, taken), handle, provenance)
                crashpoints.reach("prepare.joined")
            told = provenance()
            if joined.form is not None:
                labels.stick(staged, joined, told)
        except FileNotFoundError as error:
            raise _staging_gone(staged) from error
        except ValueError as error:
            raise StagingLost(f"the staged parts cannot be joined: {error}") from error
        rows = sum(receipt.rows for receipt in taken)
        if joined.rows != rows:
            raise StagingLost(f"{staged} has {joined.rows} rows, its parts have {rows}")
        crashpoints.reach("prepare.synced")
        target = self.folder / staging.slot.path
        return Prepared(
            staging.sink,
            str(staged),
            str(target),
            joined.rows,
            joined.bytes,
            joined.sha256,
            told.run_id,
            told.ledger,
        )

    def commit(self, prepared: Prepared, token: int, fence: Fence) -> None:
        """See `scoreline.abc.Sink.commit`."""
        staged, target = Path(prepared.staged), Path(prepared.target)
        with local.locked(_lock(staged, target), _LOCK_SECONDS):
            crashpoints.reach("publish.locked")
            fence()
            if _published(target, prepared) and not staged.exists():
                durable.sync_folder(target.parent)
                return
            try:
                _require_whole(staged, prepared, token)
                self._require_replaceable(target, staged, token)
                labels.announce(staged, target, _hidden_of(staged))
                crashpoints.reach("publish.announced")
                staged.replace(target)
            except FileNotFoundError as error:
                raise _staging_gone(staged) from error
            crashpoints.reach("publish.renamed")
            durable.sync_folder(target.parent)
            crashpoints.reach("publish.synced")
            if labels.beside(staged).exists():  # else the path has as many as before
                labels.tidy(target)

    def abort(self, slot: Slot, keep: Sequence[str] = ()) -> None:
        """See `scoreline.abc.Sink.abort`."""
        durable.remove_tree(self._staging(slot), keep=_with_labels(keep))

    def current(self, path: str) -> Provenance | None:
        """See `scoreline.abc.Sink.current`."""
        return provenance_in(self.folder / path)

    def staged(self, slot: Slot, keep: Sequence[str] = ()) -> dict[str, int]:
        """See `scoreline.abc.Sink.staged`."""
        kept = _with_labels(keep)
        return {str(path): size for path, size in local.files_below(self._staging(slot)) if path not in kept}

    def remove(self, path: str, run_id: str, *, dry_run: bool = False) -> dict[str, int]:
        """See `scoreline.abc.Sink.remove`."""
        target = self.folder / path
        if dry_run:
            return _sizes(self._published_by(target, run_id))
        if not target.exists() and not labels.are_at(target):
            return {}
        # Who publishes holds this lock too: what is looked at is what is removed.
        with local.locked(_lock_in(self._hidden, target), _LOCK_SECONDS):
            gone = _sizes(self._published_by(target, run_id))
            for found in map(Path, gone):  # the file before its label: what stands there is known at every instant
                found.unlink()
                durable.sync_folder(found.parent)
            return gone

    def _published_by(self, target: Path, run_id: str) -> list[Path]:
        """The file, if it is of this run, and its labels."""
        there = provenance_in(target)
        file = [target] if there is not None and there.run_id == run_id else []
        return file + labels.of_run(target, run_id)

    @property
    def _hidden(self) -> Path:
        """The dot-folder beside the folder that holds published files."""
        fixed = (self.folder / self.template.fixed_folder).resolve()
        if fixed.parent == fixed or fixed.is_mount() or not os.access(fixed.parent, os.W_OK):
            return fixed / ".scoreline"
        return fixed.with_name(f".{fixed.name}.scoreline")

    def _staging(self, slot: Slot) -> Path:
        return self._hidden / "staging" / slot.claim

    def _require_own(self, target: Path, job: str, partition: str) -> Provenance | None:
        """What the target holds, refused when it is somebody else's; None when there is nothing to compare with."""
        if not target.exists():
            return None
        there = provenance_in(target)
        if there is not None and (there.job, there.partition) == (job, partition):
            return there
        if self.replace_foreign:
            return None
        whose = f"holds the predictions of {there.job} {there.partition}" if there else _NOT_OURS
        raise OutputForeign(
            f"{target} {whose}, so it is not replaced",
            hint="give each job and partition its own path; or move the file away, or replace it with --force",
        )

    def _require_replaceable(self, target: Path, staged: Path, token: int) -> None:
        mine = provenance_in(staged)
        if mine is None:
            raise _staging_gone(staged)
        there = self._require_own(target, mine.job, mine.partition)
        if there is None or there.run_id == mine.run_id:
            return
        if there.ledger != mine.ledger:
            _log.warning("%s was published by another ledger (run %s) and is replaced", target, there.run_id)
        elif there.token > token:
            raise LeaseLost(f"{target} holds the newer run {there.run_id}, so {mine.run_id} may not publish")


def _require_whole(staged: Path, prepared: Prepared, token: int) -> None:
    """Refuses staged content that is not what was prepared; hashed only where another claim has prepared it."""
    mine = provenance_in(staged)
    if mine is None or (mine.run_id, mine.ledger) != (prepared.run_id, prepared.ledger):
        raise _staging_gone(staged)
    if staged.stat().st_size != prepared.size:
        raise _staging_gone(staged)
    if mine.token != token and durable.sha256_of(staged) != prepared.sha256:
        raise _staging_gone(staged)


def _lock(staged: Path, target: Path) -> Path:
    # Derived from the staged file, so that whoever publishes it later takes the same lock.
    return _lock_in(_hidden_of(staged), target)


def _lock_in(hidden: Path, target: Path) -> Path:
    name = hashlib.sha256(str(target.resolve()).encode()).hexdigest()[:24]
    return hidden / "locks" / f"{name}.lock"


def _hidden_of(staged: Path) -> Path:
    return staged.parents[3]


def _with_labels(staged: Sequence[str]) -> set[Path]:
    kept = [Path(path) for path in staged]
    return {*kept, *map(labels.beside, kept)}


def _sizes(paths: Sequence[Path]) -> dict[str, int]:
    return {str(path): path.stat().st_size for path in paths}


def _published(target: Path, prepared: Prepared) -> bool:
    there = provenance_in(target)
    return there is not None and (there.run_id, there.ledger) == (prepared.run_id, prepared.ledger)


def _intact(receipts: Iterable[Receipt], taken: list[Receipt]) -> Iterator[Path]:
    """The parts, each looked at when its turn comes; ``taken`` is told which they were."""
    for receipt in receipts:
        path = Path(receipt.path)
        if not path.exists() or path.stat().st_size != receipt.size:
            raise _staging_gone(path)
        taken.append(receipt)
        yield path


def _staging_gone(path: Path) -> StagingLost:
    return StagingLost(
        f"the staged file {path} is gone or not as it was written",
        hint="another run has cleaned up, or a disk was changed by hand: run the same command again",
        path=str(path),
    )
