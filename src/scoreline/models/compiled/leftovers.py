"""Leftovers: what lies among a home's compiled forms and is read by no version that runs here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scoreline.models.compiled.cache import COMPILED, MACHINE_CODE, is_current, running_versions

_UNFINISHED = ".*.tmp"
_FORMS = "*.form"


def leftovers(home: Path) -> Iterator[tuple[Path, str]]:
    """Files that nothing reads any more, and why; how long they stay is for others to say.

    Args:
        home: Scoreline's folder.
    """
    for folder in _folders(home / COMPILED):
        for path in sorted(folder.glob(_FORMS)):
            if not is_current(path):
                yield path, "made by other versions than those that run here"
        for path in sorted(folder.glob(_UNFINISHED)):
            yield path, "left by a process that ended while it wrote"
    numba = running_versions().get("numba")
    for folder in _folders(home / COMPILED / MACHINE_CODE):
        # The same Numba may have made code for several versions of Python.
        if not folder.name.startswith(f"numba-{numba}-"):
            yield from ((path, "machine code of another Numba") for path in sorted(folder.rglob("*")) if path.is_file())


def _folders(place: Path) -> list[Path]:
    if not place.is_dir():
        return []
    return sorted(folder for folder in place.iterdir() if folder.is_dir() and not folder.is_symlink())
