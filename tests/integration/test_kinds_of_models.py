"""Each kind of model, from its file and from a folder that MLflow has written, scored from end to end."""

import json
import pickle
import re
import subprocess
import sys
import threading
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from click.testing import CliRunner

import scoreline
from scoreline import Files, Job, category, computed, number, prediction, row_id
from scoreline.cli import cli
from scoreline.errors import JobError, ModelInvalid, ModelUntrusted
from scoreline.ledgers.sqlite import SqliteLedger
from scoreline.linting import lint
from scoreline.models.inspect import inspected
from scoreline.models.path_store import PathStore
from scoreline.models.trust import Trust

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns of its own type hints
    import mlflow.pyfunc

NAMES = ("a", "b", "c")
_ROWS = 120


@pytest.fixture(scope="module")
def rows():
    """(frame of numbers with holes, target of two classes)."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(size=(_ROWS, 3)), columns=NAMES)
    target = (frame.a + frame.b > 0).astype(int).to_numpy()
    frame.loc[::7, "c"] = np.nan
    return frame, target


@pytest.fixture(scope="module")
def trained(rows):
    """Name -> model, all of them able to give probabilities of two classes."""
    import lightgbm
    import xgboost
    from sklearn.ensemble import HistGradientBoostingClassifier

    frame, target = rows
    texts = np.where(target, "yes", "no")
    return {
        "xgboost": xgboost.XGBClassifier(n_estimators=3).fit(frame, target),
        "lightgbm": lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(frame, target),
        "sklearn": HistGradientBoostingClassifier(max_iter=3).fit(frame, texts),
    }


@pytest.fixture(scope="module")
def onnx_model(rows):
    from skl2onnx import to_onnx
    from sklearn.tree import DecisionTreeClassifier

    frame, target = rows
    tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(frame.to_numpy().astype("f4"), target)
    return to_onnx(tree, frame.to_numpy()[:1].astype("f4"), options={"zipmap": False})


def scored(root, model, frame, predict="value", output=(), features=None, *, trusted=False):
    """What a run publishes for these rows."""
    (root / "in").mkdir(exist_ok=True)
    pl.from_pandas(frame).write_parquet(root / "in" / "rows.parquet")
    job = Job(
        name="kinds",
        partition="named",
        source=Files("{slug}.parquet", under=root / "in"),
        model=model,
        predict=predict,
        features=features or [number(name) for name in frame.columns],
        output=[row_id(), *(output or [prediction("p")])],
        sinks=Files("{slug}.parquet", under=root / "out"),
        trust=[root / "models"] if trusted else [],
    )
    report = scoreline.run(job, "rows", home=root / "home", stale=True)
    return report, scoreline.read(job, "rows", home=root / "home")


BOTH = [prediction("no", field="0"), prediction("yes", field="1")]


def require_probabilities(root, model, frame, expected):
    """The second class's alone, and those of both, are what the library says."""
    _, published = scored(root, model, frame, "probability")
    assert (published["p"].to_numpy() == expected[:, 1]).all()
    report, published = scored(root, model, frame, "probabilities", BOTH)
    assert (published["no", "yes"].to_numpy() == expected).all()
    return report


def logged(folder, save, model, packages=()):
    """MLflow's own folder; the packages are given, since finding them out takes MLflow ten seconds."""
    save(model, str(folder), pip_requirements=list(packages))
    return folder


def test_xgboost(tmp_path, rows, trained):
    import mlflow.xgboost
    import xgboost

    frame, _ = rows
    model = trained["xgboost"]
    model.save_model(tmp_path / "m.json")
    report = require_probabilities(tmp_path, tmp_path / "m.json", frame, model.predict_proba(frame))
    assert report.model["kind"] == "XGBoost gbtree, binary:logistic"
    folder = logged(tmp_path / "logged", mlflow.xgboost.save_model, model, ["xgboost==2.1.0", "numpy==1.26.0"])
    report, published = scored(tmp_path, folder, frame)
    assert published["p"].to_list() == model.predict(frame).tolist()
    assert report.model["made_with"] == {"xgboost": xgboost.__version__}  # the file itself knows best
    booster = logged(tmp_path / "booster", mlflow.xgboost.save_model, model.get_booster())
    _, published = scored(tmp_path, booster, frame)
    assert (published["p"].to_numpy() == model.predict_proba(frame)[:, 1]).all()


def test_lightgbm(tmp_path, rows, trained):
    import mlflow.lightgbm

    frame, _ = rows
    model = trained["lightgbm"]
    model.booster_.save_model(tmp_path / "m.txt")
    require_probabilities(tmp_path, tmp_path / "m.txt", frame, model.predict_proba(frame))
    folder = logged(tmp_path / "logged", mlflow.lightgbm.save_model, model.booster_, ["lightgbm==4.1.0"])
    report, published = scored(tmp_path, folder, frame)
    assert (published["p"].to_numpy() == model.predict_proba(frame)[:, 1]).all()
    assert report.model["kind"] == "LightGBM, binary"
    # What is in the folder as a scikit-learn estimator needs trust, as such ones do.
    (tmp_path / "models").mkdir(mode=0o755)
    folder = logged(tmp_path / "models" / "wrapped", mlflow.lightgbm.save_model, model)
    with pytest.raises(ModelUntrusted):
        scored(tmp_path, folder, frame)
    _, published = scored(tmp_path, folder, frame, trusted=True)
    assert published["p"].to_list() == model.predict(frame).tolist()


def test_onnx(tmp_path, rows, onnx_model):
    import mlflow.onnx
    import onnxruntime

    frame = rows[0].fillna(0)
    content = onnx_model.SerializeToString()
    (tmp_path / "m.onnx").write_bytes(content)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    label, expected = session.run(None, {"X": frame.to_numpy().astype("f4")})
    require_probabilities(tmp_path, tmp_path / "m.onnx", frame, expected.astype("f8"))
    folder = logged(tmp_path / "logged", mlflow.onnx.save_model, onnx_model)
    report, published = scored(tmp_path, folder, frame)
    assert published["p"].to_list() == label.tolist()
    assert report.model["kind"].startswith("ONNX classifier")


def test_the_scikit_learn_wrappers_in_pickles(tmp_path, rows, trained):
    import joblib
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    frame, target = rows
    (tmp_path / "models").mkdir(mode=0o755)
    for name, model in trained.items():
        path = tmp_path / "models" / f"{name}.pkl"
        joblib.dump(model, path)
        path.chmod(0o644)
        output = [prediction("p", field=str(one)) for one in model.classes_[:1]]
        _, published = scored(tmp_path, path, frame, "probabilities", output, trusted=True)
        assert (published["p"].to_numpy() == model.predict_proba(frame)[:, 0]).all()
    for name in ("xgboost", "lightgbm"):  # trained on an array: by position
        model = trained[name].__class__(n_estimators=3, verbosity=-1 if name == "lightgbm" else 0)
        joblib.dump(model.fit(frame.to_numpy(), target), tmp_path / "models" / "array.pkl")
        _, published = scored(tmp_path, tmp_path / "models" / "array.pkl", frame, "probability", trusted=True)
        assert (published["p"].to_numpy() == model.predict_proba(frame.to_numpy())[:, 1]).all()
    piped = make_pipeline(StandardScaler(), trained["xgboost"].__class__(n_estimators=3)).fit(frame, target)
    joblib.dump(piped, tmp_path / "models" / "piped.pkl")
    _, published = scored(tmp_path, tmp_path / "models" / "piped.pkl", frame, "probability", trusted=True)
    assert (published["p"].to_numpy() == piped.predict_proba(frame)[:, 1]).all()


def test_any_other_flavor_of_mlflow_as_a_pyfunc(tmp_path, rows):
    from mlflow.models import infer_signature

    frame, _ = rows

    def save(model, path, pip_requirements):
        signature = infer_signature(frame[["a", "b"]].astype("float32"))
        mlflow.pyfunc.save_model(path, python_model=model, signature=signature, pip_requirements=pip_requirements)

    (tmp_path / "models").mkdir(mode=0o755)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow would like type hints and an example

        class Sums(mlflow.pyfunc.PythonModel):
            def predict(self, context, model_input, params=None):
                return pd.DataFrame({"sum": model_input.a + model_input.b, "rows": float(len(model_input))})

        folder = logged(tmp_path / "models" / "sums", save, Sums())
    with pytest.raises(ModelUntrusted, match="is a pyfunc of MLflow, and loading it runs its code"):
        scored(tmp_path, folder, frame)
    told = inspected(PathStore(tmp_path, tmp_path, Trust(tmp_path)).resolve(str(folder)), None)
    assert (told["kind"], told["inputs"]) == ("MLflow pyfunc, mlflow.pyfunc.model", ["a", "b"])  # no code of it has run
    output = [prediction("sum", field="sum"), prediction("rows", pl.Int64, field="rows")]
    report, published = scored(tmp_path, folder, frame, output=output, trusted=True)
    expected = frame[["a", "b"]].astype("float32").sum(axis=1)
    assert (published["sum"].to_numpy() == expected.to_numpy()).all()
    assert set(published["rows"]) == {_ROWS}  # one call for all rows
    assert report.model["kind"] == "MLflow pyfunc, mlflow.pyfunc.model"
    with pytest.raises(ModelInvalid, match="an MLflow pyfunc says nothing of classes"):
        scored(tmp_path, folder, frame, "probability", trusted=True)


FUNCTION = """
import polars as pl
import scoreline as sl
from helper import half

def halves(frame):
    return half(frame["a"]) + {more}

job = sl.Job(
    name="halves",
    partition="named",
    source=sl.Files("{{slug}}.parquet", under="in"),
    model=halves,
    features=[sl.number("a")],
    output=[sl.row_id(), sl.prediction("p")],
    sinks=sl.Files("{{slug}}.parquet", under="out"),
)
"""


def test_a_function_of_the_job_s_file(tmp_path, rows):
    frame, _ = rows
    (tmp_path / "in").mkdir()
    pl.from_pandas(frame).write_parquet(tmp_path / "in" / "rows.parquet")
    file = tmp_path / "job.py"
    file.write_text(FUNCTION.format(more=0))
    helper = tmp_path / "helper.py"
    helper.write_text("def half(values):\n    return values / 2\n")
    first = scoreline.run(file, "rows")
    assert scoreline.read(file, "rows")["p"].to_list() == (frame.a / 2).tolist()
    assert scoreline.run(file, "rows").reason == "current" or scoreline.plan(file)[0].due is False
    helper.write_text("def half(values):\n    return values * 0.5 + 1\n")  # what it uses counts as well
    second = scoreline.run(file, "rows", stale=True, engine="processes", workers=2)
    assert first.model["digest"] != second.model["digest"]
    assert scoreline.read(file, "rows")["p"].to_list() == (frame.a * 0.5 + 1).tolist()
    assert (tmp_path / ".scoreline" / "models" / second.model["digest"] / "helper.py").is_file()


def test_a_function_that_no_process_could_find_is_refused():
    with pytest.raises(JobError, match="no other process can find by its name"):
        Job(
            name="x",
            partition="named",
            source=Files("{slug}.parquet"),
            model=lambda frame: frame["a"],
            features=[number("a")],
            output=[prediction()],
            sinks=Files("{slug}.parquet", under="out"),
        )


def test_a_category_that_xgboost_has_never_seen_is_quarantined_and_its_neighbours_are_scored(tmp_path, rows):
    import xgboost

    frame = rows[0].assign(k=pd.Categorical(np.where(np.arange(_ROWS) % 2, "x", "y")))
    model = xgboost.XGBRegressor(n_estimators=3, enable_categorical=True).fit(frame, np.arange(_ROWS) % 2)
    model.save_model(tmp_path / "m.ubj")
    given = frame.assign(k=frame.k.astype(object))
    given.loc[[5, 50], "k"] = ["new", "7"]
    features = [*(number(name) for name in NAMES), category("k")]
    report, published = scored(tmp_path, tmp_path / "m.ubj", given, features=features)
    assert report.counts.reasons == {"feature:k:never seen": 2}
    assert (published["p"].to_numpy() == model.predict(frame.drop([5, 50]))).all()


CATEGORIES = {"text": ["x", "y", "z"], "whole numbers": [3, 1, 2]}


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
@pytest.mark.parametrize("kind", sorted(CATEGORIES))
def test_pickled_wrappers_know_their_categories(tmp_path, rows, library, kind):
    import lightgbm
    import xgboost

    known = CATEGORIES[kind]
    frame = rows[0].assign(k=pd.Categorical([known[at % 3] for at in range(_ROWS)], categories=known))
    target = frame.k.cat.codes.to_numpy() % 2 + np.arange(_ROWS) % 5 / 10
    if library == "xgboost":
        model = xgboost.XGBRegressor(n_estimators=5, enable_categorical=True)
    else:
        model = lightgbm.LGBMRegressor(n_estimators=5, min_child_samples=3, verbose=-1)
    model.fit(frame, target)
    (tmp_path / "models").mkdir(mode=0o755)
    (tmp_path / "models" / "m.pkl").write_bytes(pickle.dumps(model))
    given = frame.assign(k=frame.k.astype(object if kind == "text" else "int64"))
    given.loc[[5, 50], "k"] = "new" if kind == "text" else 7
    features = [(category if kind == "text" else number)("k"), *(number(name) for name in NAMES)]
    report, published = scored(tmp_path, tmp_path / "models" / "m.pkl", given, features=features, trusted=True)
    if library == "xgboost":  # which takes them for the first that it knows
        assert report.counts.reasons == {"feature:k:never seen": 2}
        assert published["p"].to_list() == model.predict(frame.drop([5, 50])).tolist()
    else:
        assert report.counts.unseen == {"k": 2}
        assert published["p"].to_list() == model.predict(frame.assign(k=frame.k.where(given.k.isin(known)))).tolist()
    assert len(set(published["p"])) > 4
    assert report.model["evidence"]["reason"].endswith("predicts through its own library")


def test_a_pickled_xgboost_whose_categories_were_cut_wrongly_is_refused(tmp_path, rows):
    import xgboost

    frame = rows[0].assign(k=pd.Categorical(np.where(np.arange(_ROWS) % 2, "Zürich", "Genève")))
    model = xgboost.XGBRegressor(n_estimators=3, enable_categorical=True).fit(frame, np.arange(_ROWS) % 2)
    (tmp_path / "models").mkdir(mode=0o755)
    (tmp_path / "models" / "m.pkl").write_bytes(pickle.dumps(model))
    features = [*(number(name) for name in NAMES), category("k")]
    with pytest.raises(ModelInvalid, match="the categories of 'k' have letters that are not ASCII"):
        scored(tmp_path, tmp_path / "models" / "m.pkl", frame.astype({"k": object}), features=features, trusted=True)


def test_a_pyfunc_is_given_the_columns_that_its_signature_calls_optional(tmp_path, rows):
    from mlflow.models import infer_signature

    frame = rows[0][["a", "c"]].rename(columns={"c": "b"})
    signature = infer_signature(frame)
    assert [one.required for one in signature.inputs.inputs] == [True, False]
    (tmp_path / "models").mkdir(mode=0o755)
    folder = tmp_path / "models" / "m"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow asks for an example and for type hints

        class Gap(mlflow.pyfunc.PythonModel):
            """Counts what is missing of b, and takes it for missing where it is not given b at all."""

            def predict(self, context, model_input):
                return model_input.reindex(columns=["a", "b"])["b"].isna().to_numpy().astype(float)

        mlflow.pyfunc.save_model(str(folder), python_model=Gap(), signature=signature, pip_requirements=[])
    _, published = scored(tmp_path, folder, frame, trusted=True)
    assert published["p"].to_list() == frame.b.isna().astype(float).tolist()
    _, published = scored(tmp_path, folder, frame, features=[number("a")], trusted=True)
    assert set(published["p"]) == {1.0}


def test_what_mlflow_was_told_to_call_is_what_predicts(tmp_path, rows):
    import mlflow.sklearn
    from sklearn.linear_model import LogisticRegression

    frame, target = rows[0][["a", "b"]], rows[1]
    model = LogisticRegression().fit(frame, target)
    (tmp_path / "models").mkdir(mode=0o755)
    folder = tmp_path / "models" / "m"
    mlflow.sklearn.save_model(model, str(folder), pyfunc_predict_fn="predict_proba", pip_requirements=[])
    _, published = scored(tmp_path, folder, frame, output=BOTH, trusted=True)
    assert (published["no", "yes"].to_numpy() == model.predict_proba(frame)).all()


@pytest.mark.parametrize("kind", ["stacking", "voting", "bagging", "alone"])
def test_the_classes_of_onnx_are_those_of_what_makes_its_outputs(tmp_path, rows, kind):
    from onnxruntime import InferenceSession
    from skl2onnx import to_onnx
    from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    frame = rows[0][["a", "b"]]
    matrix = frame.to_numpy().astype("f4")
    target = np.array([1, 2, 3])[np.digitize(frame.a + frame.b, [-0.5, 0.5])]
    members = [("linear", LogisticRegression()), ("tree", DecisionTreeClassifier(max_depth=3, random_state=0))]
    model = {
        "stacking": StackingClassifier(members, cv=2),
        "voting": VotingClassifier(members, voting="soft", flatten_transform=False),
        "bagging": BaggingClassifier(members[1][1], 3, random_state=0),
        "alone": members[1][1],
    }[kind].fit(matrix, target)
    content = to_onnx(model, matrix[:1], options={"zipmap": False}).SerializeToString()
    (tmp_path / "m.onnx").write_bytes(content)
    expected = InferenceSession(content).run(None, {"X": matrix})[1]
    output = [prediction(f"p{one}", field=str(one)) for one in (1, 2, 3)]
    _, published = scored(tmp_path, tmp_path / "m.onnx", frame, "probabilities", output)
    assert published["p1", "p2", "p3"].to_numpy() == pytest.approx(np.asarray(expected), abs=1e-6)


def damaged(path, content):
    path.write_bytes(content)
    store = PathStore(path.parent, path.parent / "home", Trust(path.parent / "home"))
    return store.fetch(store.resolve(path.name))


@pytest.mark.parametrize("suffix", ["json", "ubj", "txt", "onnx"])
def test_damaged_files_are_refused_also_where_their_library_crashes(tmp_path, trained, onnx_model, suffix):
    path = tmp_path / f"m.{suffix}"
    if suffix == "onnx":
        whole = onnx_model.SerializeToString()
    elif suffix == "txt":
        whole = trained["lightgbm"].booster_.model_to_string().encode()
    else:
        whole = bytes(trained["xgboost"].get_booster().save_raw(suffix))
    # A byte that says how long a name is in UBJSON, and a count of leaves: both libraries crash over such a file.
    wrong = {
        "ubj": whole.replace(b"\x07learner", b"\xf7learner", 1),
        "json": whole.replace(b'"left_children":[', b'"left_children":[99999,', 1),
        "txt": whole.replace(b"num_leaves=", b"num_leaves=9"),
        "onnx": whole.replace(b"nodes_", b"modes_"),
    }[suffix]
    for content in (whole[: len(whole) // 2], b"\x07 rubbish", wrong):
        with pytest.raises(ModelInvalid, match=r"damaged|cut short|crash|cannot be read"):
            damaged(path, content).load(NAMES)


def test_models_without_their_library_name_the_extra(tmp_path, rows, trained):
    trained["xgboost"].save_model(tmp_path / "m.json")
    # In a process of its own, where nothing has been tried yet.
    code = (
        "import sys; import scoreline.models.kinds as kinds; kinds.installed = lambda kind: None\n"
        "from scoreline.errors import MissingExtra\n"
        "for name in sys.argv[1:]:\n"
        "    try: kinds.read_native(b'', name)\n"
        "    except MissingExtra as error: print(error.hint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "m.json", "m.txt", "m.onnx"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [
        word for extra in ("xgboost", "lightgbm", "onnx") for word in ("pip", "install", f"'scoreline[{extra}]'")
    ]


def test_a_model_of_a_newer_library_is_refused_and_one_of_an_older_is_noted(tmp_path, rows, trained):
    model = trained["xgboost"]
    model.save_model(tmp_path / "m.json")
    text = (tmp_path / "m.json").read_text()
    assert text.endswith('"version":[3,2,0]}')
    (tmp_path / "m.json").write_text(text.replace('"version":[3,2,0]}', '"version":[2,1,4]}'))
    report, _ = scored(tmp_path, tmp_path / "m.json", rows[0])
    assert "made with xgboost 2.1.4 (now 3.2.0); its format means the same to later versions" in str(report.notes)


def test_threads_share_a_native_model(tmp_path, rows, trained):
    trained["xgboost"].save_model(tmp_path / "m.json")
    model = damaged(tmp_path / "m.json", (tmp_path / "m.json").read_bytes()).load(NAMES, "probability")
    frame = pl.from_pandas(pd.concat([rows[0]] * 200))
    expected, found = model.predict(frame).values, []
    threads = [threading.Thread(target=lambda: found.append(model.predict(frame).values)) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 8
    assert all(one.equals(expected) for one in found)


def test_the_ledger_tells_kinds(tmp_path, rows, trained):
    trained["lightgbm"].booster_.save_model(tmp_path / "m.lgb")
    scored(tmp_path, tmp_path / "m.lgb", rows[0])
    (run,) = SqliteLedger(tmp_path / "home" / "ledger.sqlite").runs()
    assert run.facts["model"]["classes"] == ["0", "1"]
    assert run.facts["model"]["predicts"] == "the probability of the second class"


def classified(root, predict, output, fit=None):
    """A job that learns to tell two classes of text apart, and publishes probabilities."""
    rng = np.random.default_rng(5)
    frame = pl.DataFrame({"a": rng.normal(size=_ROWS), "k": rng.choice(["x", "y"], _ROWS)})
    frame = frame.with_columns(label=pl.when(pl.col("a") > 0).then(pl.lit("up")).otherwise(pl.lit("down")))
    (root / "in").mkdir(exist_ok=True)
    frame.write_parquet(root / "in" / "rows.parquet")
    return frame, Job(
        name="classes",
        partition="named",
        source=Files("{slug}.parquet", under=root / "in"),
        model=root / "model",
        predict=predict,
        target="label",
        fit=fit,
        features=[number("a"), category("k")],
        output=[row_id(), *output],
        sinks=Files("{slug}.parquet", under=root / "out"),
    )


def test_training_keeps_golden_rows_of_what_the_job_asks_for(tmp_path):
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    def fit(rows):
        model = make_pipeline(DictVectorizer(), LogisticRegression())
        return model.fit(rows.drop("label").to_dicts(), rows["label"].to_numpy())

    output = [prediction("p_down", field="down"), prediction("p_up", field="up")]
    output.append(computed("sum", pl.col("scoreline.prediction").struct.field("up") + pl.col("p_down")))
    frame, job = classified(tmp_path, "probabilities", output, fit)
    report = scoreline.train(job, "rows", home=tmp_path / "home")
    assert report.metrics["accuracy"] > 0.9
    golden = pl.read_parquet(tmp_path / "model" / "golden.parquet")
    assert golden["scoreline.prediction"].dtype == pl.Struct({"down": pl.Float64, "up": pl.Float64})
    ran = scoreline.run(job, "rows", home=tmp_path / "home")
    published = scoreline.read(job, "rows", home=tmp_path / "home")
    assert ran.model["evidence"]["accelerated"]
    assert ((published["sum"] - 1).abs() < 1e-12).all()
    assert ((published["p_up"] > 0.5) == (frame["a"] > 0)).mean() > 0.9
    assert scoreline.verify(job, content=True, home=tmp_path / "home")[0].state == "ok"
    told = scoreline.explain(job, published["row_id"][3], home=tmp_path / "home")
    assert told.recheck.equal
    _, other = classified(tmp_path, "value", [prediction("label", pl.String)])
    scoreline.run(other, "rows", home=tmp_path / "home", stale=True)  # the same golden rows speak for it
    assert set(scoreline.read(other, "rows", home=tmp_path / "home")["label"]) == {"up", "down"}


def test_a_field_that_is_no_number_rejects_its_row(tmp_path):
    (tmp_path / "job.py").write_text(
        FUNCTION.format(more=0)
        .replace('half(frame["a"]) + 0', 'frame.select(x="a", y=1 / pl.col("a"))')
        .replace('sl.prediction("p")', 'sl.prediction("x", field="x"), sl.prediction("y", field="y")')
    )
    (tmp_path / "helper.py").write_text("half = None\n")
    (tmp_path / "in").mkdir()
    pl.DataFrame({"a": [1.0, 0.0, None, 4.0]}).write_parquet(tmp_path / "in" / "rows.parquet")
    report = scoreline.run(tmp_path / "job.py", "rows")
    assert report.counts.reasons == {"prediction:not finite": 2}
    assert scoreline.read(tmp_path / "job.py", "rows")["y"].to_list() == [1.0, 0.25]


@pytest.mark.parametrize(
    ("predict", "output", "told"),
    [
        ("probabilities", prediction("p"), r"prediction\('p_setosa', field='setosa'\)"),
        ("probability", prediction("p", field="1"), "there are fields with predict='probabilities'"),
    ],
)
def test_a_declaration_that_cannot_hold_what_it_asks_for_is_told(tmp_path, predict, output, told):
    _, job = classified(tmp_path, predict, [output])
    (finding,) = lint(job)
    assert re.search(told, finding)


def test_a_struct_is_no_output_column(tmp_path):
    with pytest.raises(JobError, match="cannot have the type") as caught:
        prediction("p", pl.Struct({"a": pl.Float64}))
    assert "prediction(name, field='...')" in caught.value.hint
    with pytest.raises(JobError, match="none of 'value', 'probability', 'probabilities'"):
        classified(tmp_path, "proba", [prediction()])


def test_inspect_and_doctor_tell_what_a_native_model_is(tmp_path, trained, rows, monkeypatch):
    trained["xgboost"].save_model(tmp_path / "m.json")
    (tmp_path / "in").mkdir()
    pl.from_pandas(rows[0]).write_parquet(tmp_path / "in" / "rows.parquet")
    text = FUNCTION.format(more=0).replace("model=halves", 'model="m.json"')
    text = text.replace('[sl.number("a")]', '[sl.number(name) for name in "abc"]')
    (tmp_path / "job.py").write_text(text)
    (tmp_path / "helper.py").write_text("half = None\n")
    job = str(tmp_path / "job.py")
    told = json.loads(
        CliRunner().invoke(cli, ["models", "inspect", str(tmp_path / "m.json"), "--job", job, "--json"]).stdout
    )
    assert told["kind"] == "XGBoost gbtree, binary:logistic"
    assert (told["inputs"], told["classes"], told["trusted"]) == (["a", "b", "c"], ["0", "1"], "needs none")
    found = json.loads(CliRunner().invoke(cli, ["doctor", job, "--json"]).stdout)
    said = [one["detail"] for one in found if one["name"] == "model"]
    assert any("reads a, b, c; classes 0, 1; predicts labels; made with xgboost" in one for one in said)
    assert [one["state"] for one in found if one["name"] == "model"] == ["ok"] * len(said)
    (tmp_path / "job.py").write_text(FUNCTION.format(more=0))
    found = json.loads(CliRunner().invoke(cli, ["doctor", job, "--json"]).stdout)
    assert any("the function halves of" in one["detail"] for one in found if one["name"] == "model")
