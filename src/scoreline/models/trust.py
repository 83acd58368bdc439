"""Trust: which pickled models may be loaded. A pickle runs code, so the default answer is no.

Trusted is a digest that somebody has named (recorded with who and when), or a file in a folder that the job names and
that nobody but its owner can write to.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scoreline.errors import StorageUnfit
from scoreline.owner import user_name

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class Trust:
    """The digests that were trusted in one home, and the folders that one job trusts.

    Args:
        home: Scoreline's folder; the record is its ``trusted.jsonl``.
        folders: absolute folders that the job names.
    """

    home: Path
    folders: tuple[Path, ...] = ()

    @property
    def record(self) -> Path:
        """One JSON object a line: digest, path, by, host, at."""
        return self.home / "trusted.jsonl"

    def add(self, digest: str, path: Path | str) -> dict[str, str]:
        """Trusts a digest, for good; returns the recorded entry, which names the path or URI.

        Raises:
            StorageUnfit: others can write to the home, so the record would prove nothing.
        """
        entry = {
            "digest": digest,
            "path": str(path),
            "by": user_name(),
            "host": socket.gethostname(),
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self.home.mkdir(mode=0o755, parents=True, exist_ok=True)
        if open_to := writable_by_others(self.home, self.home):
            raise StorageUnfit(
                f"others can write to {', '.join(open_to)}, so a record of trusted digests there would prove nothing",
                hint=f"chmod go-w {shlex.join(open_to)}",
            )
        descriptor = os.open(self.record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(entry) + "\n")
            handle.flush()
            os.fsync(handle.fileno())
        return entry

    def entries(self) -> list[dict[str, Any]]:
        """All that was trusted, oldest first; a line that a crash has torn trusts nothing."""
        try:
            lines = self.record.read_text("utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        return [entry for entry in map(_entry, lines) if entry is not None]

    def reason(self, digest: str, path: Path) -> str | None:
        """Why this model may be loaded, None when it may not."""
        for entry in self.entries():
            # A record that others can write to proves nothing.
            if entry["digest"] == digest and not writable_by_others(self.record, self.home):
                return f"digest trusted by {entry['by']} at {entry['at']}"
        for folder in self.folders:
            if path.resolve().is_relative_to(folder.resolve()) and not writable_by_others(path, folder):
                return f"lies in {folder}, which the job trusts"
        return None

    def refusal(self, path: Path) -> str:
        """What stands against a trust that was meant, '' when none was."""
        if self.record.exists() and (open_to := writable_by_others(self.record, self.home)):
            return f"others can write to {', '.join(open_to)}, so its record of trusted digests proves nothing"
        for folder in self.folders:
            if path.resolve().is_relative_to(folder.resolve()):
                return f"others can write to {', '.join(writable_by_others(path, folder))}"
        return ""


def writable_by_others(path: Path, folder: Path) -> list[str]:
    """Which of ``path`` and its folders, up to and including ``folder``, another user can change.

    Folders above may belong to a group: whoever moves ``folder`` away and puts another one in its place owns that one,
    so its owner has to be this user, root, or the owner of the folder above.
    """
    resolved, top = path.resolve(), folder.resolve()
    owners = {0, os.getuid(), top.parent.stat().st_uid}
    places = [resolved, *(parent for parent in resolved.parents if parent.is_relative_to(top))]
    facts = [(place, place.stat()) for place in places]
    return [str(place) for place, fact in facts if fact.st_mode & _OTHERS_WRITE or fact.st_uid not in owners]


def _entry(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and {"digest", "by", "at"} <= set(entry) else None


def folders_of(base: Path, names: Sequence[str | Path]) -> tuple[Path, ...]:
    """The job's trusted folders, relative names taken from ``base``."""
    return tuple(base / name for name in names)
