"""Nothing that Scoreline does to a model that nobody trusted runs the model's code."""

import json
import pickle
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner
from tests.unit.models.pickles import pair, trap
from tests.unit.samples import job

import scoreline
from scoreline.cli import cli
from scoreline.errors import InputChanged, ModelInvalid, ModelUntrusted
from scoreline.models.inspect import inspected
from scoreline.models.loading import open_model
from scoreline.models.path_store import PathStore
from scoreline.models.trust import Trust

JOB = """
from scoreline import Files, Job, number, prediction

job = Job(
    name="trips", partition="month", source=Files("{slug}.parquet", under="in"), model="models/m.pkl",
    features=[number("x")], output=[prediction("p")], sinks=Files("{slug}.parquet", under="out"),
)
"""


@pytest.fixture
def place(tmp_path):
    """A job's folder with input, and a trap for a model."""
    (tmp_path / "in").mkdir()
    pl.DataFrame({"x": [1.0, 2.0]}).write_parquet(tmp_path / "in" / "2021-02.parquet")
    (tmp_path / "job.py").write_text(JOB)
    trap(tmp_path / "models" / "m.pkl", tmp_path / "mark")
    yield tmp_path
    assert not (tmp_path / "mark").exists()


def call(*arguments):
    return CliRunner().invoke(cli, [str(one) for one in arguments])


def test_a_run_refuses_it(place):
    with pytest.raises(ModelUntrusted, match="nobody has trusted it"):
        scoreline.run(place / "job.py", "2021-02")
    assert not (place / "out" / "2021-02.parquet").exists()


def test_a_run_refuses_it_although_another_folder_is_trusted(place):
    (place / "trusted").mkdir()
    with pytest.raises(ModelUntrusted):
        scoreline.run(job(trust=["trusted"]), "2021-02", home=place / ".scoreline")


@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_the_command_refuses_it_whatever_the_engine(place, engine):
    found = call("run", place / "job.py", "2021-02", "--engine", engine)
    assert isinstance(found.exception, ModelUntrusted)


def test_a_preview_refuses_it(place):
    found = call("run", place / "job.py", "2021-02", "--preview")
    assert isinstance(found.exception, ModelUntrusted)


def test_check_refuses_it_and_says_so(place):
    found = call("check", place / "job.py")
    assert found.exit_code == 1
    assert "nobody has trusted it" in found.output


def test_models_inspect_shows_what_it_would_import_and_does_not_load_it(place):
    found = call("models", "inspect", place / "models" / "m.pkl", "--job", place / "job.py", "--json")
    facts = json.loads(found.output)
    assert (found.exit_code, facts["trusted"]) == (0, "no")
    assert any("touch" in name or "getattr" in name for name in facts["imports"])
    assert "kind" not in facts


def test_trusting_it_does_not_load_it(place):
    found = call("models", "trust", place / "models" / "m.pkl", "--job", place / "job.py")
    assert found.exit_code == 0


def test_a_name_that_is_trusted_does_not_make_other_content_trusted(place):
    call("models", "trust", place / "in" / "2021-02.parquet", "--job", place / "job.py")
    with pytest.raises(ModelUntrusted):
        scoreline.run(place / "job.py", "2021-02")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_took_the_place_of_a_trusted_model_while_it_was_inspected_is_not_loaded(place, kind):
    folder = place / "mine"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(pickle.dumps(pair()))
    named = folder / "model.pkl" if kind == "file" else folder
    version = PathStore(place, place / "home", Trust(place / "home")).resolve(str(named))
    assert inspected(version, "somebody did")["kind"] == "DictVectorizer + LinearRegression"
    trap(folder / "model.pkl", place / "mark")
    with pytest.raises(InputChanged):
        inspected(version, "somebody did")


def test_a_kept_copy_that_was_changed_is_not_drafted_from(place):
    trusted, path = Trust(place / "home"), place / "m.pkl"
    path.write_bytes(pickle.dumps(pair()))
    store = PathStore(place, place / "home", trusted)
    version = store.resolve("m.pkl")
    trusted.add(version.digest, path)
    kept = store.fetch(version)
    trap(Path(kept.path), place / "mark")
    with pytest.raises(ModelInvalid, match="was changed"):
        open_model(kept)
