"""Models that arrive as files: replaced ones count at the next run, pairs are read by structure, others need a word."""

import os
import pickle
import shutil

import polars as pl
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction import DictVectorizer
from tests.acceptance.job_folder import MONTH


def older(content, version=b"1.0.2"):
    """The pickle as scikit-learn 1.0.2 would have signed it: its name is as long as 1.9.1's."""
    assert b"1.9.1" in content
    return content.replace(b"1.9.1", version)


def replaced(job, name, by):
    """Puts another file under a model's name, as an upload does: whole, and in one step."""
    shutil.copy(job.model(by), job.root / "models/incoming")
    (job.root / "models/incoming").rename(job.model(name))


def test_a_replaced_model_takes_effect_at_the_next_run(cli, job, digests):
    cli(*job.run())
    assert job.digest() == digests["a"]
    replaced(job, "a", "b")
    cli(*job.run(), "--stale")
    assert job.digest() == digests["b"]


def test_a_replaced_model_does_not_make_what_is_published_due_by_itself(cli, job, digests):
    cli(*job.run())
    replaced(job, "a", "b")
    cli("backfill", job.job, f"{MONTH}..{MONTH}", "--model", job.model("a"))
    assert job.digest() == digests["a"]


def predicted(job):
    with job.output.open("rb") as handle:
        return pl.read_parquet(handle)["predicted_duration"]


def test_a_pair_of_an_older_scikit_learn_is_read_by_structure_with_a_warning(cli, job):
    cli(*job.run())
    before = predicted(job)
    job.model("a").write_bytes(older(job.model("a").read_bytes()))
    report = cli.json(*job.run())
    (note,) = report["notes"]
    assert "scikit-learn 1.0.2" in note
    assert "read by structure, without running its code" in note
    assert report["model"]["read"] == "by structure"
    assert note in job.rows("facts")[-1][0]
    assert predicted(job).equals(before)


def test_a_payload_in_a_pair_does_not_run_although_its_folder_is_trusted(cli, job, tmp_path):
    vectorizer, estimator = pickle.loads(job.model("a").read_bytes())
    estimator.solver = Payload(tmp_path / "mark")
    job.model("a").write_bytes(pickle.dumps((vectorizer, estimator)))
    told = cli.refuses(*job.run())
    assert "posix.system, which no such model needs; nothing of it was run" in told
    cli.refuses("models", "inspect", job.model("a"), "--job", job.job)
    assert not (tmp_path / "mark").exists()


class Payload:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def forest(job):
    """A model that only its own version can vouch for, signed by an older one, and without golden rows."""
    records = [{"PU_DO": f"{n % 9}_1", "trip_distance": n / 9} for n in range(90)]
    vectorizer = DictVectorizer()
    estimator = RandomForestRegressor(3, random_state=0).fit(vectorizer.fit_transform(records), range(90))
    job.model("a").write_bytes(older(pickle.dumps((vectorizer, estimator)), b"1.8.0"))
    return job


def test_anything_else_of_another_version_is_refused_with_the_option_that_accepts_it(cli, forest):
    told = cli.refuses(*forest.run())
    assert "made with scikit-learn 1.8.0" in told
    assert "--accept-version" in told
    (row,) = cli.json("status", forest.job)
    assert "scikit-learn 1.8.0" in row["next"]


def test_an_accepted_version_is_told_by_report_ledger_and_status(cli, forest):
    report = cli.json(*forest.run(), "--accept-version")
    accepted = [note for note in report["notes"] if note.endswith("it was accepted by --accept-version")]
    assert len(accepted) == 1
    assert accepted[0] in forest.rows("facts")[-1][0]
    (row,) = cli.json("status", forest.job)
    assert accepted[0] in row["notes"]
    assert accepted[0] in cli("status", forest.job).stdout
