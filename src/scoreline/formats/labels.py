"""Label: what Scoreline says beside a published file whose format has no room for it, such as CSV.

A label knows its file by inode, size and modification time, which a look at the file confirms; where they differ (a
copy, a backup that was put back, another disk), by its SHA-256. Labels of published files lie in the dot-folder beside
the output folder, below ``provenance/``, in a folder for each file's path; a staged file's lies beside it. A label is
on stable storage before its file has its name, so that at every instant what has the name is known.

Only the standard library is imported, because the commands that ask who published a file must start fast.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from scoreline import durable
from scoreline.formats.joined import JoinReceipt
from scoreline.provenance import Provenance

_FOLDER = "provenance"
_CHUNK = 1 << 20
_KEPT = 4
"""Labels that are kept of a path: a reader that has opened the content of before still finds what it is."""


@dataclass(frozen=True, slots=True)
class Label:
    """What is said of one file.

    Attributes:
        provenance: of its content.
        form: kind, settings and schema, to read it again as it was written.
        inode: of the file.
        size: bytes.
        mtime_ns: when it was written.
        sha256: of its bytes.
    """

    provenance: Provenance
    form: dict[str, Any]
    inode: int
    size: int
    mtime_ns: int
    sha256: str

    def is_at(self, stat: os.stat_result) -> bool:
        """Whether a file is this one, by all that can be seen without reading it.

        Not by its device, whose number may be another after a reboot.
        """
        return (self.inode, self.size, self.mtime_ns) == (stat.st_ino, stat.st_size, stat.st_mtime_ns)


def stick(staged: Path, joined: JoinReceipt, provenance: Provenance) -> None:
    """Labels a staged file, on stable storage."""
    assert joined.form is not None
    stat = staged.stat()
    label = Label(provenance, joined.form, stat.st_ino, joined.bytes, stat.st_mtime_ns, joined.sha256)
    durable.write_json(beside(staged), asdict(label), durable=True)


def beside(staged: Path) -> Path:
    """Where the label of a staged file lies."""
    return staged.with_suffix(".label.part")


def announce(staged: Path, target: Path, hidden: Path) -> None:
    """Puts the label of a staged file to those of the path that the file is about to get, on stable storage.

    Args:
        staged: the file; nothing is done where it has no label.
        target: the path, under a folder that ``hidden`` belongs to.
        hidden: the dot-folder.
    """
    form = durable.read_json(beside(staged))
    if form is None:
        return
    folder = next(place for place in _places(target) if place.parent.parent == hidden)
    durable.make_folder(folder)
    durable.write_json(folder / f"{form['sha256'][:32]}-{form['inode']}.json", form, durable=True)


def tidy(target: Path) -> None:
    """Removes the oldest labels of a path, never the one of what stands there."""
    for folder in _places(target):
        labels = sorted(_paths_in(folder), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in labels[_KEPT:]:
            label = _read(path)
            if label is None or not (target.exists() and label.is_at(target.stat())):
                path.unlink(missing_ok=True)


def of(path: Path, handle: BinaryIO) -> Label | None:
    """The label of an open file, None when it has none; the handle keeps its position.

    Args:
        path: under which the file was opened.
        handle: of the file.
    """
    stat, known = os.fstat(handle.fileno()), list(_all(path))
    for label in known:
        if label.is_at(stat):
            return label
    same_size = [label for label in known if label.size == stat.st_size]
    if not same_size:
        return None
    digest = _sha256(handle)
    return next((label for label in same_size if label.sha256 == digest), None)


def _sha256(handle: BinaryIO) -> str:
    position, digest = handle.tell(), hashlib.sha256()
    handle.seek(0)
    while data := handle.read(_CHUNK):
        digest.update(data)
    handle.seek(position)
    return digest.hexdigest()


def may_be_changed(path: Path, stat: os.stat_result) -> bool:
    """Whether a file may be a labelled one that was changed where it lies."""
    return any(label.inode == stat.st_ino for label in _all(path))


def are_at(path: Path) -> bool:
    """Whether a path has any label, of whatever content."""
    return any(True for _ in _all(path))


def _all(path: Path) -> Iterator[Label]:
    """All labels of a path, the newest first."""
    found = [] if path.suffix != ".part" else [beside(path)]
    for folder in _places(path):
        found += sorted(_paths_in(folder), key=_written_at, reverse=True)
    yield from (label for place in found if (label := _read(place)) is not None)


def _places(path: Path) -> Iterator[Path]:
    """The folders where labels of a path may lie: which of its folders is the output's, is not known here."""
    target = Path(os.path.abspath(path))  # noqa: PTH100 - links below the output folder stay what they are
    for output in target.parents:
        key = hashlib.sha256(target.relative_to(output).as_posix().encode()).hexdigest()[:24]
        real = output.resolve()
        for hidden in (real.with_name(f".{real.name}.scoreline") if real.name else None, real / ".scoreline"):
            if hidden is not None:
                yield hidden / _FOLDER / key


def _paths_in(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.suffix == ".json" and not path.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def _written_at(path: Path) -> int:
    with suppress(FileNotFoundError):  # tidied meanwhile
        return path.stat().st_mtime_ns
    return 0


def _read(path: Path) -> Label | None:
    form = durable.read_json(path)
    try:
        return None if form is None else Label(**{**form, "provenance": Provenance(**form["provenance"])})
    except (KeyError, TypeError):
        return None  # of a later version, or damaged
