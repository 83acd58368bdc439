import errno
import hashlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from scoreline import durable

DYING = """
import os, pathlib, sys
from scoreline import durable
with durable.written(pathlib.Path(sys.argv[1]), durable=True) as handle:
    handle.write(b"half")
    handle.flush()
    os._exit(9)
"""


def names_in(folder):
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def calls(monkeypatch):
    """What reaches the disk, in order: the real calls are made, and noted."""
    noted = []
    fsync, replace = os.fsync, Path.replace

    def noting_fsync(descriptor):
        noted.append(("fsync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        fsync(descriptor)

    def noting_replace(source, target):
        noted.append(("rename", target.name))
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(Path, "replace", noting_replace)
    return noted


def test_a_durable_file_is_synced_before_its_rename_and_its_folder_after(tmp_path, calls):
    with durable.written(tmp_path / "a", durable=True) as handle:
        handle.write(b"x" * 100_000)
    (first, hidden), *rest = calls
    assert (first, hidden[:3], rest) == ("fsync", ".a.", [("rename", "a"), ("fsync", tmp_path.name)])


def test_all_bytes_have_left_the_process_before_they_are_synced(tmp_path, monkeypatch):
    sizes = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: sizes.append(os.fstat(descriptor).st_size))
    with (tmp_path / "a").open("wb") as handle:
        handle.write(b"x" * 10)
        durable.sync_file(handle)
    assert sizes == [10]


def test_a_file_that_may_be_lost_is_only_renamed(tmp_path, calls):
    with durable.written(tmp_path / "a", durable=False) as handle:
        handle.write(b"x")
    assert calls == [("rename", "a")]


@pytest.mark.parametrize("lasting", [True, False])
def test_the_name_shows_the_old_content_until_all_is_written(tmp_path, lasting):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with durable.written(path, durable=lasting) as handle:
        handle.write(b"new")
        handle.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert names_in(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError(errno.ENOSPC, "full")])
def test_whatever_interrupts_the_writing_leaves_the_old_and_nothing_else(tmp_path, error):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def interrupted():
        with durable.written(path, durable=True) as handle:
            handle.write(b"half")
            raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        interrupted()
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["a"]


def test_what_the_system_refuses_a_library_past_python_is_an_error_of_the_system(tmp_path):
    def written():
        with durable.written(tmp_path / "a", durable=False) as handle:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
            pl.DataFrame({"x": range(10_000)}).write_parquet(handle, compression="uncompressed")

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            written()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(tmp_path / "a"))
    assert names_in(tmp_path) == []


def test_a_process_that_dies_while_writing_leaves_the_old(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    assert subprocess.run([sys.executable, "-c", DYING, path], check=False).returncode == 9
    assert path.read_bytes() == b"old"


def test_json_comes_back(tmp_path):
    value = {"a": [1, None, "ä"], "b": 0.1}
    durable.write_json(tmp_path / "new" / "folder" / "a.json", value)
    assert durable.read_json(tmp_path / "new" / "folder" / "a.json") == value


@pytest.mark.parametrize("content", [None, b"", b'{"a": ', b"\x00" * 20])
def test_json_that_is_missing_or_was_torn_is_none(tmp_path, content):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    assert durable.read_json(path) is None


def test_what_json_cannot_hold_leaves_the_old(tmp_path):
    durable.write_json(tmp_path / "a.json", 1)
    with pytest.raises(TypeError):
        durable.write_json(tmp_path / "a.json", {"a": object()})
    assert durable.read_json(tmp_path / "a.json") == 1


@pytest.mark.parametrize("size", [0, 1, 1 << 20])
def test_the_hash_is_that_of_all_bytes(tmp_path, size):
    content = os.urandom(size)
    (tmp_path / "a").write_bytes(content)
    assert durable.sha256_of(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_a_removed_tree_is_gone_and_may_be_removed_again(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_bytes(b"")
    durable.remove_tree(tmp_path / "a")
    durable.remove_tree(tmp_path / "a")
    assert names_in(tmp_path) == []


def test_the_names_of_new_folders_are_synced_and_those_of_old_ones_are_not(tmp_path, calls):
    (tmp_path / "old").mkdir()
    durable.make_folder(tmp_path / "old" / "new" / "newer")
    assert (tmp_path / "old" / "new" / "newer").is_dir()
    assert sorted(calls) == [("fsync", "new"), ("fsync", "old")]


def test_a_folder_that_is_there_needs_nothing(tmp_path, calls):
    durable.make_folder(tmp_path)
    assert calls == []


@pytest.fixture
def tree(tmp_path):
    """A folder of six files in several depths, one of them hidden."""
    paths = [tmp_path / "tree" / name for name in ("a", "b/c", "b/d", "b/e/f", "b/e/.g", "h/i")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    return tmp_path / "tree"


@pytest.mark.parametrize("kept", [["b/d"], ["a", "b/e/f"], ["b/e/.g", "h/i"]])
def test_what_is_kept_of_a_tree_stays_with_its_folders_and_nothing_else(tree, kept):
    durable.remove_tree(tree, [tree / name for name in kept])
    left = {path for path in tree.rglob("*") if path.is_file()}
    assert left == {tree / name for name in kept}
    assert all(path.read_text() == path.name for path in left)
    folders = {path for path in tree.rglob("*") if path.is_dir()}
    assert folders == {parent for path in left for parent in path.parents if parent.is_relative_to(tree)} - {tree}


@pytest.mark.parametrize("kept", ["elsewhere", "tree-2/a", "tree"])
def test_a_tree_is_removed_whole_where_what_is_kept_lies_elsewhere_or_is_not_there(tree, tmp_path, kept):
    durable.remove_tree(tree, [tmp_path / kept, tree / "gone"])
    assert not tree.exists()


def test_a_tree_that_is_not_there_keeps_nothing_and_is_no_error(tmp_path):
    durable.remove_tree(tmp_path / "gone", [tmp_path / "gone" / "a"])
    assert list(tmp_path.iterdir()) == []
