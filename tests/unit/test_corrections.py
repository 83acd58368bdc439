"""Corrections: a journal that only grows, sets of rows that never change, and the files that they are bound to."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest

from scoreline.corrections import Corrections, bare
from scoreline.errors import CorrectionsOutdated, FilesDamaged, InputInvalid
from scoreline.overlay import FILE, ROW
from scoreline.splits import FileIdentity

AT = datetime(2026, 11, 27, 8, 30, tzinfo=UTC)
INPUT = FileIdentity("/in/a.parquet", 100, 5, "1:1", "f" * 64, 20)
OTHER = replace(INPUT, path="/in/b.parquet", footer="e" * 64)
WITHDRAW = "scoreline quarantine withdraw job.py"
COMMAND = f"{WITHDRAW} 2021-02"


@pytest.fixture
def book(tmp_path):
    return Corrections(tmp_path / "home", "trips[color=green]")


def rows(value=1, row=3, file=INPUT):
    return pl.DataFrame({FILE: [file.path], ROW: [row], "x": [value]})


def record(book, value=1, file=INPUT, **chosen):
    chosen = {"by": "ana", "at": AT, "came_from": "fixes.csv"} | chosen
    return book.record("2021-02", rows(value, file=file), [file], **chosen)[0]


def test_nothing_is_recorded_at_first_and_asking_makes_no_folder(book):
    assert book.bound("2021-02", [INPUT], COMMAND) == (INPUT,)
    assert (book.recorded("2021-02"), book.partitions(), book.given(INPUT, WITHDRAW)) == ([], [], [])
    assert not book.home.exists()


def test_what_was_recorded_is_told_with_who_and_when(book):
    one = record(book)
    assert (one.by, one.at, one.came_from) == ("ana", "2026-11-27T08:30:00+00:00", "fixes.csv")
    assert (one.rows, one.columns, one.files[0]["path"]) == (1, ("x",), INPUT.path)
    assert book.recorded("2021-02") == book.in_force("2021-02") == [one]
    assert book.partitions() == ["2021-02"]


def test_it_lies_by_job_with_identity_parameters_as_a_folder_and_partition(book):
    one = record(book)
    folder = book.home / "corrections" / "trips" / "color=green" / "2021-02"
    assert sorted(path.name for path in folder.iterdir()) == ["000001.json", f"{one.digest}.parquet"]


def test_a_later_one_comes_after_an_earlier_one(book):
    first, second = record(book, 1), record(book, 2)
    (file,) = book.bound("2021-02", [INPUT], COMMAND)
    assert file.corrections == (f"2021-02/{first.digest}", f"2021-02/{second.digest}")
    assert [frame["x"].to_list() for frame in book.given(file, WITHDRAW)] == [[1], [2]]


def test_the_newest_one_is_not_recorded_twice_and_an_older_one_is(book):
    record(book, 1)
    assert book.record("2021-02", rows(1), [INPUT], by="bo", at=AT, came_from="x.csv")[1] is False
    record(book, 2)
    assert book.record("2021-02", rows(1), [INPUT], by="bo", at=AT, came_from="x.csv")[1] is True
    assert len(book.in_force("2021-02")) == 3


def test_each_file_has_the_corrections_for_it_alone(book):
    record(book)
    own, other = book.bound("2021-02", [INPUT, OTHER], COMMAND)
    assert own.corrections
    assert other == OTHER


def test_a_file_without_corrections_is_fingerprinted_as_ever(book):
    before = INPUT.fingerprint()
    assert set(before) == {"path", "size", "mtime_ns", "footer"}
    record(book)
    (file,) = book.bound("2021-02", [INPUT], COMMAND)
    assert file.fingerprint() == before | {"corrections": list(file.corrections)}
    assert bare(file) == INPUT


def test_a_pinned_file_is_the_same_after_json_and_pickling(book):
    record(book)
    (file,) = book.bound("2021-02", [INPUT], COMMAND)
    form = json.loads(json.dumps({name: getattr(file, name) for name in file.__slots__}))
    assert FileIdentity(**form) == file == pickle.loads(pickle.dumps(file))


def test_what_was_withdrawn_is_in_force_no_more_and_stays_on_record(book):
    first, second = record(book, 1), record(book, 2)
    book.withdraw("2021-02", [first], by="bo", at=AT)
    assert book.in_force("2021-02") == [second]
    assert book.recorded("2021-02")[0].withdrawn == {"by": "bo", "at": "2026-11-27T08:30:00+00:00"}


def test_what_was_withdrawn_can_be_recorded_again(book):
    first = record(book)
    book.withdraw("2021-02", [first], by="bo", at=AT)
    again = record(book)
    assert (again.digest, again.number) == (first.digest, 3)
    assert book.in_force("2021-02") == [again]


def test_a_run_that_has_pinned_corrections_reads_them_after_they_were_withdrawn(book):
    one = record(book)
    (file,) = book.bound("2021-02", [INPUT], COMMAND)
    book.withdraw("2021-02", [one], by="bo", at=AT)
    assert [frame["x"].to_list() for frame in book.given(file, WITHDRAW)] == [[1]]
    assert [found.by for found in book.named(file)] == ["ana"]


@pytest.mark.parametrize("change", [{"size": 101}, {"footer": "0" * 64}])
def test_corrections_of_a_file_that_has_changed_are_never_applied(book, change):
    one = record(book)
    with pytest.raises(CorrectionsOutdated, match="has changed since") as caught:
        book.bound("2021-02", [replace(INPUT, **change)], COMMAND)
    assert caught.value.hint.endswith(f"{COMMAND} {one.id}")
    assert isinstance(caught.value, InputInvalid)


def test_a_copy_of_the_file_is_the_same_file(book):
    record(book)
    (file,) = book.bound("2021-02", [replace(INPUT, mtime_ns=9, inode="2:2")], COMMAND)
    assert file.corrections


def test_corrections_of_a_file_that_is_gone_are_never_forgotten(book):
    record(book)
    with pytest.raises(CorrectionsOutdated, match="is no input of the partition any more"):
        book.bound("2021-02", [OTHER], COMMAND)


def test_once_withdrawn_they_stand_in_nobody_s_way(book):
    book.withdraw("2021-02", [record(book)], by="bo", at=AT)
    changed = replace(INPUT, size=101)
    assert book.bound("2021-02", [changed], COMMAND) == (changed,)


@pytest.mark.parametrize("harm", [b"", b"PAR1", None])
def test_a_set_that_is_gone_or_damaged_is_said_to_be_and_not_left_out(book, harm):
    one = record(book)
    (file,) = book.bound("2021-02", [INPUT], COMMAND)
    path = book.folder("2021-02") / f"{one.digest}.parquet"
    path.unlink() if harm is None else path.write_bytes(harm)
    with pytest.raises(FilesDamaged, match=one.digest) as caught:
        book.given(file, WITHDRAW)
    assert caught.value.hint.endswith(COMMAND)


@pytest.mark.parametrize("harm", [b"", b"{", b"[]", b"{}"])
def test_an_entry_that_cannot_be_read_is_said_to_be_and_not_left_out(book, harm):
    record(book)
    (book.folder("2021-02") / "000001.json").write_bytes(harm)
    with pytest.raises(FilesDamaged, match="says no more"):
        book.in_force("2021-02")


def test_a_set_without_an_entry_as_a_crash_leaves_it_is_not_in_force(book):
    record(book)
    (book.folder("2021-02") / "000001.json").unlink()
    assert book.bound("2021-02", [INPUT], COMMAND) == (INPUT,)


def test_many_at_once_have_an_entry_each(book):
    record(book, 0)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda value: record(book, value), range(1, 33)))
    found = book.in_force("2021-02")
    assert [one.number for one in found] == list(range(1, 34))
    assert len({one.digest for one in found}) == 33
    assert list(book.folder("2021-02").glob(".*")) == []
