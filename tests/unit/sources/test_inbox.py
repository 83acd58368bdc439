"""What an inbox takes, what it waits for, and where a file is found again."""

import io
import logging
import os
import pickle
import shutil
import time
from dataclasses import replace

import polars as pl
import pytest

from scoreline.errors import InputChanged, InputInvalid, InputMissing
from scoreline.partition import Grid, Partition
from scoreline.sources.inbox import InboxSource
from scoreline.sources.parquet import ParquetSource
from scoreline.template import Template
from scoreline.testing.builders import tiny_frame

ONE = Partition("one")


def inbox(root, path="{slug}.parquet", called="{name}", grid="named", settle=0.0):
    template, grid = Template(path), Grid(grid)
    inner = ParquetSource(root / "inbox", template, grid)
    return InboxSource(inner, root / "inbox", template, grid, (), root / "done", called, settle)


def put(root, name, rows=3, first=0):
    path = root / "inbox" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    tiny_frame(rows, first).write_parquet(path)
    return path


def moved(root):
    return sorted(path.relative_to(root / "done").as_posix() for path in (root / "done").rglob("*") if path.is_file())


def rows(source, partition=ONE):
    splits = source.splits(source.fingerprint(partition), 1)
    return pl.concat(batch.frame for split in splits for batch in source.read(split, ["row"]))["row"].to_list()


def publish(source, partition=ONE):
    return source.done(partition, source.fingerprint(partition))


# -- what is taken


@pytest.mark.parametrize("name", [".a.parquet", "_a.parquet", "a.parquet.part", "a.parquet.crdownload", "a.parquet~"])
def test_hidden_and_temporary_names_are_ignored(tmp_path, name, caplog):
    put(tmp_path, name)
    put(tmp_path, "a.parquet")
    assert inbox(tmp_path).partitions() == [Partition("a")]
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["_part.parquet", ".part.parquet", "part.parquet.tmp"])
def test_a_temporary_name_is_no_part_of_a_partition(tmp_path, name):
    put(tmp_path, f"one/{name}", 100)
    put(tmp_path, "one/a.parquet", 3)
    assert [file.rows for file in inbox(tmp_path, "{slug}/*").fingerprint(ONE)] == [3]


def test_a_temporary_name_that_is_asked_for_is_not_there(tmp_path):
    put(tmp_path, "_one.parquet")
    with pytest.raises(InputMissing):
        inbox(tmp_path).fingerprint(Partition("_one"))


def test_a_name_that_is_no_partition_is_told_once(tmp_path, caplog):
    put(tmp_path, "two words.parquet")
    put(tmp_path, "a.csv")
    source = inbox(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert [source.partitions(), source.partitions()] == [[], []]
    (record,) = caplog.records
    assert "'two words.parquet'" in record.getMessage()
    assert "'a.csv'" in record.getMessage()


def test_partitions_of_a_grid_of_time_are_found_by_their_names(tmp_path):
    put(tmp_path, "taxi_batch_20250118_160000.parquet")
    source = inbox(tmp_path, "taxi_batch_{end:%Y%m%d_%H%M%S}.parquet", grid="2h")
    (partition,) = source.partitions()
    assert partition.slug == "2025-01-18T14Z-2h"
    before = source.fingerprint(partition)
    publish(source, partition)
    assert moved(tmp_path) == ["taxi_batch_20250118_160000.parquet"]
    assert source.fingerprint(partition) == before
    assert source.partitions() == []


# -- waiting


def test_a_file_is_taken_once_it_was_left_alone_for_a_while(tmp_path):
    began = time.monotonic()  # before the file is there: its age is a part of the wait
    put(tmp_path, "one.parquet")
    inbox(tmp_path, settle=0.4).fingerprint(ONE)
    assert time.monotonic() - began > 0.35


def test_a_file_with_an_old_time_that_has_just_arrived_is_waited_for(tmp_path):
    began = time.monotonic()
    os.utime(put(tmp_path, "one.parquet"), (1e9, 1e9))
    inbox(tmp_path, settle=0.4).fingerprint(ONE)
    assert time.monotonic() - began > 0.35


def test_a_file_that_was_left_alone_for_long_enough_is_not_waited_for(tmp_path, monkeypatch):
    put(tmp_path, "one.parquet")
    source = inbox(tmp_path, settle=0.1)
    time.sleep(0.15)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits"))
    source.fingerprint(ONE)


def test_many_files_wait_together(tmp_path):
    for number in range(20):
        put(tmp_path, f"{number}.parquet")
    source, began = inbox(tmp_path, settle=0.5), time.monotonic()
    for partition in source.partitions():
        source.fingerprint(partition)
    assert time.monotonic() - began < 20 * 0.5 / 2


def test_a_file_that_grows_is_not_taken_half(tmp_path, monkeypatch):
    path = put(tmp_path, "one.parquet", 2_000)
    content = path.read_bytes()
    size, pieces, wait = len(content) // 10, io.BytesIO(content), time.sleep

    def write_on(seconds):
        """Somebody else writes whenever the inbox waits, until all is there."""
        if piece := pieces.read(size):
            with path.open("ab") as handle:
                handle.write(piece)
        else:
            wait(seconds)

    path.write_bytes(b"")
    monkeypatch.setattr(time, "sleep", write_on)
    (file,) = inbox(tmp_path, settle=1.0).fingerprint(ONE)
    assert (file.rows, file.size) == (2_000, len(content))


def test_waiting_for_a_file_that_always_grows_has_an_end(tmp_path, monkeypatch):
    path, waits = put(tmp_path, "one.parquet"), []

    def write_on(seconds):
        waits.append(seconds)
        with path.open("ab") as handle:
            handle.write(b"more")

    monkeypatch.setattr(time, "sleep", write_on)
    source = inbox(tmp_path, settle=1.0)
    with pytest.raises(InputChanged, match="still being written"):
        source.fingerprint(ONE)
    assert 10 < sum(waits) < 12
    with pytest.raises(InputChanged, match="still being written"):
        source.fingerprint(ONE)
    assert sum(waits) < 13  # the patience is the inbox's, not each file's


# -- arrivals


def test_a_moved_file_is_found_again_and_is_the_same(tmp_path):
    path, source = put(tmp_path, "one.parquet"), inbox(tmp_path, called="{slug}/processed_{slug}_{name}")
    before = source.fingerprint(ONE)
    (told,) = publish(source)
    assert moved(tmp_path) == ["one/processed_one_one.parquet"]
    assert told.startswith("one.parquet was moved to ")
    assert str(path) == before[0].path
    assert "processed_one_one.parquet" in told
    assert source.fingerprint(ONE) == before
    assert before[0].path == str(path)
    assert rows(source) == [0, 1, 2]
    assert publish(source) == ()


def test_the_same_name_with_other_content_is_a_new_arrival_and_overwrites_nothing(tmp_path):
    source = inbox(tmp_path)
    for first in (0, 12, 24):
        put(tmp_path, "one.parquet", first=first)
        publish(source)
        assert rows(source) == [first, first + 1, first + 2]
    assert moved(tmp_path) == ["one.parquet", "one~2.parquet", "one~3.parquet"]


def test_the_same_content_again_is_nothing_new_and_is_taken_away(tmp_path):
    path, source = put(tmp_path, "one.parquet"), inbox(tmp_path)
    before, content = source.fingerprint(ONE), path.read_bytes()
    publish(source)
    path.write_bytes(content)
    assert source.fingerprint(ONE) == before
    (told,) = publish(source)
    assert "same" in told
    assert not path.exists()
    assert moved(tmp_path) == ["one.parquet"]


def test_content_that_came_before_the_last_is_new_again(tmp_path):
    source = inbox(tmp_path)
    for first in (0, 12, 0):
        put(tmp_path, "one.parquet", first=first)
        publish(source)
    assert rows(source) == [0, 1, 2]
    assert moved(tmp_path) == ["one.parquet", "one~2.parquet", "one~3.parquet"]


def test_the_last_arrival_is_found_though_those_before_it_were_removed(tmp_path):
    source = inbox(tmp_path)
    for first in (0, 12, 24):
        put(tmp_path, "one.parquet", first=first)
        publish(source)
    (tmp_path / "done" / "one.parquet").unlink()
    assert rows(source) == [24, 25, 26]
    put(tmp_path, "one.parquet", first=30)
    publish(source)
    assert moved(tmp_path) == ["one~2.parquet", "one~3.parquet", "one~4.parquet"]


@pytest.mark.parametrize("is_new_process", [False, True])
def test_however_many_early_arrivals_were_removed_the_last_one_is_the_input(tmp_path, is_new_process):
    source = inbox(tmp_path)
    for number in range(1, 25):
        put(tmp_path, "one.parquet", first=12 * number)
        publish(source)
    source = inbox(tmp_path) if is_new_process else source
    for name in ["one.parquet", *(f"one~{number}.parquet" for number in range(2, 24))]:
        (tmp_path / "done" / name).unlink()
    assert rows(source)[0] == 12 * 24
    for number in (25, 26, 27):
        put(tmp_path, "one.parquet", first=12 * number)
        publish(source)
        assert rows(source)[0] == 12 * number
    assert moved(tmp_path) == [f"one~{number}.parquet" for number in range(24, 28)]


def test_when_all_arrivals_were_removed_the_next_is_the_first_again(tmp_path):
    source = inbox(tmp_path)
    for first in (0, 12):
        put(tmp_path, "one.parquet", first=first)
        publish(source)
    for path in (tmp_path / "done").iterdir():
        path.unlink()
    with pytest.raises(InputMissing):
        source.fingerprint(ONE)
    put(tmp_path, "one.parquet", first=24)
    publish(source)
    assert (rows(source), moved(tmp_path)) == ([24, 25, 26], ["one.parquet"])


@pytest.mark.parametrize("step", ["_last", "_settle"])
def test_a_file_that_another_process_moves_while_it_is_looked_at_is_the_input_and_not_the_one_before_it(
    tmp_path, step, monkeypatch
):
    source, other = inbox(tmp_path), inbox(tmp_path)
    put(tmp_path, "one.parquet")
    publish(source)
    put(tmp_path, "one.parquet", first=12)
    newer, real = source.fingerprint(ONE), getattr(InboxSource, step)

    def overtaken(self, path):
        found = real(self, path)
        monkeypatch.setattr(InboxSource, step, real)
        other.done(ONE, newer)
        return found

    monkeypatch.setattr(InboxSource, step, overtaken)
    assert source.fingerprint(ONE) == newer
    assert moved(tmp_path) == ["one.parquet", "one~2.parquet"]


def test_a_newer_file_stays_and_the_scored_one_is_not_mistaken_for_it(tmp_path):
    path, source = put(tmp_path, "one.parquet"), inbox(tmp_path)
    scored = source.fingerprint(ONE)
    path.unlink()
    put(tmp_path, "one.parquet", first=12)
    (told,) = source.done(ONE, scored)
    assert "stays" in told
    assert moved(tmp_path) == []
    assert rows(source) == [12, 13, 14]


def test_a_waiting_file_that_was_scored_as_another_partition_goes_on_waiting(tmp_path):
    put(tmp_path, "one.parquet")
    source = inbox(tmp_path, called="{slug}_{name}")
    assert source.done(Partition("special"), source.fingerprint(ONE)) == ()
    assert source.partitions() == [ONE]


def test_all_files_of_a_partition_are_moved(tmp_path):
    source = inbox(tmp_path, "{slug}/*.parquet")
    for number in range(3):
        put(tmp_path, f"one/part-{number}.parquet", first=12 * number)
        put(tmp_path, f"two/part-{number}.parquet")
    before = source.fingerprint(ONE)
    assert len(publish(source)) == 3
    assert moved(tmp_path) == ["one/part-0.parquet", "one/part-1.parquet", "one/part-2.parquet"]
    assert source.fingerprint(ONE) == before
    assert source.partitions() == [Partition("two")]


@pytest.mark.parametrize("called", ["{name}", "{slug}-{name}", "x_{slug}_{name}.done"])
def test_a_partition_of_which_one_file_was_moved_is_still_whole(tmp_path, called):
    source = inbox(tmp_path, "{slug}/*.parquet", called)
    for number in range(3):
        put(tmp_path, f"one/part-{number}.parquet", first=12 * number)
    before = source.fingerprint(ONE)
    source.done(ONE, before[1:2])
    assert len(moved(tmp_path)) == 1
    assert source.fingerprint(ONE) == before
    assert rows(source) == [0, 1, 2, 12, 13, 14, 24, 25, 26]


def test_a_name_that_would_be_taken_for_a_later_arrival_is_refused(tmp_path):
    put(tmp_path, "one/a~2.parquet")
    with pytest.raises(InputInvalid, match="later arrival"):
        inbox(tmp_path, "{slug}/*.parquet").fingerprint(ONE)


def test_missing_input_names_what_waits(tmp_path):
    put(tmp_path, "two.parquet")
    with pytest.raises(InputMissing) as caught:
        inbox(tmp_path).fingerprint(ONE)
    assert "two" in caught.value.hint


def test_what_was_moved_to_another_file_system_is_known_and_read_by_what_was_recorded_of_it(tmp_path, elsewhere):
    put(tmp_path, "one.parquet")
    source = replace(inbox(tmp_path), processed=elsewhere)
    recorded = source.fingerprint(ONE)
    assert source.kept(recorded) == []
    publish(source)
    assert source.kept(recorded) == [elsewhere / "one.parquet"]
    assert [one.fingerprint() for one in source.fingerprint(ONE)] == [one.fingerprint() for one in recorded]
    (split,) = source.splits(recorded, 1)
    assert sum(batch.frame.height for batch in source.read(split, ["row"])) == 3


def test_a_move_to_another_file_system_that_died_before_it_took_the_original_leaves_one_copy(tmp_path, elsewhere):
    put(tmp_path, "one.parquet")
    source = replace(inbox(tmp_path), processed=elsewhere)
    recorded = source.fingerprint(ONE)
    shutil.copy2(tmp_path / "inbox" / "one.parquet", elsewhere)
    source.done(ONE, recorded)
    assert [path.name for path in elsewhere.iterdir()] == ["one.parquet"]
    assert source.partitions() == []


@pytest.mark.parametrize("processed", ["done", "."])
def test_only_what_was_moved_there_is_kept_in_the_processed_place(tmp_path, processed):
    waiting = put(tmp_path, "one.parquet")
    by_hand = put(tmp_path, "../done/by hand.parquet")
    source = replace(inbox(tmp_path), processed=tmp_path / processed)
    assert source.kept([source.inner.identify(path) for path in (waiting, by_hand)]) == []


def test_an_inbox_that_moved_its_files_travels(tmp_path):
    put(tmp_path, "one.parquet")
    source = inbox(tmp_path)
    publish(source)
    assert rows(pickle.loads(pickle.dumps(source))) == [0, 1, 2]


def test_only_what_was_moved_is_kept_and_not_what_was_given_by_its_path_in_the_processed_place(tmp_path):
    put(tmp_path, "one.parquet")
    source = inbox(tmp_path)
    files = source.fingerprint(ONE)
    source.done(ONE, files)
    moved_to = tmp_path / "done" / "one.parquet"
    assert source.kept(files) == [moved_to]
    assert source.kept([source.inner.identify(moved_to)]) == []
