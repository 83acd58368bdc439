"""Compiled forms as users meet them: what a second run imports, what `models inspect` tells, what makes one anew."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.integration.mlflow_places import NAME, in_home

from scoreline.stores.mlflow import database

JOB = """
from scoreline import Files, Job, category, number, prediction, row_id

job = Job(
    name="{name}", partition="month", source=Files("{{slug}}.parquet", under="in"), model="models/{name}.pkl",
    features=[{features}], output=[row_id("id"), prediction("p")],
    sinks=Files("{{slug}}.parquet", under="{name}"), trust=["models"],
)
"""
NUMBERS = 'number("x"), number("y")'
FEATURES = {"pair": 'category("z"), number("x")', "forest": NUMBERS, "pca": NUMBERS}
CODE = """
import json, sys
from scoreline.cli import main
sys.argv = ["scoreline", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps([name for name, module in sys.modules.items() if module]))
"""
SLOW = {"sklearn", "joblib", "scipy", "scipy.sparse", "pandas", "mlflow", "numba", "skops"}


class Place:
    """Jobs with the models `pair`, `forest` and `pca`, and a home of their own."""

    def __init__(self, root):
        self.root, self.home = root, root / ".scoreline"
        root.mkdir()
        rng = np.random.default_rng(3)
        self.rows = pl.DataFrame(
            {"z": rng.choice(["a", "b", "c"], 1500), "x": rng.normal(size=1500), "y": rng.integers(0, 9, 1500)}
        )
        (root / "in").mkdir()
        self.rows.write_parquet(root / "in" / "2021-02.parquet")
        (root / "models").mkdir(mode=0o755)
        for name, model in self.fitted().items():
            file = root / "models" / f"{name}.pkl"
            file.write_bytes(pickle.dumps(model))
            file.chmod(0o644)
            (root / f"{name}.py").write_text(JOB.format(name=name, features=FEATURES[name]))

    def fitted(self):
        target = self.rows["x"].to_numpy() * 2 + self.rows["y"].to_numpy()
        vectorizer = DictVectorizer()
        matrix = vectorizer.fit_transform(self.rows.select("z", "x").to_dicts())
        numbers = pd.DataFrame({"x": self.rows["x"].to_numpy(), "y": self.rows["y"].to_numpy()})
        return {
            "pair": (vectorizer, LinearRegression().fit(matrix, target)),
            "forest": RandomForestRegressor(5, max_depth=4, random_state=0).fit(numbers, target),
            "pca": make_pipeline(PCA(1), LinearRegression()).fit(numbers, target),
        }

    def loaded_by(self, *arguments):
        """Which of the slow modules a process of its own has loaded when a command has ended."""
        environment = {name: text for name, text in os.environ.items() if name != "NUMBA_CACHE_DIR"}
        command = [sys.executable, "-c", CODE, *map(str, arguments)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        return SLOW & set(json.loads(done.stdout.splitlines()[-1]))

    def run(self, name, *more):
        return self.loaded_by("run", self.root / f"{name}.py", "2021-02", "--force", *more)

    def predicted(self, name):
        return pl.read_parquet((self.root / name / "2021-02.parquet").read_bytes())["p"]

    def forms(self):
        return sorted(self.home.glob("compiled/*/*.form"))

    def inspected(self, cli, name, *more, **chosen):
        return cli.json("models", "inspect", self.root / "models" / f"{name}.pkl", *more, **chosen)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Both models have scored once."""
    made = Place(tmp_path_factory.mktemp("compiled") / "place")
    for name in ("pair", "forest"):
        assert "sklearn" in made.run(name)
    return made


@pytest.fixture
def place(scored):
    """The same, with its forms as the first runs have kept them."""
    copy = scored.root.with_name("copy")
    if not copy.exists():
        shutil.copytree(scored.home / "compiled", copy)
    shutil.rmtree(scored.home / "compiled")
    shutil.copytree(copy, scored.home / "compiled")
    return scored


# Numba asks SciPy for its version, and imports none of its parts.
@pytest.mark.parametrize(("name", "needs"), [("pair", set()), ("forest", {"numba", "scipy"})], ids=["pair", "forest"])
def test_a_second_run_loads_neither_the_model_nor_its_library_and_verify_does(place, name, needs):
    first = place.predicted(name)
    assert place.run(name) == needs
    assert place.predicted(name).equals(first)
    assert "sklearn" in place.run(name, "--verify")
    assert place.predicted(name).equals(first)


@pytest.mark.parametrize("kind", ["skops", "registered"])
def test_a_second_run_loads_neither_mlflow_nor_skops_where_models_are_found_by_them(kind, tmp_path):
    place = Place(tmp_path / "place")
    scaled = make_pipeline(StandardScaler(), LinearRegression())
    numbers = pd.DataFrame({"x": place.rows["x"].to_numpy(), "y": place.rows["y"].to_numpy()})
    scaled.fit(numbers, numbers["x"] * 2 + numbers["y"])
    if kind == "skops":
        skops.io.dump(scaled, place.root / "models" / "pca.skops")
        uri = "models/pca.skops"
    else:
        in_home(place.home).log(scaled)
        os.utime(database(place.home), (0, 0))  # it was not written to just now
        uri = f"models:/{NAME}/1"
    job = place.root / "pca.py"
    job.write_text(job.read_text().replace("models/pca.pkl", uri))
    assert place.run("pca") >= {"sklearn", "skops"} | ({"mlflow"} if kind == "registered" else set())
    first = place.predicted("pca")
    assert place.run("pca") == set()
    assert place.predicted("pca").equals(first)


def test_the_machine_code_of_trees_lies_in_the_home(place):
    assert list(place.home.glob("compiled/machine-code/numba-*/**/*.nbc"))


def test_a_damaged_form_is_made_anew_with_a_warning(cli, place):
    first = place.predicted("pair")
    digest = place.inspected(cli, "pair", "--job", place.root / "pair.py")["digest"]
    (path,) = place.home.glob(f"compiled/{digest}/*.form")
    good = path.read_bytes()
    path.write_bytes(good[:-10] + b"0123456789")
    done = cli("run", place.root / "pair.py", "2021-02", "--force")
    assert "is damaged (the bytes were changed), and is made anew" in done.stderr
    assert place.predicted("pair").equals(first)
    assert len(path.read_bytes()) == len(good)
    assert "damaged" not in cli("run", place.root / "pair.py", "2021-02", "--force").stderr


def test_inspect_tells_form_parity_and_size_without_loading_the_model(cli, place):
    arguments = ["models", "inspect", place.root / "models" / "forest.pkl", "--job", place.root / "forest.py"]
    assert place.loaded_by(*arguments) == set()
    facts = cli.json(*arguments)
    assert (facts["kind"], facts["inputs"]) == ("RandomForestRegressor", ["x", "y"])
    compiled = facts["compiled"]
    assert (compiled["form"], compiled["why"]) == ("compiled 5 trees over 2 columns", "")
    (form,) = compiled["kept"]
    assert (form["current"], form["predict"], form["features"]) == (True, "value", ["x", "y"])
    assert form["bytes"] == Path(form["path"]).stat().st_size
    assert form["versions"]["scikit-learn"]
    (parity,) = form["parity"]
    assert parity["types"] == {"x": "Float64", "y": "Int64"}  # of the input
    assert parity["agrees"]
    assert parity["rows"] > 1000
    assert 0 <= parity["max_difference"] < 1e-12
    assert parity["at"].startswith("20")
    pl.DataFrame({"x": [1.0, 2.0]}).write_parquet(Path(form["path"]).with_name("differing-run-1.parquet"))
    (differing,) = cli.json(*arguments)["compiled"]["disagreements"]
    assert (differing["rows"], differing["path"].endswith("differing-run-1.parquet")) == (2, True)
    said = cli(*arguments).stdout
    assert f"disagreed  2 rows, {differing['at']}: {differing['path']}\n" in said
    assert "compiled   compiled 5 trees over 2 columns\n" in said
    assert f"form       {form['path']}, {form['bytes']:,} bytes" in said
    assert f"parity     same predictions on {parity['rows']:,} rows" in said


def test_inspect_check_and_the_report_tell_why_there_is_no_form(cli, place):
    why = "PCA is not known to be reproduced exactly"
    facts = place.inspected(cli, "pca", "--job", place.root / "pca.py")
    assert facts["compiled"] == {"form": None, "why": why, "kept": [], "disagreements": []}
    assert f"the model itself predicts: {why}" in cli("check", place.root / "pca.py").stdout
    done = cli("run", place.root / "pca.py", "2021-02", "--force")
    assert f"not accelerated: {why}" in done.stdout


def test_inspect_needs_neither_job_nor_home(cli, place, tmp_path):
    nobody = {"HOME": str(tmp_path), "XDG_STATE_HOME": ""}
    facts = place.inspected(cli, "pair", environment=nobody)
    assert facts["trusted"] == "no"
    assert facts["compiled"]["why"] == "nobody has trusted the model, so it is not loaded"
    said = cli("models", "inspect", place.root / "models" / "pair.pkl", environment=nobody).stdout
    assert "compiled   not known: nobody has trusted the model" in said
    assert "--job JOB" in said
    told = cli("models", "inspect", "models:/m@champion", environment=nobody, code=2).stderr
    assert "SCORELINE_HOME" in told
    assert list(tmp_path.iterdir()) == []


def test_an_own_home_tells_of_its_forms_though_it_has_trusted_nothing(cli, place):
    facts = place.inspected(cli, "pair", environment={"SCORELINE_HOME": str(place.home)})
    assert (facts["trusted"], facts["compiled"]["form"]) == ("no", "additive look-up")
    assert facts["kind"] == "DictVectorizer + LinearRegression"


def test_compile_false_lets_the_model_itself_predict(cli, place):
    first = place.predicted("pair")
    off = {"SCORELINE_COMPILE": "false"}
    done = cli("run", place.root / "pair.py", "2021-02", "--force", environment=off)
    assert "not accelerated: SCORELINE_COMPILE is false" in done.stdout
    np.testing.assert_allclose(place.predicted("pair").to_numpy(), first.to_numpy(), rtol=1e-12)
    said = cli("check", place.root / "pair.py", environment=off).stdout
    assert "the model itself predicts: SCORELINE_COMPILE is false" in said
