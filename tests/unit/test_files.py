import pickle

import pytest

from scoreline import Csv, Files
from scoreline.errors import UsageError


@pytest.mark.parametrize("path", ["{slug}.parquet", "{slug}.PARQUET", "a.b/{slug}.parquet"])
def test_the_suffix_tells_the_format(path):
    assert Files(path).format == "parquet"


@pytest.mark.parametrize(
    ("path", "format_", "compressed"),
    [
        ("{slug}.csv", "csv", False),
        ("{slug}.csv.gz", "csv", True),
        ("{slug}.jsonl", "jsonl", False),
        ("{slug}.ndjson.gz", "jsonl", True),
    ],
)
def test_text_formats_may_be_compressed(path, format_, compressed):
    files = Files(path)
    assert (files.format, files.is_compressed) == (format_, compressed)


def test_parquet_compresses_itself():
    with pytest.raises(UsageError, match="gz"):
        Files("{slug}.parquet.gz")


def test_how_csv_is_written_is_part_of_what_decides_the_values():
    one, other = (Files("{slug}.csv", csv=Csv(separator=mark)).declaration() for mark in ",;")
    assert one != other


@pytest.mark.parametrize(
    "options",
    [
        {"separator": "::"},
        {"separator": "\n"},
        {"separator": "§"},
        {"header": False},
        {"encoding": "utf-9"},
        {"encoding": "base64"},
    ],
)
def test_csv_that_nobody_could_read_is_refused(options):
    with pytest.raises(UsageError) as caught:
        Csv(**options)
    assert caught.value.hint


def test_a_declared_format_needs_no_suffix():
    assert Files("{slug}", format="parquet").format == "parquet"


@pytest.mark.parametrize(("path", "form"), [("{slug}", ""), ("{slug}.xlsx", ""), ("{slug}.parquet", "orc")])
def test_an_unknown_format_is_refused_with_those_that_are_known(path, form):
    with pytest.raises(UsageError, match="format") as caught:
        Files(path, format=form)
    assert "parquet" in caught.value.hint


def test_an_unknown_layout_is_refused():
    with pytest.raises(UsageError, match="layout"):
        Files("{slug}.parquet", layout="heap")


def test_an_unusable_template_is_refused_where_it_is_declared():
    with pytest.raises(UsageError):
        Files("../{slug}.parquet")


def test_a_folder_that_moves_does_not_change_what_is_declared():
    assert Files("{slug}.parquet", under="a").declaration() == Files("{slug}.parquet", under="b").declaration()


def test_another_path_is_another_declaration():
    assert Files("{slug}.parquet").declaration() != Files("{yyyy}-{mm}.parquet").declaration()


def test_files_are_values():
    files = Files("{slug}.parquet", under="a")
    assert files == Files("{slug}.parquet", under="a") != Files("{slug}.parquet", under="b")
    assert pickle.loads(pickle.dumps(files)) == files
    assert len({files, Files("{slug}.parquet", under="a")}) == 1


@pytest.mark.parametrize(
    ("processed", "place"),
    [
        ("done", ("done", "{name}")),
        ("/far/done", ("/far/done", "{name}")),
        ("data/processed/processed_{slug}_{name}", ("data/processed", "processed_{slug}_{name}")),
        ("data/{slug}/{name}", ("data", "{slug}/{name}")),
        ("/far/{slug}-{name}", ("/far", "{slug}-{name}")),
        ("{slug}-{name}", (".", "{slug}-{name}")),
    ],
)
def test_a_processed_place_is_a_folder_or_a_name_in_one(processed, place):
    files = Files("{slug}.parquet", processed=processed)
    assert files.is_inbox
    assert files.processed_place == place


@pytest.mark.parametrize("processed", ["done/{slug}", "{name}/{slug}", "done/{name}{name}", "done/{slug}_*_{name}"])
def test_a_processed_place_has_to_say_how_a_file_is_called_there(processed):
    with pytest.raises(UsageError, match="processed place"):
        Files("{slug}.parquet", processed=processed)


def test_files_of_several_folders_are_not_told_apart_by_their_names_alone():
    with pytest.raises(UsageError, match="several folders"):
        Files("{slug}/*/x.parquet", processed="done/{slug}_{name}")
    assert Files("{slug}/*/x.parquet", processed="done").is_inbox


@pytest.mark.parametrize("settle", [-1, float("inf"), float("nan")])
def test_settle_is_a_number_of_seconds(settle):
    with pytest.raises(UsageError, match="settle"):
        Files("{slug}.parquet", settle=settle)


def test_where_files_go_afterwards_does_not_decide_what_is_scored():
    assert Files("{slug}.parquet", processed="done").declaration() == Files("{slug}.parquet").declaration()
