"""Neighbours: the Python modules beside a job's file, importable for that job alone.

Two jobs may each have a ``features.py``; neither may be given the other's, and an edited one counts the next time.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Lets the modules in ``folder`` be imported meanwhile; what was imported from it is then forgotten.

    No bytecode of them is kept: Python would take it for a file that was edited within the same second.
    """
    before, writes_none = set(sys.modules), sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes_none
        sys.path.remove(str(folder))
        new = set(sys.modules) - before
        for name in [name for name in new if lies_in(sys.modules.get(name.partition(".")[0]), folder)]:
            del sys.modules[name]


def lies_in(module: ModuleType | None, folder: Path) -> bool:
    """Whether a top-level module is a file of the folder, or a package right in it."""
    file = getattr(module, "__file__", None)
    if file is None:
        return False
    place = Path(file).parent.parent if Path(file).name == "__init__.py" else Path(file).parent
    return place == folder
