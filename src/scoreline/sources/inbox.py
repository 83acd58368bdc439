"""An inbox: files that appear in a folder are partitions, and are moved away once they are published.

It wraps the source that reads the files. A file goes on being known by its path in the inbox, wherever it lies by now,
so that a partition has the same fingerprint before and after the move. It must not know file formats.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from scoreline import crashpoints
from scoreline.abc import Batch, FileSource
from scoreline.durable import make_folder
from scoreline.errors import InputChanged, InputInvalid, InputMissing
from scoreline.files import COMPRESSED, NAME
from scoreline.partition import Grid, Partition
from scoreline.splits import FileIdentity, Split
from scoreline.stores import local, moves
from scoreline.stores.folder import listed, missing
from scoreline.template import Template

_log = logging.getLogger(__name__)
_NOTHING = "is not there, and nothing of it was processed before"
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".filepart", "~")
"""Endings that browsers, transfer programs and editors give to what they have not finished."""
_LATER = re.compile(r"~\d+(?=(\.[^.~]*)?(\.gz)?\Z)")
"""The number of an arrival that came after others of the same name; no slug has a tilde."""
_GAP = 16
_LOOKS = 3
_POLL_SECONDS = 0.1
_PATIENCE = 10.0


@dataclass
class Waiting:
    """What one inbox has seen of files that somebody still writes.

    Attributes:
        seconds: waited so far for files that changed meanwhile.
        told: names that were said to be no partition.
    """

    seconds: float = 0.0
    told: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class InboxSource:
    """Implements `scoreline.abc.Source` over another one.

    A partition's files are the last arrival of each of its names, whether it still lies in the inbox or was moved. A
    file with the very bytes of the arrival before it is that arrival: nothing is new, and it is only taken away.

    Args:
        inner: reads the files.
        folder: where the template's paths begin.
        template: path of a partition's file, or of its files with wildcards.
        grid: the job's grid.
        values: fields that the job fills.
        processed: folder of what was published.
        called: name of a file in it, with ``{name}``.
        settle: seconds for which a file has to be left alone before it is taken.
        waiting: what it has seen of files that somebody still writes.
        numbers: processed folder -> first arrival's name -> number of the last one, as this process has seen it.
    """

    inner: FileSource
    folder: Path
    template: Template
    grid: Grid
    values: tuple[tuple[str, str], ...]
    processed: Path
    called: str = NAME
    settle: float = 1.0
    waiting: Waiting = field(default_factory=Waiting, compare=False, repr=False)
    numbers: dict[Path, dict[str, int]] = field(default_factory=dict, compare=False, repr=False)

    def partitions(self) -> list[Partition]:
        """Those whose files wait in the inbox; names that are none are told, once, by a warning."""
        found, others = set(), []
        for path in listed(self.folder, self.template):
            if self._is_unfinished(path):
                continue
            one = self.template.partition_of(self.template.fixed_prefix + path, self.grid, dict(self.values))
            if one is not None:
                found.add(one)
            else:
                others.append(path)
        self._tell(self.folder / self.template.fixed_folder, others)
        return sorted(found, key=lambda one: one.slug)

    def fingerprint(self, partition: Partition) -> tuple[FileIdentity, ...]:
        """See `scoreline.abc.Source.fingerprint`; waits for files that somebody still writes.

        Raises:
            InputChanged: one of them is still being written.
        """
        for look in itertools.count(1):
            try:
                return self._fingerprint(partition)
            except InputMissing:
                # Perhaps another process has moved it away between two looks.
                if look == _LOOKS:
                    raise
        raise AssertionError

    def splits(self, files: Sequence[FileIdentity], workers: int) -> list[Split]:
        """See `scoreline.abc.Source.splits`."""
        splits = self.inner.splits([self._where(file) for file in files], workers)
        return [replace(split, file=files[split.ordinal]) for split in splits]

    def read(self, split: Split, columns: Sequence[str]) -> Iterator[Batch]:
        """See `scoreline.abc.Source.read`."""
        return self.inner.read(replace(split, file=self._where(split.file)), columns)

    def done(self, partition: Partition, files: Sequence[FileIdentity]) -> tuple[str, ...]:
        """See `scoreline.abc.Source.done`: moves the files to their processed place."""
        # A file that was given by hand is not moved, also where it lies in the inbox and another command ends its run.
        own = [file for file in files if (found := self._partition_of(file)) and found.slug == partition.slug]
        here = [file for file in own if Path(file.path).exists()]
        told = [self._put_away(partition, file) for file in here]
        crashpoints.reach("close.put_away")
        return tuple(one for one in told if one)

    def kept(self, files: Sequence[FileIdentity]) -> list[Path]:
        """See `scoreline.abc.KeepsProcessed.kept`."""
        found = [(Path(self._where(file).path), file) for file in files]
        # What was given by its path in the processed place was put there for another partition, or by somebody else.
        moved = [(path, file) for path, file in found if path != Path(file.path)]
        return [path for path, file in moved if path.is_relative_to(self.processed) and moves.is_file_of(path, file)]

    def _is_unfinished(self, path: str) -> bool:
        """Whether a name says that it is hidden or temporary."""
        marks = {mark for mark in "._" if not PurePosixPath(self.template.text).name.startswith(mark)}
        return path.endswith(_UNFINISHED) or any(part[0] in marks for part in path.split("/"))

    def _tell(self, folder: Path, names: Sequence[str]) -> None:
        new = [name for name in names if name not in self.waiting.told]
        self.waiting.told.update(new)
        if new:
            shown = ", ".join(map(repr, new[:5])) + (f" and {len(new) - 5} more" if len(new) > 5 else "")
            _log.warning(
                "%s: not scored: %s, as no partition of %r has such a name; rename what shall be scored",
                folder,
                shown,
                self.template.text,
            )

    # -- what a partition is made of

    def _fingerprint(self, partition: Partition) -> tuple[FileIdentity, ...]:
        pattern = self.template.render(partition, dict(self.values))
        names = self._names(partition, pattern)
        found = [self._identified(partition, name) for name in sorted(names)]
        if not found or None in found:
            raise missing(
                partition, self.folder / pattern, _NOTHING, self.partitions(), "partitions that wait in the inbox"
            )
        return tuple(one for one in found if one is not None)

    def _names(self, partition: Partition, pattern: str) -> set[str]:
        """Paths below the folder of a partition's files, in the inbox or moved."""
        if not self.template.has_wildcard:
            return set() if self._is_unfinished(pattern.removeprefix(self.template.fixed_prefix)) else {pattern}
        waiting = {path.relative_to(self.folder).as_posix() for path in local.matching(self.folder, pattern)}
        waiting = {name for name in waiting if not self._is_unfinished(name.removeprefix(self.template.fixed_prefix))}
        return waiting | set(self._moved(partition, pattern))

    def _moved(self, partition: Partition, pattern: str) -> Iterator[str]:
        """The same of those that were moved, by what their names in the processed place say."""
        place = self._place(partition, pattern)
        head, tail = self._around(partition)
        for path in local.matching(self.processed, f"{place.parent.relative_to(self.processed).as_posix()}/*"):
            name = _LATER.sub("", path.name)
            if self.called == NAME:
                own = self.template.fixed_prefix + path.with_name(name).relative_to(self.processed).as_posix()
            else:
                head_name = head.rpartition("/")[2]
                if not (name.startswith(head_name) and name.endswith(tail)):
                    continue
                bare = name.removeprefix(head_name).removesuffix(tail) if tail else name.removeprefix(head_name)
                own = PurePosixPath(pattern).with_name(bare).as_posix() if bare else ""
            if Template(pattern).matches(own):
                yield own

    def _identified(self, partition: Partition, name: str) -> FileIdentity | None:
        path, place = self.folder / name, self._place(partition, name)
        if not path.is_file():
            # Only now: another process may have moved it here, and what came before it is not the input any more.
            last = self._last(place)
            return None if last is None else replace(self.inner.identify(last), path=str(path))
        if _LATER.search(path.name):
            raise InputInvalid(
                f"{path} is called as a later arrival of another file would be", hint="rename it, without the '~'"
            )
        self._settle(path)
        last = self._last(place)
        if last is not None and moves.same_bytes(path, last):
            return replace(self.inner.identify(last), path=str(path))
        return self.inner.identify(path)

    def _settle(self, path: Path) -> None:
        """Waits until nobody has touched a file for a while. Files age together, so many take no longer than one."""
        seen, since, growing = None, 0.0, False
        while True:
            try:
                stat = path.stat()
            except FileNotFoundError:
                return  # whoever identifies it will tell
            now, look = time.monotonic(), (stat.st_size, stat.st_mtime_ns, stat.st_ino)
            if look != seen:
                growing = seen is not None
                seen, since = look, now - max(0.0, time.time() - max(stat.st_mtime, stat.st_ctime))
            left = self.settle - (now - since)
            if left <= 0:
                return
            if growing and self.waiting.seconds > self.settle * _PATIENCE:
                raise InputChanged(
                    f"{path} is still being written", hint="run the same command again when it is complete"
                )
            pause = min(left, _POLL_SECONDS)
            self.waiting.seconds += pause if growing else 0.0
            time.sleep(pause)

    # -- where a file lies

    def _around(self, partition: Partition) -> tuple[str, str]:
        """What stands before and after a file's own name in the processed place."""
        values = dict(self.values)
        head, tail = (
            Template(text).render(partition, values) if text else "" for text in self.called.split(NAME, maxsplit=1)
        )
        return head, tail

    def _place(self, partition: Partition, name: str) -> Path:
        """Where the first arrival of a name goes."""
        if self.called == NAME:
            return self.processed / name.removeprefix(self.template.fixed_prefix)
        head, tail = self._around(partition)
        return self.processed / (head + PurePosixPath(name).name + tail)

    def _last(self, place: Path) -> Path | None:
        """The last arrival; any of those before it may have been removed by hand."""
        numbers = self.numbers.get(place.parent)
        if numbers is None:
            numbers = self.numbers[place.parent] = _numbers_in(place.parent)
        last = _last_from(place, numbers.get(place.name, 1))
        if last is None and place.name in numbers:  # it was removed since the folder was listed
            numbers = self.numbers[place.parent] = _numbers_in(place.parent)
            last = _last_from(place, numbers.get(place.name, 1))
        if _number(last) > 1:
            numbers[place.name] = _number(last)
        return last

    def _partition_of(self, file: FileIdentity) -> Partition | None:
        """Whose input a file is by its path; None where that is no path of the inbox."""
        path = Path(file.path)
        if not path.is_relative_to(self.folder):
            return None
        return self.template.partition_of(path.relative_to(self.folder).as_posix(), self.grid, dict(self.values))

    def _where(self, file: FileIdentity) -> FileIdentity:
        """The file under the path where it lies now."""
        path = Path(file.path)
        here, partition = moves.as_it_lies(path, file), self._partition_of(file)
        if here is not None or partition is None:
            return here or file
        place = self._place(partition, path.relative_to(self.folder).as_posix())
        arrivals = (_arrival(place, number) for number in range(1, _number(self._last(place)) + 1))
        return next(filter(None, (moves.as_it_lies(one, file) for one in arrivals)), file)

    def _put_away(self, partition: Partition, file: FileIdentity) -> str:
        path = Path(file.path)
        place = self._place(partition, path.relative_to(self.folder).as_posix())
        make_folder(place.parent)
        with moves.alone_in(place.parent):
            last = self._last(place)
            if last is not None and moves.is_file_of(last, file):
                gone = moves.remove(path, lambda taken: moves.same_bytes(taken, last))
                return f"{path.name} is the same as {last}, so it was taken away" if gone else ""
            first = _number(last) + 1
            moved = moves.move(path, file, lambda number: _arrival(place, first + number))
        if moved is None:
            return f"{path.name} is a newer file by now: it stays, to be scored next" if path.exists() else ""
        return f"{path.name} was moved to {moved}"


def _arrival(place: Path, number: int) -> Path:
    """The name of an arrival: ``a.csv.gz``, ``a~2.csv.gz`` ..."""
    stem, suffix = _parts(place)
    return place if number == 1 else Path(f"{stem}~{number}{suffix}")


def _parts(place: Path) -> tuple[str, str]:
    """The path before and after the place of an arrival's number."""
    text = str(place)
    bare = text.removesuffix(COMPRESSED)
    cut = len(bare) - len(PurePosixPath(bare).suffix)
    return text[:cut], text[cut:]


def _last_from(place: Path, number: int) -> Path | None:
    """The last arrival, looked for from a number on: other processes add some, one after the other."""
    stem, suffix = _parts(place)
    last, missed = "", 0
    for later in itertools.count(number):
        path = f"{stem}~{later}{suffix}" if later > 1 else str(place)
        if os.path.exists(path):  # noqa: PTH110 - asked many times for each file
            last, missed = path, 0
        elif missed == _GAP:
            return Path(last) if last else None
        else:
            missed += 1
    raise AssertionError


def _numbers_in(folder: Path) -> dict[str, int]:
    """First arrival's name -> number of the last one, of those that have later ones."""
    found: dict[str, int] = {}
    for name in os.listdir(folder) if folder.is_dir() else ():  # noqa: PTH208 - there may be a great many
        if "~" in name and (match := _LATER.search(name)):
            first = name[: match.start()] + name[match.end() :]
            found[first] = max(found.get(first, 1), int(match[0][1:]))
    return found


def _number(place: Path | None) -> int:
    """Which arrival a name in the processed place stands for; 0 for none."""
    if place is None:
        return 0
    match = _LATER.search(place.name)
    return int(match[0][1:]) if match else 1
