"""Which code made a prediction, in real repositories."""

import platform
import subprocess
from importlib.metadata import version

import pytest

from scoreline.codebase import facts
from scoreline.durable import sha256_of


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """(job file, its commit) in a folder of a repository."""
    folder = tmp_path / "repository" / "jobs"
    folder.mkdir(parents=True)
    job = folder / "job.py"
    job.write_text("job = 1\n")
    git(tmp_path / "repository", "init", "-q")
    git(tmp_path / "repository", "add", ".")
    git(tmp_path / "repository", "commit", "-q", "-m", "first")
    return job, git(tmp_path / "repository", "rev-parse", "HEAD")


def test_versions_are_those_that_run():
    found = facts(None)
    assert (found["scoreline"], found["polars"]) == (version("scoreline"), version("polars"))
    assert found["python"] == platform.python_version()


def test_without_a_job_file_its_facts_cannot_be_told():
    found = facts(None)
    assert (found["job_file"], found["job_sha256"], found["git"]) == (None, None, None)


def test_a_job_file_is_named_and_hashed(tmp_path):
    job = tmp_path / "job.py"
    job.write_text("job = 1\n")
    found = facts(job)
    assert (found["job_file"], found["job_sha256"], found["git"]) == (str(job), sha256_of(job), None)


def test_a_job_file_that_is_gone_has_no_hash(tmp_path):
    assert facts(tmp_path / "job.py")["job_sha256"] is None


def test_the_commit_is_told_for_a_job_in_a_folder_of_a_repository(repository):
    job, commit = repository
    assert facts(job)["git"] == commit


def test_a_changed_job_is_told_from_its_commit(repository):
    job, commit = repository
    job.write_text("job = 2\n")
    assert facts(job)["git"] == f"{commit}+changes"


def test_a_change_that_is_only_staged_is_one_too(repository):
    job, commit = repository
    job.write_text("job = 2\n")
    git(job.parent, "add", "job.py")
    assert facts(job)["git"] == f"{commit}+changes"


def test_a_changed_neighbour_is_a_change_and_what_lies_elsewhere_is_none(repository):
    job, commit = repository
    neighbour, elsewhere = job.with_name("features.py"), job.parents[1] / "notes.txt"
    for path in (neighbour, elsewhere):
        path.write_text("1")
    git(job.parents[1], "add", ".")
    git(job.parents[1], "commit", "-q", "-m", "second")
    second = facts(job)["git"]
    assert second not in {commit, f"{commit}+changes"}
    elsewhere.write_text("2")
    assert facts(job)["git"] == second
    neighbour.write_text("2")
    assert facts(job)["git"] == f"{second}+changes"


def test_files_that_nobody_tracks_are_no_change(repository):
    job, commit = repository
    job.with_name("output.parquet").write_text("1")
    assert facts(job)["git"] == commit


def test_a_repository_without_a_commit_tells_nothing(tmp_path):
    job = tmp_path / "job.py"
    job.write_text("job = 1\n")
    git(tmp_path, "init", "-q")
    assert facts(job)["git"] is None


def test_without_git_the_commit_cannot_be_told(repository, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    found = facts(repository[0])
    assert found["git"] is None
    assert found["job_sha256"] == sha256_of(repository[0])


def test_a_damaged_repository_tells_nothing(repository):
    job, _ = repository
    (job.parents[1] / ".git" / "HEAD").write_text("nonsense")
    assert facts(job)["git"] is None


def test_facts_are_json(repository):
    assert all(value is None or isinstance(value, str) for value in facts(repository[0]).values())
