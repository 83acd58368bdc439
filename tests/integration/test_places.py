"""Where a job reads and where it publishes: only its partition's own files, and never what it has published itself."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from tests.integration.tiny import Tiny

from scoreline import Files, passthrough, prediction
from scoreline.errors import JobError


@pytest.fixture
def tiny(tmp_path):
    return Tiny(tmp_path)


def read_from(tiny, path, grid="month", under="input"):
    """The job over other input files; what it publishes tells from which ones."""
    output = [passthrough("left", pl.Int64), prediction("total")]
    return tiny.job(partition=grid, source=Files(path, under=tiny.root / under), output=output, filters=())


def put(tiny, path, left):
    file = tiny.root / "input" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame({"left": left, "right": [0.0] * len(left)}).write_parquet(file)


# --- wildcards ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "grid"),
    [
        ("{yyyy}-{m}*.parquet", "month"),
        ("{yyyy}/*{m}.parquet", "month"),
        ("{yyyy}-{mm}-{d}*.parquet", "day"),
        ("{yyyy}-{mm}-{dd}T{h}?.parquet", "2h"),
        ("{slug}*.parquet", "named"),
        ("part-*{slug}.parquet", "named"),
        ("*_{slug}.parquet", "named"),
        ("{slug}-?.parquet", "named"),
    ],
)
def test_a_wildcard_that_finds_other_partitions_files_is_refused_and_nothing_is_read(tiny, path, grid):
    slug = {"month": "2021-01", "day": "2021-01-01", "2h": "2021-01-01T00Z-2h", "named": "one"}[grid]
    with pytest.raises(JobError, match="would take other partitions' files"):
        tiny.run(read_from(tiny, path, grid), slug)
    assert not tiny.target(partition=slug).exists()


def test_a_wildcard_behind_a_padded_month_reads_that_month_s_files_only(tiny):
    for path, left in (("2021-01-a", [1, 2]), ("2021-01-b", [3]), ("2021-02-a", [4]), ("2021-11-a", [5])):
        put(tiny, f"{path}.parquet", left)
    job = read_from(tiny, "{yyyy}-{mm}*.parquet")
    tiny.run(job, "2021-01")
    assert tiny.read(job, "2021-01")["left"].to_list() == [1, 2, 3]


def test_a_wildcard_in_the_folder_of_a_batch_reads_that_batch_only(tiny):
    for path, left in (("one/a", [1, 2]), ("one/b", [3]), ("one-more/a", [4]), ("one/below/a", [5])):
        put(tiny, f"{path}.parquet", left)
    job = read_from(tiny, "{slug}/*.parquet", "named")
    tiny.run(job)
    assert tiny.read(job)["left"].to_list() == [1, 2, 3]


# --- output inside the input ----------------------------------------------------------------------------------------


def lake(tiny, source, sink):
    """A job that reads any file one folder down, and publishes there too."""
    return tiny.job(
        source=Files("*/{slug}.parquet", under=source), sinks=Files("{slug}.parquet", under=sink), filters=()
    )


def spellings(tiny):
    """(source, sink): one place, spelt in several ways."""
    folder = tiny.root / "lake"
    link = tiny.root / "link"
    link.symlink_to(folder)
    return {
        "the same": (folder, folder / "predictions"),
        "with a detour": (folder, tiny.root / "lake" / ".." / "lake" / "predictions"),
        "through a link": (folder, link / "predictions"),
        "relative source": (Path("lake"), folder / "predictions"),
        "relative sink": (folder, Path("lake/predictions")),
    }


@pytest.mark.parametrize(
    "spelling", ["the same", "with a detour", "through a link", "relative source", "relative sink"]
)
def test_a_source_that_would_read_what_the_job_publishes_is_refused_however_it_is_spelt(tiny, spelling, monkeypatch):
    put(tiny, "../lake/raw/one.parquet", [1, 2])
    monkeypatch.chdir(tiny.root)
    job = lake(tiny, *spellings(tiny)[spelling])
    with pytest.raises(JobError, match="would read what goes to"):
        tiny.run(job)
    assert not (tiny.root / "lake" / "predictions").exists()


def test_a_job_file_whose_output_lies_in_its_lake_is_refused(tiny):
    put(tiny, "../lake/raw/one.parquet", [1, 2])
    tiny.file.write_text(
        "from dataclasses import replace\n"
        "from pathlib import Path\n"
        "from scoreline import Files\n"
        "from scoreline.testing.builders import tiny_job\n"
        "here = Path(__file__).parent\n"
        "job = replace(tiny_job(here), source=Files('*/{slug}.parquet', under='lake'),\n"
        "              sinks=Files('{slug}.parquet', under=here / 'lake' / 'predictions'))\n"
    )
    with pytest.raises(JobError, match="would read what goes to"):
        tiny.run(tiny.file)
    assert not (tiny.root / "lake" / "predictions").exists()


def test_output_beside_what_a_wildcard_reads_is_fine(tiny):
    put(tiny, "../lake/raw/one.parquet", [1, 2])
    job = lake(tiny, tiny.root / "lake", tiny.root / "lake" / "out" / "predictions")
    for _ in range(2):
        assert tiny.run(job, force=True).counts.rows_in == 2


def test_two_months_of_one_lake_with_output_in_another_folder_are_read_alone(tiny):
    job = replace(read_from(tiny, "*/{yyyy}-{mm}.parquet"), sinks=Files("{slug}.parquet", under=tiny.root / "output"))
    put(tiny, "raw/2021-01.parquet", [1])
    put(tiny, "raw/2021-02.parquet", [2])
    for slug, left in (("2021-01", [1]), ("2021-02", [2])):
        tiny.run(job, slug)
        assert tiny.read(job, slug)["left"].to_list() == left
