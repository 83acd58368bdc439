"""A refused run leaves what is published alone, and can be published as it is: once, while nothing is newer."""

import re
import shutil
import signal

import polars as pl
import pytest
from tests.acceptance.job_folder import MONTH
from tests.acceptance.shell import pasted
from tests.months import make_month

from scoreline.crashpoints import POINTS

BAD = 1_000
"""Rows of 3,000 that no contract lets pass: far beyond the budget of 10 percent."""
PUBLISHING = [point for point in POINTS if point.startswith("publish.")]
VISIBLE = POINTS.index("publish.renamed")
KILLED_BEFORE_REFUSED = POINTS[: POINTS.index("prepare.refused")]


@pytest.fixture
def refused(cli, published):
    """The small month, published with model `a`, and refused with model `b` after bad rows were added to it."""
    published.append(BAD, trip_distance=-1.0)
    published.said = cli.refuses(*published.run("b"), code=3)
    published.run_id = published.rows("run_id")[-1][0]
    return published


def release(job):
    return ["release", job.run_id, "--job", job.job]


def seen(job):
    """What a reader would notice if it changed."""
    there = job.output.stat()
    return there.st_ino, there.st_mtime_ns, there.st_size


# --- refused ---------------------------------------------------------------------------------------------------------


def test_a_refused_run_keeps_the_old_generation_and_tells_all_that_is_needed(refused, digests):
    assert refused.digest() == digests["a"]
    assert refused.states() == ["published", "refused"]
    assert refused.holder() is None
    (file,) = refused.quarantined()
    assert (
        f"{BAD:,} of 3,000 rows (33.3 %) are quarantined; without gates of its own a job may lose 10 %" in refused.said
    )
    assert f"The rows and their reasons: {file}" in refused.said
    assert refused.said.rstrip().endswith(f"scoreline release {refused.run_id} --job {refused.job}")


def test_the_rejected_rows_of_a_refused_run_can_be_seen(cli, refused):
    (file,) = refused.quarantined()
    rows = pl.read_parquet(file)
    assert rows["scoreline.row"].to_list() == list(range(2_000, 3_000))
    assert set(rows["scoreline.reasons"].list.join(",")) == {"trip_distance:below 0"}
    assert set(rows["trip_distance"]) == {-1.0}
    (listed,) = cli.json("quarantine", "list", refused.job)
    assert (listed["state"], listed["run_id"], listed["rows"]) == ("refused", refused.run_id, BAD)


def test_a_refusal_as_json(cli, refused):
    process = cli(*refused.run("b", "--json"), code=3)
    assert '"exit_code": 3' in process.stdout
    assert '"type": "Refused"' in process.stdout


def test_a_refused_month_is_refused_again_until_something_changes(cli, refused, digests):
    cli.refuses(*refused.run("b"), code=3)
    assert refused.states() == ["published", "refused", "refused"]
    assert refused.digest() == digests["a"]


# --- released --------------------------------------------------------------------------------------------------------


def test_a_release_is_told_in_the_log_file(cli, refused, tmp_path):
    cli(*release(refused), environment={"SCORELINE_LOGS_DIR": str(tmp_path / "logs")})
    (log,) = (tmp_path / "logs").glob("*.log")
    told = [line.partition(f" {MONTH} {refused.run_id} ")[2] for line in log.read_text().splitlines()]
    assert [line.partition(":")[0] for line in told] == ["published", "ended"]


def test_a_release_publishes_what_was_scored_and_tidies_up(cli, refused, digests):
    report = cli.json(*release(refused))
    assert (report["state"], report["run_id"]) == ("published", refused.run_id)
    assert report["counts"]["quarantined"] == BAD
    assert refused.digest() == digests["b"]
    assert refused.provenance().run_id == refused.run_id
    assert refused.states() == ["published", "published"]
    assert refused.litter() == []
    assert refused.holder() is None
    assert cli.json(*refused.run("b"))["state"] == "current"


@pytest.mark.parametrize("place", ["beside", "elsewhere"])
def test_the_printed_command_works_when_pasted_anywhere(refused, digests, tmp_path, place):
    folder = refused.root if place == "beside" else tmp_path / "else where"
    folder.mkdir(exist_ok=True)
    done = pasted(re.search(r"scoreline release .*", refused.said)[0], folder)
    assert done.returncode == 0, done.stderr
    assert refused.digest() == digests["b"]


def test_a_job_file_in_a_folder_with_spaces_is_quoted(cli, job, tmp_path):
    job.append(BAD, trip_distance=-1.0)
    moved = tmp_path / "my $jobs' folder"
    shutil.copytree(job.root, moved)
    told = cli.refuses("run", moved / "job.py", MONTH, "--model", moved / "models/a.bin", code=3)
    done = pasted(re.search(r"scoreline release .*", told)[0], tmp_path)
    assert done.returncode == 0, done.stderr
    assert (moved / "predictions/green/2-2021.parquet").exists()


def test_parameters_relative_to_where_the_user_stood_are_known_to_the_release(cli, job, tmp_path):
    job.append(BAD, trip_distance=-1.0)
    stood, other = tmp_path / "stood", tmp_path / "other"
    stood.mkdir()
    other.mkdir()
    shutil.copytree(job.input.parent, stood / "trips")
    words = ["--set", "data=trips", "--set", "output=out", "--set", "path={taxi_type}-{slug}.parquet"]
    told = cli.refuses(*job.run("a", *words), code=3, folder=stood)
    shutil.rmtree(job.input.parent)
    done = pasted(re.search(r"scoreline release .*", told)[0], other)
    assert done.returncode == 0, done.stderr
    assert str(stood / "out" / f"green-{MONTH}.parquet") in done.stdout
    assert [path.name for path in (stood / "out").iterdir()] == [f"green-{MONTH}.parquet"]
    assert list(other.iterdir()) == []
    assert cli.json("status", job.job)[0]["state"] == "published"


def test_identity_parameters_are_known_to_the_release(cli, published, digests):
    make_month(published.input.parent, 2021, 2, 2_000, "yellow")
    green, published.input = published.input, published.input.with_name(f"yellow_tripdata_{MONTH}.parquet")
    published.append(BAD, trip_distance=-1.0)
    told = cli.refuses(*published.run("b", "--set", "taxi_type=yellow"), code=3)
    done = pasted(re.search(r"scoreline release .*", told)[0], published.root.parent)
    assert done.returncode == 0, done.stderr
    assert "nyc_green[taxi_type=yellow]" in done.stdout
    yellow = pl.read_parquet(published.root / "predictions/yellow/2-2021.parquet")
    assert "tpep_pickup_datetime" in yellow.columns
    assert green.exists()
    assert published.digest() == digests["a"]


def test_the_ledger_of_the_home_knows_the_job_where_none_is_named(cli, refused, digests):
    cli("release", refused.run_id, environment={"SCORELINE_HOME": str(refused.home)})
    assert refused.digest() == digests["b"]


def test_a_release_needs_neither_input_nor_model_any_more(cli, refused, digests):
    refused.input.unlink()
    refused.model("b").unlink()
    cli(*release(refused))
    assert refused.digest() == digests["b"]


# --- not released ----------------------------------------------------------------------------------------------------


def test_a_release_happens_once(cli, refused):
    cli(*release(refused))
    before = seen(refused)
    told = cli.refuses(*release(refused), hint=False)
    assert f"run {refused.run_id} is published; only refused runs can be released" in told
    assert seen(refused) == before


def test_nothing_is_released_over_newer_content(cli, refused, digests):
    sound = pl.read_parquet(refused.input).head(2_000)
    sound.write_parquet(refused.input)
    cli(*refused.run("a", "--force"))
    before, newer = seen(refused), refused.rows("run_id")[-1][0]
    told = cli.refuses(*release(refused))
    assert f"the slot has moved on: run {newer} was published after run {refused.run_id} was refused" in told
    assert seen(refused) == before
    assert refused.digest() == digests["a"]
    assert refused.states() == ["published", "refused", "published"]
    assert refused.litter() == []


@pytest.mark.parametrize("run", ["20210101T000000-00000000", "", "'; DROP TABLE runs"])
def test_a_run_that_nobody_knows(cli, refused, run, digests):
    assert "knows no run" in cli.refuses("release", run, "--job", refused.job)
    assert refused.digest() == digests["a"]


def test_a_published_run_is_no_refused_one(cli, published):
    published.run_id = published.rows("run_id")[0][0]
    assert "only refused runs can be released" in cli.refuses(*release(published), hint=False)


def test_a_release_without_job_and_home_is_a_wrong_call(cli, refused):
    assert "name the job with --job" in cli("release", refused.run_id, code=2).stderr


def test_a_run_of_another_set_of_parameters_or_another_job_is_not_released(cli, refused, digests, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(refused.root, other, ignore=shutil.ignore_patterns(".scoreline", "predictions"))
    assert "knows no run" in cli.refuses("release", refused.run_id, "--job", other / "job.py")
    assert refused.digest() == digests["a"]


def test_a_release_waits_for_nobody_who_holds_the_partition(cli, forks, refused, digests, tmp_path):
    go, mark = tmp_path / "go", tmp_path / "mark"
    pause = {"action": "pause", "mark": str(mark), "go": str(go)}
    running = forks.start(*refused.run("b"), points={"plan.written": pause})
    running.until(mark.exists)
    told = cli.refuses(*release(refused), code=75)
    assert "is busy" in told
    assert f"process {running.pid} on " in told
    assert refused.digest() == digests["a"]
    go.touch()
    assert running.wait() == 3
    assert refused.digest() == digests["a"]


# --- what other runs leave to be released ----------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["a", "b"], ids=["other-work", "same-work"])
@pytest.mark.parametrize("point", KILLED_BEFORE_REFUSED)
def test_a_run_that_is_killed_later_destroys_nothing_that_can_be_released(cli, forks, refused, digests, point, model):
    killed = forks.run(*refused.run(model, "--force"), points={point: {"action": "kill"}})
    assert killed.code == -signal.SIGKILL
    cli(*release(refused))
    assert refused.digest() == digests["b"]
    assert refused.provenance().run_id == refused.run_id
    assert refused.litter() == []
    assert refused.states() == ["published", "published", "abandoned"]


@pytest.mark.parametrize("model", ["a", "b"], ids=["other-work", "same-work"])
@pytest.mark.parametrize("point", KILLED_BEFORE_REFUSED)
def test_a_run_that_is_cancelled_later_destroys_nothing_that_can_be_released(
    cli, forks, refused, digests, tmp_path, point, model
):
    pause = {"action": "pause", "mark": str(tmp_path / "mark"), "go": str(tmp_path / "never")}
    process = forks.start(*refused.run(model, "--force"), points={point: pause})
    process.until((tmp_path / "mark").exists)
    process.send(signal.SIGTERM)
    assert process.wait() == 75
    cli(*release(refused))
    assert refused.digest() == digests["b"]
    assert refused.litter() == []


@pytest.mark.parametrize("fault", ["damaged", "gone", "another type"])
def test_a_run_that_fails_later_destroys_nothing_that_can_be_released(cli, refused, digests, fault):
    if fault == "damaged":
        refused.input.write_bytes(b"no Parquet")
    elif fault == "gone":
        refused.input.unlink()
    else:
        month = pl.read_parquet(refused.input)
        month.with_columns(trip_distance=pl.lit("far")).write_parquet(refused.input)
    cli.refuses(*refused.run("b"), code=75 if fault == "gone" else 1)
    cli(*release(refused))
    assert refused.digest() == digests["b"]


def test_the_newest_of_several_refused_runs_is_released(cli, refused, digests):
    first = refused.run_id
    refused.append(1, trip_distance=-2.0)
    cli.refuses(*refused.run("a"), code=3)
    newest = refused.rows("run_id")[-1][0]
    older = cli.refuses("release", first, "--job", refused.job)
    assert f"run {newest} was refused after run {first}" in older
    cli("release", newest, "--job", refused.job)
    assert refused.digest() == digests["a"]
    assert refused.provenance().run_id == newest
    assert "the slot has moved on" in cli.refuses("release", first, "--job", refused.job)
    assert refused.litter() == []


# --- kills -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["prepare.quarantined", "prepare.joined", "prepare.synced", "prepare.refused"])
def test_a_kill_before_a_run_is_refused_leaves_the_old_and_the_next_command_refuses_it(
    cli, forks, published, digests, point
):
    published.append(BAD, trip_distance=-1.0)
    killed = forks.run(*published.run("b"), points={point: {"action": "kill"}})
    assert killed.code == -signal.SIGKILL
    assert published.digest() == digests["a"]
    assert [pl.read_parquet(file).height for file in published.quarantined()] == [BAD]

    cli.refuses(*published.run("b"), code=3)
    assert published.states() == ["published", "abandoned", "refused"]
    assert published.digest() == digests["a"]
    published.run_id = published.rows("run_id")[-1][0]
    cli(*release(published))
    assert published.digest() == digests["b"]
    assert published.litter() == []


@pytest.mark.parametrize("then", ["run", "release"])
@pytest.mark.parametrize("point", PUBLISHING)
def test_a_kill_in_a_release_leaves_the_old_or_the_new_and_the_next_command_mends_it(
    cli, forks, refused, digests, point, then
):
    killed = forks.run(*release(refused), points={point: {"action": "kill"}})
    assert killed.code == -signal.SIGKILL
    assert refused.digest() == digests["b" if POINTS.index(point) >= VISIBLE else "a"]

    done = point == "publish.recorded"
    if then == "run":
        cli(*refused.run("b"))
    else:
        cli(*release(refused), code=1 if done else 0)
    assert refused.digest() == digests["b"]
    assert refused.states() == ["published", "published"]
    assert refused.litter() == []
    assert refused.holder() is None


# --- a slot for each model -------------------------------------------------------------------------------------------


def test_where_each_model_has_its_slot_publishing_one_leaves_the_refusal_of_another_alone(cli, job, digests):
    by_model = ["--set", "path={taxi_type}/{m}-{yyyy}-{model_version}.parquet"]
    sound = job.input.read_bytes()
    job.append(BAD, trip_distance=-1.0)
    cli.refuses(*job.run("b", *by_model), code=3)
    job.run_id = job.rows("run_id")[-1][0]
    job.input.write_bytes(sound)
    first = cli.json(*job.run("a", *by_model))["outputs"][0]["path"]
    second = cli.json(*release(job))["outputs"][0]["path"]
    assert first != second
    for path, model in ((first, "a"), (second, "b")):
        shutil.copy(path, job.output)
        assert job.digest() == digests[model]
        job.output.unlink()
    assert job.states() == ["published", "published"]
    assert job.litter() == []
