"""Files that change while a run reads them: nothing wrong is published, and the next command takes the new ones."""

import os
import shutil

import pytest
from tests.acceptance.job_folder import write_month

from scoreline.errors import InputChanged
from scoreline.formats.parquet_join import footer_digest
from scoreline.partition import Grid
from scoreline.sources.parquet import ParquetSource
from scoreline.splits import Split, Unit
from scoreline.template import Template


def replaced(path, new):
    """As a tool does that downloads beside the file and renames."""
    beside = path.with_name(".beside")
    shutil.copy(new, beside)
    beside.replace(path)


def rewritten(path, new):
    """As a tool does that writes into the file itself."""
    path.write_bytes(new.read_bytes())


def appended(path, new):
    """As a tool does that has not finished."""
    with path.open("ab") as handle:
        handle.write(new.read_bytes()[:1000])


def truncated(path, new):
    """As a tool does that begins anew, and has not finished."""
    os.truncate(path, path.stat().st_size // 2)


CHANGES = [replaced, rewritten, appended, truncated]


@pytest.fixture
def other_month(tmp_path):
    return write_month(tmp_path / "other", 3_000, 3_000)


@pytest.fixture
def paused(forks, tmp_path):
    """Starts a run that pauses at a crash point; the process, and what lets it go on."""
    mark, go = tmp_path / "mark", tmp_path / "go"

    def start(job, point, *more, model="b"):
        pause = {"action": "pause", "nth": 1, "mark": str(mark), "go": str(go)}
        process = forks.start(*job.run(model, *more), points={point: pause})
        process.until(mark.exists)
        return process, go.touch

    return start


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("point", ["open.claimed", "plan.written"])
def test_an_input_that_changes_before_it_is_read_stops_the_run(
    forks, published, digests, paused, other_month, point, change
):
    process, go_on = paused(published, point)
    change(published.input, other_month)
    go_on()
    require_stopped(process, published, digests["a"])

    replaced(published.input, other_month)
    require_new_input(forks, published, 3_000)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_an_input_that_changes_between_two_splits_stops_the_run(forks, large_job, paused, other_month, change):
    process, go_on = paused(large_job, "split.part_written", "--workers", "1")
    change(large_job.input, other_month)
    go_on()
    require_stopped(process, large_job, None)

    replaced(large_job.input, other_month)
    require_new_input(forks, large_job, 3_000)


def test_an_input_that_is_gone_before_it_is_read_stops_the_run(forks, published, digests, paused, other_month):
    process, go_on = paused(published, "plan.written")
    published.input.unlink()
    go_on()
    assert process.wait() == 75, process.stderr
    assert "the input file" in process.stderr
    assert published.digest() == digests["a"]
    assert published.litter() == []

    replaced(published.input, other_month)
    require_new_input(forks, published, 3_000)


@pytest.mark.parametrize("change", [rewritten, appended, truncated], ids=lambda change: change.__name__)
def test_an_input_that_changes_within_a_split_is_not_called_damaged(tmp_path, other_month, change):
    path = write_month(tmp_path / "data", 3_000, 1_000)
    source = ParquetSource(path.parent, Template(path.name), Grid("month", "UTC"))
    (file,) = source.fingerprint(source.grid.parse("2021-02"))
    units = tuple(Unit((group, group + 1), 0, 1_000, 1_000 * group) for group in range(3))
    batches = source.read(Split(0, file, 0, units), ["trip_distance"])
    next(batches)
    change(path, other_month)
    with pytest.raises(InputChanged):
        list(batches)


def test_an_input_that_changes_after_it_was_read_makes_the_partition_due_again(
    forks, published, digests, paused, other_month
):
    process, go_on = paused(published, "prepare.joined")
    replaced(published.input, other_month)
    go_on()
    assert process.wait() == 0, process.stderr
    assert published.digest() == digests["b"]
    assert ": published (input changed" in require_new_input(forks, published, 3_000).stdout


def test_a_model_file_that_is_replaced_after_it_was_pinned_changes_nothing(forks, published, digests, paused):
    process, go_on = paused(published, "plan.written", model="b")
    kept = {folder.name for folder in (published.home / "models").iterdir()}
    (pinned,) = kept - {published.provenance().model_digest}
    shutil.copy(published.model("a"), published.model("b"))
    go_on()
    assert process.wait() == 0, process.stderr
    assert published.digest() == digests["b"]
    assert published.provenance().model_digest == pinned

    again = forks.run(*published.run("b"))
    assert ": published (model changed" in again.stdout
    assert published.digest() == digests["a"]


def test_a_model_file_that_is_replaced_before_it_was_pinned_stops_the_run(forks, published, digests, paused):
    process, go_on = paused(published, "open.claimed", model="b")
    shutil.copy(published.model("gate"), published.model("b"))
    go_on()
    assert process.wait() == 75, process.stderr
    assert "changed while it was being copied" in process.stderr
    assert published.digest() == digests["a"]
    assert published.litter() == []
    assert forks.run(*published.run("b")).code == 0


def require_stopped(process, job, digest):
    assert process.wait() == 75, process.stderr
    assert f"{job.input} changed while its partition was being scored" in process.stderr
    assert (job.digest() if job.output.exists() else None) == digest
    assert job.states()[-1] == "failed"
    assert job.holder() is None
    assert job.litter() == []


def require_new_input(forks, job, rows):
    ran = forks.run(*job.run("b"))
    assert ran.code == 0, ran.stderr
    assert f"{rows:,} in = " in ran.stdout
    assert job.litter() == []
    with job.input.open("rb") as handle:
        assert job.rows("facts")[-1][0].count(footer_digest(handle)) == 1
    return ran
