import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge, SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from tests.unit.models.pickles import RECORDS, TARGET, pair

from scoreline.models.structure import is_sound


def fitted(estimator, target=TARGET):
    vectorizer = DictVectorizer(sparse=False)
    return vectorizer, estimator.fit(vectorizer.fit_transform(RECORDS), target)


@pytest.mark.parametrize("kind", [LinearRegression, Ridge, Lasso, ElasticNet])
def test_a_plain_linear_model_is_sound_alone_and_in_a_pipeline(kind):
    vectorizer, estimator = fitted(kind())
    assert is_sound(vectorizer, estimator)
    assert is_sound(vectorizer, make_pipeline(estimator))


@pytest.mark.parametrize("labels", [["a", "b", "a"], ["a", "b", "c"]], ids=["two", "three"])
@pytest.mark.parametrize("intercept", [True, False])
def test_a_logistic_regression_is_sound(labels, intercept):
    assert is_sound(*fitted(LogisticRegression(fit_intercept=intercept), labels))


def test_a_linear_model_without_an_intercept_is_sound():
    assert is_sound(*fitted(LinearRegression(fit_intercept=False)))


class LinearLookalike(LinearRegression):
    """May override anything."""


@pytest.mark.parametrize("kind", [RandomForestRegressor, SGDRegressor, LinearLookalike])
def test_other_estimators_are_not(kind):
    assert not is_sound(*fitted(kind()))


def test_a_step_between_the_two_is_not():
    vectorizer, estimator = fitted(LinearRegression())
    assert not is_sound(vectorizer, make_pipeline(MaxAbsScaler(), estimator))


VECTORIZER, ESTIMATOR = "vectorizer", "estimator"


def broken(part, change):
    both = dict(zip((VECTORIZER, ESTIMATOR), pair(), strict=True))
    change(both[part])
    return tuple(both.values())


DAMAGES = {
    "short": (ESTIMATOR, lambda it: setattr(it, "coef_", it.coef_[:-1])),
    "long": (ESTIMATOR, lambda it: setattr(it, "coef_", np.append(it.coef_, 0.0))),
    "NaN": (ESTIMATOR, lambda it: it.coef_.__setitem__(0, np.nan)),
    "infinite": (ESTIMATOR, lambda it: it.coef_.__setitem__(0, np.inf)),
    "no coefficients": (ESTIMATOR, lambda it: delattr(it, "coef_")),
    "a list": (ESTIMATOR, lambda it: setattr(it, "coef_", it.coef_.tolist())),
    "no intercept": (ESTIMATOR, lambda it: delattr(it, "intercept_")),
    "NaN intercept": (ESTIMATOR, lambda it: setattr(it, "intercept_", np.nan)),
    "two intercepts": (ESTIMATOR, lambda it: setattr(it, "intercept_", np.zeros(2))),
    "two rows": (ESTIMATOR, lambda it: setattr(it, "coef_", np.stack([it.coef_, it.coef_]))),
    "another width": (ESTIMATOR, lambda it: setattr(it, "n_features_in_", 9)),
    "no vocabulary": (VECTORIZER, lambda it: delattr(it, "vocabulary_")),
    "a column twice": (VECTORIZER, lambda it: it.vocabulary_.update({"r=1_2": 0, "d": 0})),
    "a column beyond": (VECTORIZER, lambda it: it.vocabulary_.update({"d": 9})),
    "names in another order": (VECTORIZER, lambda it: it.feature_names_.reverse()),
    "no names": (VECTORIZER, lambda it: delattr(it, "feature_names_")),
    "no separator": (VECTORIZER, lambda it: setattr(it, "separator", None)),
}


@pytest.mark.parametrize(("part", "damage"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_pair_is_not(part, damage):
    assert is_sound(*pair())
    assert not is_sound(*broken(part, damage))
