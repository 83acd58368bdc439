"""`models trust` and `models inspect` with folders and URIs."""

import json

import pytest
from tests.unit.models.folders import RUN, mlflow_2_folder, own_folder


@pytest.fixture
def logged(job):
    """A model that MLflow 2 has logged, outside of the trusted folder."""
    return mlflow_2_folder(job.root / "downloads/model")


def test_an_untrusted_folder_is_inspected_without_loading_it(cli, job, logged):
    facts = cli.json("models", "inspect", logged, "--job", job.job)
    assert (facts["version"], facts["trusted"]) == (RUN, "no")
    assert facts["files"] == ["MLmodel", "model.pkl", "requirements.txt"]
    assert "scikit-learn 1.2.2" in facts["made with"]
    assert any(name.endswith("DictVectorizer") for name in facts["imports"])
    assert "kind" not in facts


def test_a_folder_is_trusted_by_its_digest_and_then_described(cli, job, logged):
    entry = cli.json("models", "trust", logged, "--job", job.job)
    facts = cli.json("models", "inspect", logged, "--job", job.job)
    assert entry["path"] == str(logged)
    assert facts["digest"] == entry["digest"]
    assert facts["trusted"].startswith("digest trusted by")
    assert facts["kind"] == "DictVectorizer + LinearRegression"


def test_a_changed_folder_is_not_trusted_any_more(cli, job, logged):
    cli("models", "trust", logged, "--job", job.job)
    (logged / "model.pkl").write_bytes((logged / "model.pkl").read_bytes() + b"\n")
    assert cli.json("models", "inspect", logged, "--job", job.job)["trusted"] == "no"


def test_a_skops_folder_needs_no_trust(cli, job):
    folder = own_folder(job.root / "downloads/own")
    facts = cli.json("models", "inspect", folder, "--job", job.job)
    assert (facts["trusted"], facts["unknown"]) == ("needs none", [])
    assert facts["kind"] == "DictVectorizer + LinearRegression"


def test_a_path_is_taken_from_where_the_user_stands(cli, job, logged):
    cli("models", "trust", "model", "--job", job.job, folder=logged.parent)
    entries = [json.loads(line) for line in (job.home / "trusted.jsonl").read_text().splitlines()]
    assert [entry["path"] for entry in entries] == [str(logged)]


@pytest.mark.parametrize("command", ["trust", "inspect"])
def test_what_is_not_there_is_told(cli, job, command):
    assert "there is no model at" in cli.refuses("models", command, "nowhere", "--job", job.job)
    assert "no MLflow store" in cli.refuses("models", command, "models:/rides@champion", "--job", job.job)
    assert "yet" in cli.refuses("models", command, "s3://bucket/model", "--job", job.job)
