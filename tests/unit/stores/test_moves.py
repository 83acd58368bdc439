"""Files are moved without overwriting, without taking another one, within a file system and across two."""

import os
import shutil
import stat
from contextlib import contextmanager

import pytest

from scoreline import crashpoints
from scoreline.splits import FileIdentity
from scoreline.stores import moves


@pytest.fixture
def path(tmp_path):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "a.bin"
    path.write_bytes(b"scored")
    return path


@pytest.fixture
def there(tmp_path):
    folder = tmp_path / "done"
    folder.mkdir()
    return folder


@pytest.fixture
def old_system(monkeypatch):
    """A system that cannot rename without overwriting."""
    monkeypatch.setattr(moves, "_renameat2", lambda: None)


@contextmanager
def replaced_at(point, path, content):
    """Lets somebody put another file in the place of one, at a crash point."""

    def hook(name):
        if name == point:
            other = path.with_name(".new")
            other.write_bytes(content)
            other.replace(path)

    crashpoints.arm(hook)
    try:
        yield
    finally:
        crashpoints.arm(None)


def known(path):
    now = path.stat()
    return FileIdentity(str(path), now.st_size, now.st_mtime_ns, f"{now.st_dev}:{now.st_ino}", "", 0)


def places(folder):
    return lambda number: folder / (f"a~{number + 1}.bin" if number else "a.bin")


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_file_is_moved(path, there):
    assert moves.move(path, known(path), places(there)) == there / "a.bin"
    assert contents(there) == {"a.bin": b"scored"}
    assert contents(path.parent) == {}


def test_nothing_is_overwritten(path, there):
    (there / "a.bin").write_bytes(b"first")
    (there / "a~2.bin").write_bytes(b"second")
    assert moves.move(path, known(path), places(there)) == there / "a~3.bin"
    assert contents(there) == {"a.bin": b"first", "a~2.bin": b"second", "a~3.bin": b"scored"}


def test_nothing_is_overwritten_where_the_system_cannot_do_it_in_one_step(path, there, old_system):
    (there / "a.bin").write_bytes(b"first")
    assert moves.move(path, known(path), places(there)) == there / "a~2.bin"
    assert contents(there) == {"a.bin": b"first", "a~2.bin": b"scored"}
    assert contents(path.parent) == {}


def test_another_file_of_the_same_name_stays(path, there):
    meant = known(path)
    other = path.with_name("b")
    other.write_bytes(b"newer!")
    other.replace(path)
    assert moves.move(path, meant, places(there)) is None
    assert contents(path.parent) == {"a.bin": b"newer!"}
    assert contents(there) == {}


def test_what_was_put_there_between_the_look_and_the_move_is_given_back(path, there, monkeypatch):
    meant, rename = known(path), moves.rename_new

    def late(source, target):
        monkeypatch.setattr(moves, "rename_new", rename)
        path.unlink()
        path.write_bytes(b"newer")
        rename(source, target)

    monkeypatch.setattr(moves, "rename_new", late)
    assert moves.move(path, meant, places(there)) is None
    assert contents(path.parent) == {"a.bin": b"newer"}
    assert contents(there) == {}


def test_a_file_that_is_gone_is_no_error(path, there):
    meant = known(path)
    path.unlink()
    assert moves.move(path, meant, places(there)) is None


def test_across_file_systems_the_copy_is_the_same_file_to_whoever_knows_it(path, elsewhere):
    os.utime(path, ns=(5_000_000_000, 7_000_000_123))
    meant = known(path)
    assert moves.move(path, meant, places(elsewhere)) == elsewhere / "a.bin"
    assert contents(elsewhere) == {"a.bin": b"scored"}
    assert moves.is_file_of(elsewhere / "a.bin", meant)
    assert moves.as_it_lies(elsewhere / "a.bin", meant) == known(elsewhere / "a.bin")
    assert contents(path.parent) == {}


def test_across_file_systems_a_file_that_only_its_owner_may_read_stays_so(path, elsewhere):
    path.chmod(0o600)
    moves.move(path, known(path), places(elsewhere))
    assert stat.S_IMODE((elsewhere / "a.bin").stat().st_mode) == 0o600


def test_on_another_device_a_file_of_another_age_or_size_is_another_one(path, elsewhere):
    meant = known(path)
    (elsewhere / "a.bin").write_bytes(b"scored")
    os.utime(elsewhere / "a.bin", ns=(0, meant.mtime_ns + 1))
    assert not moves.is_file_of(elsewhere / "a.bin", meant)
    (elsewhere / "a.bin").write_bytes(b"scored, too")
    os.utime(elsewhere / "a.bin", ns=(0, meant.mtime_ns))
    assert not moves.is_file_of(elsewhere / "a.bin", meant)


def test_on_the_same_device_a_copy_is_another_file(path, there):
    shutil.copy2(path, there)
    os.utime(there / "a.bin", ns=(0, known(path).mtime_ns))
    assert not moves.is_file_of(there / "a.bin", known(path))


def test_across_file_systems_nothing_is_overwritten(path, elsewhere):
    (elsewhere / "a.bin").write_bytes(b"first")
    assert moves.move(path, known(path), places(elsewhere)) == elsewhere / "a~2.bin"
    assert contents(elsewhere) == {"a.bin": b"first", "a~2.bin": b"scored"}


def test_across_file_systems_what_has_come_since_the_copy_stays(path, elsewhere):
    meant = known(path)
    with replaced_at("close.copied", path, b"newer"):
        moves.move(path, meant, places(elsewhere))
    assert contents(path.parent) == {"a.bin": b"newer"}
    assert contents(elsewhere) == {"a.bin": b"scored"}


def test_a_removal_gives_back_what_is_not_meant(path):
    assert not moves.remove(path, lambda _: False)
    assert contents(path.parent) == {"a.bin": b"scored"}
    assert moves.remove(path, lambda taken: taken.read_bytes() == b"scored")
    assert contents(path.parent) == {}


@pytest.mark.parametrize("error", [PermissionError, KeyboardInterrupt])
def test_a_removal_whose_look_fails_gives_the_file_back(path, error):
    def look(_):
        raise error

    with pytest.raises(error):
        moves.remove(path, look)
    assert contents(path.parent) == {"a.bin": b"scored"}


def test_other_errors_leave_the_file_where_it_is(path, tmp_path):
    with pytest.raises(FileNotFoundError):
        moves.move(path, known(path), places(tmp_path / "not there"))
    assert contents(path.parent) == {"a.bin": b"scored"}
