"""Corrections: values that people gave for rows of an input, recorded so that they are a part of it from then on.

They lie in ``<home>/corrections/<job>/<slug>/``: one immutable ``<digest>.parquet`` for each set of rows, and a journal
of numbered entries that says what was recorded or withdrawn, by whom and when. An entry appears whole or not at all,
and what is in force follows from the journal alone. A set is bound to the files that it was made for: it is never
applied to other ones. This module must not know jobs, ledgers or runs.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from scoreline import durable
from scoreline.errors import CorrectionsOutdated, FilesDamaged
from scoreline.overlay import FILE, ROW
from scoreline.slot import folders_of
from scoreline.splits import FileIdentity

_SHORT = 12
_RECORDED, _WITHDRAWN = "recorded", "withdrawn"


@dataclass(frozen=True, slots=True)
class Correction:
    """One recorded set of corrected rows.

    Attributes:
        number: of its entry; a later one wins where two give the same value.
        digest: SHA-256 of its Parquet file.
        at: when it was recorded, ISO 8601 in UTC.
        by: who recorded it.
        came_from: the file that was given.
        rows: how many rows it corrects.
        columns: the columns that it gives.
        files: path, size, footer and rows of each input file that it is for.
        withdrawn: who and when, None while it is in force.
    """

    number: int
    digest: str
    at: str
    by: str
    came_from: str
    rows: int
    columns: tuple[str, ...]
    files: tuple[dict[str, Any], ...]
    withdrawn: dict[str, str] | None = None

    @property
    def id(self) -> str:
        """What people call it."""
        return self.digest[:_SHORT]

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {"id": self.id, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Corrections:
    """The corrections of one job in a home; small, and it pickles.

    Args:
        home: Scoreline's folder.
        job: the job's key.
    """

    home: Path
    job: str

    def folder(self, slug: str) -> Path:
        """Where those of a partition lie."""
        return self.home.joinpath("corrections", *folders_of(self.job), slug)

    def partitions(self) -> list[str]:
        """Slugs of the partitions that have or had some."""
        place = self.folder("-").parent
        return sorted({path.parent.name for path in place.glob("*/*.json")}) if place.is_dir() else []

    def recorded(self, slug: str) -> list[Correction]:
        """All that was ever recorded for a partition, oldest first.

        Raises:
            FilesDamaged: an entry cannot be read.
        """
        found: list[Correction] = []
        for path in sorted(self.folder(slug).glob("[0-9]*.json")):
            entry = durable.read_json(path)
            if not isinstance(entry, dict) or "action" not in entry:
                raise FilesDamaged(
                    f"{path} says no more what was corrected",
                    hint="bring the file back from a backup; without it nobody knows which corrections are in force",
                )
            if entry["action"] == _RECORDED:
                found.append(_correction(int(path.stem), entry))
            else:
                found = [_taken_back(one, entry) for one in found]
        return found

    def in_force(self, slug: str) -> list[Correction]:
        """Those that are a part of the partition's input now, in the order in which they are applied."""
        return [one for one in self.recorded(slug) if one.withdrawn is None]

    def bound(self, slug: str, files: Sequence[FileIdentity], command: str) -> tuple[FileIdentity, ...]:
        """``files`` with the names of the corrections that are in force for each of them.

        Args:
            slug: of the partition.
            files: its input as it is now.
            command: takes corrections back; for the hint.

        Raises:
            CorrectionsOutdated: some are for a file that is not the same any more.
        """
        names: dict[str, list[str]] = {file.path: [] for file in files}
        there = {file.path: bare(file) for file in files}
        for one in self.in_force(slug):
            for known in one.files:
                path = str(known["path"])
                _require_same(one, known, there.get(path), command)
                names[path].append(f"{slug}/{one.digest}")
        return tuple(replace(file, corrections=tuple(names[file.path])) for file in files)

    def given(self, file: FileIdentity, command: str) -> list[pl.DataFrame]:
        """The corrected rows of a pinned file, one frame for each set, in the order in which they are applied.

        Args:
            file: with the names of its corrections.
            command: takes corrections back, of the partition that is put behind it; for the hint.

        Raises:
            FilesDamaged: a set is gone, or not as it was recorded.
        """
        return [self._rows(name, command).filter(pl.col(FILE) == file.path).drop(FILE) for name in file.corrections]

    def named(self, file: FileIdentity) -> list[Correction]:
        """What the journal says of the sets of a pinned file, also of those that were withdrawn since."""
        found = []
        for name in file.corrections:
            slug, _, digest = name.rpartition("/")
            found.append(next(one for one in reversed(self.recorded(slug)) if one.digest == digest))
        return found

    def record(
        self, slug: str, rows: pl.DataFrame, files: Sequence[FileIdentity], *, by: str, at: datetime, came_from: str
    ) -> tuple[Correction, bool]:
        """Records a set of corrected rows, on stable storage; the newest set in force is not recorded twice.

        Args:
            slug: of the partition.
            rows: (corrected rows, `FILE` + `ROW` + some columns).
            files: the input files that they are for, as they are now.
            by: who.
            at: when, aware.
            came_from: the file that was given.

        Returns:
            The correction, and whether it is new.
        """
        buffer = io.BytesIO()
        rows.write_parquet(buffer)
        content = buffer.getvalue()
        digest = hashlib.sha256(content).hexdigest()
        standing = self.in_force(slug)
        if standing and standing[-1].digest == digest:
            return standing[-1], False
        folder = self.folder(slug)
        durable.make_folder(folder)
        with durable.written(folder / f"{digest}.parquet", durable=True) as handle:
            handle.write(content)
        entry = {
            "action": _RECORDED,
            "digest": digest,
            "at": at.isoformat(timespec="seconds"),
            "by": by,
            "came_from": came_from,
            "rows": rows.height,
            "columns": [name for name in rows.columns if name not in {FILE, ROW}],
            "files": [{**_identity(file), "path": file.path, "rows": file.rows} for file in files],
        }
        return _correction(durable.append_json(folder, entry), entry), True

    def withdraw(self, slug: str, chosen: Sequence[Correction], *, by: str, at: datetime) -> None:
        """Takes corrections back: they are no part of the input any more, and stay on record."""
        for one in chosen:
            entry = {"action": _WITHDRAWN, "digest": one.digest, "at": at.isoformat(timespec="seconds"), "by": by}
            durable.append_json(self.folder(slug), entry)

    def _rows(self, name: str, command: str) -> pl.DataFrame:
        slug, _, digest = name.rpartition("/")
        path = self.folder(slug) / f"{digest}.parquet"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            content = b""
        if hashlib.sha256(content).hexdigest() != digest:
            raise FilesDamaged(
                f"the corrections {path} are {'not as they were recorded' if content else 'gone'}",
                hint=f"bring the file back from a backup, or take them back: {command} {slug}",
            )
        return pl.read_parquet(io.BytesIO(content))


def bare(file: FileIdentity) -> FileIdentity:
    """A file as it lies there, without corrections."""
    return replace(file, corrections=())


def _identity(file: FileIdentity) -> dict[str, Any]:
    """What tells that a file holds the rows that were corrected: not its age, which a copy changes."""
    return {"size": file.size, "footer": file.footer}


def _require_same(one: Correction, known: dict[str, Any], now: FileIdentity | None, command: str) -> None:
    if now is not None and _identity(now) == {name: known[name] for name in ("size", "footer")}:
        return
    what = "is no input of the partition any more" if now is None else "has changed since"
    raise CorrectionsOutdated(
        f"{known['path']} {what}, and {one.rows:,} of its rows were corrected by {one.by} at {one.at} "
        f"(corrections {one.id}, from {one.came_from}): nobody knows whether they are still true",
        hint=f"bring the file back, or take the corrections back and give new ones: {command} {one.id}",
        path=known["path"],
        corrections=one.id,
    )


def _correction(number: int, entry: dict[str, Any]) -> Correction:
    own = {name: entry[name] for name in ("digest", "at", "by", "came_from", "rows")}
    return Correction(number, columns=tuple(entry["columns"]), files=tuple(entry["files"]), **own)


def _taken_back(one: Correction, entry: dict[str, Any]) -> Correction:
    if one.withdrawn is not None or one.digest != entry["digest"]:
        return one
    return replace(one, withdrawn={"by": entry["by"], "at": entry["at"]})
