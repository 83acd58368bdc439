"""Which models of other versions are known to mean something else now. How they were found: tests/versions."""

import pickle

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.cross_decomposition import CCA, PLSRegression
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from scoreline.durable import sha256_of
from scoreline.errors import ModelOutdated
from scoreline.models.changed import changed_meaning
from scoreline.models.kept import KeptModel
from scoreline.testing.builders import tiny_job
from scoreline.vetting import vet

MATRIX = np.arange(60.0).reshape(20, 3) % 7
LABELS, NUMBERS = np.arange(20) % 3, np.arange(20) * 1.5


def forest():
    return RandomForestClassifier(2, random_state=0).fit(MATRIX, LABELS)


def boosted(algorithm):
    model = AdaBoostClassifier(n_estimators=2).fit(MATRIX, LABELS)
    model.algorithm = algorithm  # as a pickle of 1.5 and before brings it
    return model


OF_TREES = [
    DecisionTreeClassifier(),
    RandomForestClassifier(2),
    ExtraTreesClassifier(2),
    BaggingClassifier(DecisionTreeClassifier(), n_estimators=2),
    VotingClassifier([("tree", DecisionTreeClassifier())], voting="soft"),
    CalibratedClassifierCV(DecisionTreeClassifier(), cv=2),
    make_pipeline(StandardScaler(), RandomForestClassifier(2)),
]


@pytest.mark.parametrize("model", OF_TREES, ids=lambda model: type(model).__name__)
def test_classification_trees_before_1_4_wherever_they_are(model):
    assert "trees" in changed_meaning(model.fit(MATRIX, LABELS), "1.3.2")


def test_the_pair_of_a_dict_vectorizer_and_trees():
    assert "trees" in changed_meaning((DictVectorizer(), forest()), "1.3.2")


@pytest.mark.parametrize("version", ["1.4.0", "1.4.2", "1.9.1", "1.10.0", "2.0"])
def test_classification_trees_since_1_4_mean_the_same(version):
    assert changed_meaning(forest(), version) == ""


@pytest.mark.parametrize("model", [RandomForestRegressor(2), GradientBoostingClassifier(n_estimators=2)])
def test_regression_trees_mean_the_same(model):
    assert changed_meaning(model.fit(MATRIX, LABELS), "1.3.2") == ""


@pytest.mark.parametrize("version", ["1.3.2", "1.4.2"])
@pytest.mark.parametrize("model", [PLSRegression(1), CCA(1), TransformedTargetRegressor(PLSRegression(1))])
def test_partial_least_squares_before_1_5(model, version):
    assert "partial least squares" in changed_meaning(model.fit(MATRIX, NUMBERS), version)


def test_partial_least_squares_since_1_5_mean_the_same():
    assert changed_meaning(PLSRegression(1).fit(MATRIX, NUMBERS), "1.5.0") == ""


def test_boosting_with_samme_r_before_1_6():
    assert "SAMME.R" in changed_meaning(boosted("SAMME.R"), "1.5.2")


def test_boosting_with_samme_means_the_same():
    assert changed_meaning(boosted("SAMME"), "1.5.2") == ""


def test_a_linear_model_means_the_same():
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(MATRIX, NUMBERS)
    assert changed_meaning(model, "1.0.2") == ""


def test_a_class_of_ones_own_with_trees_inside():
    class Own:
        def __init__(self):
            self.by_city = {"NYC": [forest()]}

    assert "trees" in changed_meaning(Own(), "1.3.2")


def test_a_class_of_ones_own_with_the_name_of_a_tree():
    class DecisionTreeClassifier:
        pass

    assert changed_meaning(DecisionTreeClassifier(), "1.3.2") == ""


def test_a_version_that_is_none_counts_as_old():
    assert "trees" in changed_meaning(forest(), "unknown")


def test_an_object_that_holds_itself_is_looked_at_once():
    own = {"model": LinearRegression()}
    own["again"] = own
    assert changed_meaning(own, "1.0") == ""


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A forest as scikit-learn 1.3 would have pickled it, as far as its version goes."""
    path = tmp_path / "forest.pkl"
    with monkeypatch.context() as patched:
        patched.setattr("sklearn.base.__version__", "1.3.2")
        path.write_bytes(pickle.dumps(forest()))
    return KeptModel(str(path), sha256_of(path))


def test_what_is_known_of_a_kept_model_stands_in_its_description(kept):
    assert "trees" in kept.load(["a", "b", "c"]).describe()["changed"]


@pytest.mark.parametrize("accept_version", [False, True])
def test_such_a_model_is_refused_even_when_its_version_is_accepted(kept, tmp_path, accept_version):
    with pytest.raises(ModelOutdated, match="trees") as refused:
        vet(tiny_job(tmp_path), kept, kept.load(["a", "b", "c"]), accept_version=accept_version)
    assert "--accept-version" not in refused.value.hint
