import hashlib
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scoreline import Files, Job, number, prediction
from scoreline.api.simulating import simulate
from scoreline.errors import JobError, UsageError
from scoreline.simulation import lacking, seed_of
from scoreline.sources.parquet import ParquetSource


def made_up(partition, seed, rows):
    """As many rows as asked for, or three, which hold the seed."""
    return pa.table({"x": [float(seed)] * (3 if rows is None else rows)})


def job(folder, simulator=made_up, path="in/{slug}.parquet", **more):
    output, sinks = [prediction("y")], Files("{slug}.parquet", under=folder / "out")
    declared = {"name": "tried", "partition": "month", "model": "m.bin", "features": [number("x")]} | more
    return Job(source=Files(path, under=folder), output=output, sinks=sinks, simulate=simulator, **declared)


def made(folder, partitions="2021-02", **chosen):
    declared = {name: chosen.pop(name) for name in ("simulator", "path", "name") if name in chosen}
    return simulate(job(folder, **declared), partitions, home=folder / "home", **chosen)


def digests(folder):
    files = sorted(folder.rglob("*.parquet"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_each_partition_of_a_range_gets_its_file_where_the_job_reads_it(tmp_path):
    done = made(tmp_path, "2021-01..2021-03")
    wanted = [tmp_path / f"in/2021-0{month}.parquet" for month in (1, 2, 3)]
    assert [one.path for one in done] == wanted
    assert [pq.read_metadata(path).num_rows for path in wanted] == [3, 3, 3]
    assert [(one.partition.slug, one.rows) for one in done] == [("2021-01", 3), ("2021-02", 3), ("2021-03", 3)]


def test_a_repetition_elsewhere_makes_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        made(tmp_path / folder)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


@pytest.mark.parametrize(("name", "slug"), [("tried", "2021-03"), ("other", "2021-02")])
def test_another_partition_or_job_has_another_seed(tmp_path, name, slug):
    first, second = job(tmp_path), job(tmp_path, name=name)
    assert seed_of(first, first.grid.parse("2021-02")) != seed_of(second, second.grid.parse(slug))


def test_the_seed_of_a_partition_never_changes(tmp_path):
    assert seed_of(job(tmp_path), job(tmp_path).grid.parse("2021-02")) == 1_917_185_405_539_629_534


def test_rows_can_be_chosen(tmp_path):
    assert made(tmp_path, rows=7)[0].rows == 7
    assert pq.read_metadata(tmp_path / "in/2021-02.parquet").num_row_groups == 1


def test_an_empty_file_can_be_made(tmp_path):
    made(tmp_path, rows=0)
    assert pl.read_parquet(tmp_path / "in/2021-02.parquet").shape == (0, 1)


def test_a_file_that_is_there_may_be_real_data_so_nothing_at_all_is_made(tmp_path):
    made(tmp_path)
    before = digests(tmp_path)
    with pytest.raises(UsageError, match=r"2021-02\.parquet is there already") as caught:
        made(tmp_path, "2021-01..2021-03", rows=5)
    assert "--force" in caught.value.hint
    assert digests(tmp_path) == before


def test_with_force_it_is_replaced(tmp_path):
    made(tmp_path)
    made(tmp_path, rows=5, force=True)
    assert pq.read_metadata(tmp_path / "in/2021-02.parquet").num_rows == 5


@pytest.mark.parametrize(("metadata", "codec"), [({"compression": "gzip"}, "GZIP"), (None, "ZSTD")])
def test_a_table_may_name_its_compression_which_is_not_written(tmp_path, metadata, codec):
    def compressed(partition, seed, rows):
        return made_up(partition, seed, rows).replace_schema_metadata(metadata)

    made(tmp_path, simulator=compressed)
    found = pq.read_metadata(tmp_path / "in/2021-02.parquet")
    assert found.row_group(0).column(0).compression == codec
    assert b"compression" not in (found.metadata or {})


def test_a_simulator_that_fails_leaves_no_file_behind(tmp_path):
    def broken(partition, seed, rows):
        raise ValueError("no dice")

    with pytest.raises(JobError, match=r"the simulator of 'tried' failed for 2021-02: ValueError: no dice"):
        made(tmp_path, simulator=broken)
    assert list(tmp_path.rglob("*.*")) == []


def test_what_is_no_arrow_table_is_refused(tmp_path):
    with pytest.raises(JobError, match="gave a DataFrame, which is no Arrow table"):
        made(tmp_path, simulator=lambda *_: pl.DataFrame({"x": [1.0]}))


def test_a_job_without_a_simulator_says_what_to_declare(tmp_path):
    with pytest.raises(JobError, match="has no simulator") as caught:
        made(tmp_path, simulator=None)
    assert "simulate=" in caught.value.hint


def test_a_source_with_a_wildcard_names_no_file_to_make(tmp_path):
    with pytest.raises(UsageError, match=r"the path .* has a wildcard"):
        made(tmp_path, path="{slug}/*.parquet")


def test_each_file_is_told_as_it_is_made(tmp_path):
    heard = []
    assert made(tmp_path, "2021-01..2021-02", progress=heard.append) == heard


def test_a_simulator_may_import_what_lies_beside_its_job_when_it_is_called(tmp_path):
    (tmp_path / "dice.py").write_text("SIX = [6.0]\n")
    (tmp_path / "job.py").write_text(
        "import pyarrow as pa\nfrom scoreline import *\n"
        "def rolled(partition, seed, rows):\n    import dice\n    return pa.table({'x': dice.SIX})\n"
        "job = Job(name='dice', partition='month', model='m.bin', features=[number('x')], output=[prediction('y')],\n"
        "    source=Files('{slug}.parquet', under='in'), sinks=Files('{slug}.parquet', under='out'), simulate=rolled)\n"
    )
    (done,) = simulate(tmp_path / "job.py", "2021-02")
    assert (done.path, done.rows) == (Path(tmp_path / "in/2021-02.parquet"), 1)


def test_a_job_whose_simulator_and_fit_are_closures_still_travels_to_workers(tmp_path):
    import pickle

    whole = job(tmp_path, simulator=lambda *_: None, fit=lambda frame: frame)
    sent = pickle.loads(pickle.dumps(whole))
    assert (sent.simulate, sent.fit, sent.scoring_digest) == (None, None, whole.scoring_digest)
    assert whole.fit is not None


def learned(folder, **more):
    """A job whose input has no target, and which learns from files that do."""

    def both(partition, seed, rows):
        return made_up(partition, seed, rows).append_column("t", pa.array([1.0] * (3 if rows is None else rows)))

    training = Files("learned/{slug}.parquet", under=folder)
    return job(folder, both, target="t", fit=len, training=training, **more)


def test_input_does_not_hold_the_target_of_a_job_with_training_files(tmp_path):
    (done,) = simulate(learned(tmp_path), "2021-02", home=tmp_path / "home")
    assert done.path == tmp_path / "in/2021-02.parquet"
    assert pl.read_parquet(done.path).columns == ["x"]


def test_its_training_files_hold_the_same_rows_with_it(tmp_path):
    (read,) = simulate(learned(tmp_path), "2021-02", home=tmp_path / "home")
    (done,) = simulate(learned(tmp_path), "2021-02", training=True, home=tmp_path / "home")
    assert done.path == tmp_path / "learned/2021-02.parquet"
    assert pl.read_parquet(done.path).columns == ["x", "t"]
    assert pl.read_parquet(done.path).drop("t").equals(pl.read_parquet(read.path))


def test_input_of_a_job_without_training_files_holds_all_that_its_simulator_makes(tmp_path):
    simulate(job(tmp_path, target="x", fit=len), "2021-02", home=tmp_path / "home")
    assert pl.read_parquet(tmp_path / "in/2021-02.parquet").columns == ["x"]


def test_a_job_without_training_files_has_none_to_make(tmp_path):
    with pytest.raises(UsageError, match="learns from its input") as caught:
        made(tmp_path, training=True)
    assert "leave --training out" in caught.value.hint


def test_what_has_input_lacks_none_even_if_it_is_damaged(tmp_path):
    made(tmp_path, "2021-01..2021-03")
    (tmp_path / "in/2021-02.parquet").write_bytes(b"PAR1")
    (tmp_path / "in/2021-03.parquet").unlink()
    declared = job(tmp_path)
    source = ParquetSource(tmp_path, declared.source.template, declared.grid)
    assert [one.slug for one in lacking(source, declared.grid.range("2021-01..2021-03"))] == ["2021-03"]
