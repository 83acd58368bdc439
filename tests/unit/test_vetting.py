"""A model is used only where its features, golden rows and versions speak for it."""

import pickle
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import sklearn
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from tests.unit.models.folders import DECLARED, FEATURES, card, golden, mlflow_2_folder
from tests.unit.models.pickles import RECORDS, TARGET, pair

from scoreline import Files, Job, cross, expression, number, prediction
from scoreline.abc import Predictions
from scoreline.card import PREDICTED, Card, running_versions
from scoreline.errors import ModelFailed, ModelInvalid, ModelOutdated
from scoreline.models.kept import KeptModel
from scoreline.models.path_store import PathStore
from scoreline.models.sklearn import adapt
from scoreline.models.trust import Trust
from scoreline.vetting import vet

OLD = {"scikit-learn": "1.0.2"}
ROWS = pl.DataFrame(RECORDS)


def job(features=DECLARED):
    return Job(
        name="rides",
        partition="month",
        source=Files("in-{yyyy}-{mm}.parquet"),
        model="m",
        features=features,
        output=[prediction("minutes")],
        sinks=Files("out-{yyyy}-{mm}.parquet"),
    )


@dataclass(frozen=True)
class Carrying:
    """A model file with this card and nothing else."""

    known: Card | None

    def card(self):
        return self.known


def plain(facts=None):
    return adapt(pair(), tuple(FEATURES), facts or {})


def forest(facts=None):
    vectorizer = DictVectorizer()
    matrix = vectorizer.fit_transform(RECORDS)
    estimator = RandomForestRegressor(n_estimators=3, random_state=0).fit(matrix, TARGET)
    return adapt((vectorizer, estimator), tuple(FEATURES), facts or {})


@pytest.fixture
def carrying(tmp_path):
    """A model file whose card has these golden predictions, and these versions."""

    def make(predictions, made_with=None, rows=ROWS):
        path = tmp_path / "golden.parquet"
        rows.with_columns(pl.Series(PREDICTED, predictions)).write_parquet(path)
        known = card(made_with=running_versions() if made_with is None else made_with)
        return Carrying(replace(known, golden=str(path)))

    return make


# --- features ---------------------------------------------------------------------------------------------------------


def test_a_model_that_was_trained_on_the_declared_features_passes():
    assert vet(job(), Carrying(card()), plain()) == []


@pytest.mark.parametrize(
    ("features", "told"),
    [
        ([DECLARED[0]], "'d' is not declared"),
        ([*DECLARED, number("e")], "'e' was not learned"),
        ([DECLARED[0], number("d", "distance")], r"'d' differs \(columns \['d'\] then, \['distance'\] now\)"),
        ([cross("r", "a", "b", sep="-"), DECLARED[1]], r"'r' differs .*kind category then, cross now"),
        ([DECLARED[0], expression("d", pl.col("d") * 2)], r"'d' differs .*expr None then, .*col\(\"d\"\).* now"),
        ([DECLARED[1], DECLARED[0]], "another order"),
    ],
)
def test_other_features_than_in_training_are_refused_with_what_differs(features, told):
    with pytest.raises(ModelInvalid, match=f"(?s)trained by rides on other features.*{told}") as caught:
        vet(job(features), Carrying(card()), plain())
    assert "train the model again" in caught.value.hint
    assert '[{"' not in caught.value.message


def test_a_model_without_a_card_is_not_asked_for_its_features():
    assert vet(job([number("e")]), Carrying(None), plain()) == []


# --- golden rows ------------------------------------------------------------------------------------------------------


def test_golden_rows_that_score_the_same_pass_without_a_word(carrying):
    assert vet(job(), carrying(plain().predict(ROWS).values), plain()) == []


def test_golden_rows_speak_for_a_model_of_other_versions(carrying):
    (note,) = vet(job(), carrying(forest().predict(ROWS).values, OLD), forest())
    assert note == (
        f"the model was made with scikit-learn 1.0.2 (now {sklearn.__version__}); its 3 golden rows score the same"
    )


def test_golden_rows_are_compared_whatever_the_versions(carrying):
    wrong = plain().predict(ROWS).values + pl.Series([0.0, 0.25, -1.5])
    with pytest.raises(ModelInvalid, match=r"2 of 3 golden rows differ, by up to 1\.5") as caught:
        vet(job(), carrying(wrong), plain())
    assert caught.value.rows == 2
    with pytest.raises(ModelOutdated, match=r"made with scikit-learn 1\.0\.2 .*2 of 3 golden rows differ"):
        vet(job(), carrying(wrong, OLD), plain())


def test_accept_version_does_not_accept_golden_rows_that_differ(carrying):
    with pytest.raises(ModelOutdated):
        vet(job(), carrying([0.0, 0.0, 0.0], OLD), plain(), accept_version=True)


def test_golden_rows_of_a_sound_linear_model_are_compared_too(carrying):
    with pytest.raises(ModelOutdated):
        vet(job(), carrying([0.0, 0.0, 0.0], OLD), plain(OLD))


@dataclass(frozen=True)
class Saying:
    """A model that predicts these values."""

    said: pl.Series
    faster: "Saying | None" = None
    inputs = tuple(FEATURES)

    def predict(self, features):
        if self.said.len() == 0:
            raise ModelFailed("the model raised ValueError: no")
        return Predictions(self.said)

    def accelerated(self):
        return self.faster

    def describe(self):
        return {}


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("then", "now", "differing"),
    [
        ([1.0, 2.0, 3.0], [1.0 + 9e-10, 2.0 - 1.9e-9, 3.0], 0),
        ([1.0, 0.001, 3e9], [1.0 + 2e-9, 0.001 + 2e-9, 3e9 + 4.0], 3),
        ([1e9, 0.0, -1e9], [1e9 + 0.9, 9e-10, -1e9 - 0.9], 0),
        ([NAN, None, INF], [NAN, None, INF], 0),
        ([NAN, None, INF], [1.0, 1.0, -INF], 3),
        ([1.0, 1.0, 1.0], [NAN, None, INF], 3),
        ([INF, NAN, None], [5.0, None, NAN], 3),
        ([0.0, 1.0, 2.0], [-0.0, 1.0, 2.0], 0),
        ([1, 2, 3], [1, 2, 4], 1),
        ([1, 2, 3], [1.0, 2.0, 3.0], 0),
        (["a", "b", None], ["a", "c", None], 1),
        (["a", "b", None], ["a", "b", "None"], 1),
        (["1", "2", "3"], [1, 2, 4], 1),
        ([True, False, True], [True, False, False], 1),
    ],
)
def test_predictions_are_compared_as_numbers_or_as_labels(carrying, then, now, differing):
    said = Saying(pl.Series(now, strict=False))
    known = carrying(pl.Series(then, strict=False))
    if not differing:
        assert vet(job(), known, said) == []
        return
    with pytest.raises(ModelInvalid, match=f"{differing} of 3 golden rows differ"):
        vet(job(), known, said)


def test_several_numbers_in_a_row_are_compared_by_their_names(carrying):
    then = pl.DataFrame({"no": [0.5, 0.25, 1.0], "yes": [0.5, 0.75, NAN]}).to_struct()
    assert vet(job(), carrying(then), Saying(then)) == []
    near = then.struct.unnest().with_columns(pl.col("yes") + 1e-12).to_struct()
    assert vet(job(), carrying(then), Saying(near)) == []
    for now, rows in (
        (then.struct.unnest().with_columns(yes=pl.Series([0.5, 0.7, NAN])).to_struct(), 1),
        (then.struct.unnest().rename({"no": "other"}).to_struct(), 3),
        (then.struct.unnest().select("yes", "no").to_struct(), 3),
        (pl.Series([0.5, 0.75, 0.0]), 3),
    ):
        with pytest.raises(ModelInvalid, match=f"{rows} of 3 golden rows differ"):
            vet(job(), carrying(then), Saying(now))


def test_golden_rows_are_compared_as_what_their_training_asked_for(carrying):
    @dataclass(frozen=True)
    class Loading:
        carried: Carrying

        def card(self):
            return replace(self.carried.card(), predict="probability")

        def load(self, features, predict):
            assert (features, predict) == (FEATURES, "probability")
            return Saying(pl.Series([0.1, 0.2, 0.3]))

    assert vet(job(), Loading(carrying([0.1, 0.2, 0.3])), Saying(pl.Series([0, 0, 0]))) == []


def test_the_accelerated_form_is_compared_too(carrying):
    right = pl.Series([1.0, 2.0, 3.0])
    with pytest.raises(ModelInvalid, match=r"the accelerated form of the model does not predict.*1 of 3"):
        vet(job(), carrying(right), Saying(right, Saying(pl.Series([1.0, 2.0, 4.0]))))
    assert vet(job(), carrying(right), Saying(right, Saying(right))) == []


def test_a_model_that_fails_on_its_golden_rows_is_refused(carrying):
    silent = Saying(pl.Series([], dtype=pl.Float64))
    with pytest.raises(ModelInvalid, match="fails on its own golden rows: the model raised ValueError"):
        vet(job(), carrying([1.0, 2.0, 3.0]), silent)
    with pytest.raises(ModelOutdated, match=r"1\.0\.2"):
        vet(job(), carrying([1.0, 2.0, 3.0], OLD), silent)


def test_golden_rows_without_a_feature_are_refused(carrying):
    with pytest.raises(ModelInvalid, match="have no column 'd'"):
        vet(job(), carrying([1.0, 2.0, 3.0], rows=ROWS.drop("d")), plain())


@pytest.mark.parametrize("content", [b"", b"no parquet", b"PAR1 cut PAR1"])
def test_damaged_golden_rows_are_refused(carrying, content):
    known = carrying([1.0, 2.0, 3.0])
    Path(known.card().golden).write_bytes(content)
    with pytest.raises(ModelInvalid, match=r"golden rows .* cannot be read"):
        vet(job(), known, plain())


def test_golden_rows_without_predictions_are_refused(carrying):
    known = carrying([1.0, 2.0, 3.0])
    ROWS.write_parquet(known.card().golden)
    with pytest.raises(ModelInvalid, match=r"hold no column scoreline\.prediction"):
        vet(job(), known, plain())


def test_no_golden_row_speaks_for_nothing(carrying):
    with pytest.raises(ModelOutdated, match="no golden rows"):
        vet(job(), carrying([], OLD, ROWS[:0]), forest())


# --- versions without golden rows -------------------------------------------------------------------------------------


def test_a_model_of_another_version_with_nothing_to_show_is_refused_with_the_ways_out():
    with pytest.raises(ModelOutdated, match=rf"made with scikit-learn 1\.0\.2 \(now {sklearn.__version__}\)") as caught:
        vet(job(), Carrying(card(made_with=OLD)), forest())
    for way in ("scoreline train", "versions that it was made with", "--accept-version"):
        assert way in caught.value.hint


def test_it_may_be_accepted_and_that_is_noted():
    (note,) = vet(job(), Carrying(card(made_with=OLD)), forest(), accept_version=True)
    assert "scikit-learn 1.0.2" in note
    assert note.endswith("accepted by --accept-version")


def test_a_plain_linear_model_is_checked_part_by_part_instead():
    (note,) = vet(job(), Carrying(card(made_with=OLD)), plain())
    assert "scikit-learn 1.0.2" in note
    assert "checked one by one" in note


def test_a_linear_model_with_a_broken_part_is_not():
    vectorizer, estimator = pair()
    estimator.coef_[0] = np.nan
    model = adapt((vectorizer, estimator), tuple(FEATURES), {"made_with": OLD})
    with pytest.raises(ModelOutdated):
        vet(job(), Carrying(None), model)


@pytest.mark.parametrize("package", ["numpy", "scipy", "pandas", "joblib"])
def test_of_a_library_that_only_computes_the_major_version_counts(package):
    now = running_versions()[package]
    minor = now.split(".")[0] + ".0.0.1"
    assert vet(job(), Carrying(card(made_with={package: minor})), forest()) == []
    with pytest.raises(ModelOutdated, match=package):
        vet(job(), Carrying(card(made_with={package: "999.0"})), forest())


def test_a_package_that_is_gone_counts(monkeypatch):
    monkeypatch.setattr("scoreline.card.running_versions", dict)
    with pytest.raises(ModelOutdated, match=r"xgboost 1\.7\.6 \(now none\)"):
        vet(job(), Carrying(card(made_with={"xgboost": "1.7.6"})), forest())


def test_packages_that_predict_nothing_do_not_count():
    assert vet(job(), Carrying(card(made_with={"mlflow": "1.0", "python": "3.7"})), forest()) == []


def test_what_the_file_says_of_its_version_is_believed_before_the_card():
    with pytest.raises(ModelOutdated, match=r"scikit-learn 1\.0\.2"):
        vet(job(), Carrying(card()), forest({"made_with": OLD}))


def older(content):
    """The bytes of a pickle as scikit-learn 1.0 would have written them."""
    now = sklearn.__version__
    then = ("1.0." + "0" * len(now))[: len(now)]
    assert content.count(now.encode()) > 0
    return content.replace(now.encode(), then.encode()), then


@pytest.mark.parametrize("made", [pair, lambda: make_pipeline(*pair())], ids=["pair", "pipeline"])
def test_a_bare_pickle_of_a_linear_model_of_another_version_is_noted(tmp_path, made):
    file, then = kept(tmp_path, made())
    (note,) = vet(job(), file, file.load(FEATURES))
    assert f"scikit-learn {then}" in note


def test_a_bare_pickle_of_a_forest_of_another_version_is_refused(tmp_path):
    model = forest()
    file, then = kept(tmp_path, (model.vectorizer, model.estimator))
    with pytest.raises(ModelOutdated, match=f"scikit-learn {then}"):
        vet(job(), file, file.load(FEATURES))
    assert vet(job(), file, file.load(FEATURES), accept_version=True)


def kept(tmp_path, model):
    path = tmp_path / "m.pkl"
    content, then = older(pickle.dumps(model))
    path.write_bytes(content)
    store = PathStore(tmp_path, tmp_path / "home", Trust(tmp_path / "home", (tmp_path,)))
    tmp_path.chmod(0o755)
    return store.fetch(store.resolve("m.pkl")), then


def test_a_model_of_mlflow_is_judged_by_its_requirements(tmp_path):
    model = forest()
    mlflow_2_folder(tmp_path / "logged", make_pipeline(model.vectorizer, model.estimator))
    store = PathStore(tmp_path, tmp_path / "home", Trust(tmp_path / "home", (tmp_path,)))
    tmp_path.chmod(0o755)
    file = store.fetch(store.resolve("logged"))
    assert isinstance(file, KeptModel)
    with pytest.raises(ModelOutdated, match=r"numpy 1\.23\.5 .*scikit-learn 1\.2\.2"):
        vet(job(), file, file.load(FEATURES))


def test_golden_rows_are_read_through_the_model_file(tmp_path):
    model = make_pipeline(*pair())
    store = PathStore(tmp_path, tmp_path / "home", Trust(tmp_path / "home", (tmp_path,)))
    tmp_path.chmod(0o755)
    folder = mlflow_2_folder(tmp_path / "logged", model)
    card().write(folder)
    golden(model).with_columns(pl.col(PREDICTED) + 1.0).write_parquet(folder / "golden.parquet")
    file = store.fetch(store.resolve("logged"))
    with pytest.raises(ModelOutdated, match="3 of 3 golden rows differ, by up to 1"):
        vet(job(), file, file.load(FEATURES))


def test_a_linear_regression_of_named_columns_needs_golden_rows():
    estimator = LinearRegression().fit(ROWS.select("d").to_pandas(), TARGET)
    model = adapt(estimator, ("d",), {"made_with": OLD})
    with pytest.raises(ModelOutdated):
        vet(job([DECLARED[1]]), Carrying(None), model)
