"""Machine code kept on disk: whatever is wrong with the folder, the walk is there."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scoreline.models.compiled import kernel

SCORE = """
import sys
from pathlib import Path
import numpy as np
from scoreline.models.compiled.keys import Keys
from scoreline.models.compiled.trees import Trees, keep_machine_code_in

keep_machine_code_in(Path(sys.argv[1]) if sys.argv[1] else None)
keys = Keys(1, np.array([0]))
bits = np.uint64(34)  # one column, the constant, and the bit for missing values
stump = [(2 << 34) | 0, (1 << 34) | (1 << 32), (2 << 34) | (1 << 32), (3 << 34) | (1 << 32) | 1]
arrays = {
    "nodes": np.array(stump, dtype=np.uint64),
    "roots": np.array([0, 4], dtype=np.uint64),
    "leaves": np.array([[1.5], [2.5]]),
    "firsts": np.zeros(1, dtype=np.uint64),
    "splits": np.empty((0, 9), dtype=np.uint32),
    "base": np.zeros(1),
}
trees = Trees.checked(keys, arrays, 1)
print(trees.scores(np.array([[0.0], [1e-45], [-1.0]] * 5))[:3, 0].tolist())
"""


def score(folder, env=None):
    """The walk in a process of its own."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": "", "PYTHONPATH": os.pathsep.join(sys.path), **(env or {})}
    command = [sys.executable, "-W", "error", "-c", SCORE, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == "[1.5, 2.5, 1.5]\n", done.stderr


def kept(folder):
    return sorted(path for path in Path(folder).rglob("*.nb?") if path.is_file())


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A folder that two processes have filled at the same time."""
    folder = tmp_path_factory.mktemp("machine") / "home" / "kernel"
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(score, [folder, folder]))
    return folder


def test_two_processes_at_once_keep_what_the_next_one_reads(filled):
    before = {path: path.stat().st_mtime_ns for path in kept(filled)}
    assert len(before) == 4  # an index and the code of the walk, and of the survey
    score(filled)
    assert {path: path.stat().st_mtime_ns for path in kept(filled)} == before


def test_damaged_code_is_made_again(filled):
    for path in kept(filled):
        if path.name.startswith("kernel._walk" if path.suffix == ".nbi" else "kernel._survey"):
            path.write_bytes(path.read_bytes()[:100] if path.suffix == ".nbc" else b"")
    score(filled)
    assert all(path.stat().st_size > 100 for path in kept(filled))


def test_a_folder_that_others_may_write_is_not_used(tmp_path):
    open_to_all = tmp_path / "shared"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    assert kernel._own_folder(open_to_all) is None
    own = kernel._own_folder(tmp_path / "own")
    assert own is not None
    own.chmod(0o770)
    assert kernel._own_folder(tmp_path / "own") is None


def test_where_nothing_can_be_kept_numba_finds_another_place_or_none(tmp_path):
    (tmp_path / "file").write_text("")
    score(
        tmp_path / "file" / "below", {"NUMBA_CACHE_DIR": str(tmp_path / "file" / "too"), "HOME": str(tmp_path / "file")}
    )
    assert kept(tmp_path) == []


def test_a_full_disk_does_not_stop_it(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile._save_data", full)
    monkeypatch.setattr(kernel, "_MADE", {})
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setitem(kernel._KEPT, "folder", tmp_path)
    assert callable(kernel.survey())
