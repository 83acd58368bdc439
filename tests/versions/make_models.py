"""Trains one model of each kind with the scikit-learn at hand, and says what it predicts. Run in a throw-away environment.

    python make_models.py ROWS.json FOLDER

It knows nothing of Scoreline and needs only numpy, pandas, scikit-learn and joblib, of any version since 1.0. For each
kind it writes ``<kind>.pkl``, ``<kind>.joblib`` and ``<kind>.json``: the predictions for all rows, as that version
makes them, and for linear models the size of the terms that each one is a sum of. JSON keeps all digits of a float.
"""

import json
import pickle
import sys
import warnings
from pathlib import Path

TRAINED_ON = 300
"""The model learns from so many rows and is then asked for all: some of the others hold categories it never saw."""

RECORD = ("route", "distance")
NUMBERS = ("distance", "fare", "hour")
TABLE = ("zone", "distance", "passengers", "fare", "hour")
"""Features that kinds read; ``passengers`` has missing numbers, ``payment`` missing text."""


def dict_pair():
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LinearRegression

    return (DictVectorizer(), LinearRegression())


def dict_then(estimator):
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.pipeline import make_pipeline

    return make_pipeline(DictVectorizer(), estimator)


def dict_linear():
    from sklearn.linear_model import LinearRegression

    return dict_then(LinearRegression())


def dict_ridge():
    from sklearn.linear_model import Ridge

    return dict_then(Ridge(solver="lsqr"))


def dict_logistic():
    from sklearn.linear_model import LogisticRegression

    return dict_then(LogisticRegression(max_iter=2000))


def dict_gradient_boosting():
    from sklearn.ensemble import GradientBoostingRegressor

    return dict_then(GradientBoostingRegressor(n_estimators=10, random_state=0))


def by_column(encoder, texts, rest):
    from sklearn.compose import ColumnTransformer

    return ColumnTransformer([("texts", encoder, list(texts)), ("numbers", "passthrough", list(rest))])


def one_hot_ridge():
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    return make_pipeline(by_column(OneHotEncoder(handle_unknown="ignore"), ["zone"], NUMBERS), Ridge())


def one_hot_missing_text():
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    return make_pipeline(by_column(OneHotEncoder(handle_unknown="ignore"), ["payment"], NUMBERS), Ridge())


def ordinal():
    from sklearn.preprocessing import OrdinalEncoder

    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


def ordinal_random_forest():
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.pipeline import make_pipeline

    return make_pipeline(by_column(ordinal(), ["zone"], NUMBERS), RandomForestRegressor(10, random_state=0))


def gradient_boosting():
    from sklearn.ensemble import GradientBoostingRegressor

    return GradientBoostingRegressor(n_estimators=20, random_state=0)


def gradient_boosting_classifier():
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(n_estimators=5, random_state=0)


def hist_gradient_boosting():
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=float("nan"))
    boosting = HistGradientBoostingRegressor(max_iter=20, categorical_features=[0], random_state=0)
    return make_pipeline(by_column(encoder, ["zone"], TABLE[1:]), boosting)


def hist_gradient_boosting_numbers():
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(max_iter=20, random_state=0)


def imputer_scaler_lasso():
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import Lasso
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(SimpleImputer(), StandardScaler(), Lasso(alpha=0.01))


def decision_tree_classifier():
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_depth=6, random_state=0)


def extra_trees():
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(10, random_state=0)


def random_forest_classifier():
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(10, random_state=0)


def k_neighbors():
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), KNeighborsRegressor(4, weights="distance"))


def k_neighbors_brute():
    from sklearn.neighbors import KNeighborsRegressor

    return KNeighborsRegressor(4, algorithm="brute")


def transformed_target():
    import numpy as np
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.linear_model import LinearRegression

    return TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1)


def ada_boost_classifier():
    from sklearn.ensemble import AdaBoostClassifier

    return AdaBoostClassifier(n_estimators=20, random_state=0)


def bagging():
    from sklearn.ensemble import BaggingRegressor

    return BaggingRegressor(n_estimators=5, random_state=0)


def stacking():
    from sklearn.ensemble import StackingRegressor
    from sklearn.linear_model import LinearRegression, Ridge

    return StackingRegressor([("ridge", Ridge()), ("linear", LinearRegression())], Ridge())


def partial_least_squares():
    from sklearn.cross_decomposition import PLSRegression

    return PLSRegression(n_components=2)


def partial_least_squares_of_one():
    from sklearn.cross_decomposition import PLSRegression

    return PLSRegression(n_components=1)


def support_vectors():
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    return make_pipeline(StandardScaler(), SVR())


def support_vector_classifier():
    from sklearn.svm import SVC

    return SVC()


def neural_network():
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    return make_pipeline(MinMaxScaler(), MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", max_iter=50, random_state=0))


def gaussian_process():
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, WhiteKernel

    return GaussianProcessRegressor(RBF() + WhiteKernel(), optimizer=None, normalize_y=True)


def naive_bayes():
    from sklearn.naive_bayes import GaussianNB

    return GaussianNB()


def discriminant():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return LinearDiscriminantAnalysis()


def isolation_forest():
    from sklearn.ensemble import IsolationForest

    return IsolationForest(n_estimators=10, contamination=0.2, random_state=0)


def spline_quantile_ridge():
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PowerTransformer, QuantileTransformer, SplineTransformer

    return make_pipeline(
        QuantileTransformer(n_quantiles=50, random_state=0), SplineTransformer(), PowerTransformer(), Ridge()
    )


def polynomial_pca_huber():
    from sklearn.decomposition import PCA
    from sklearn.linear_model import HuberRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    return make_pipeline(StandardScaler(), PolynomialFeatures(2), PCA(4, random_state=0), HuberRegressor())


def bins_k_best_elastic():
    from sklearn.feature_selection import SelectKBest, f_regression
    from sklearn.linear_model import ElasticNet
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import KBinsDiscretizer

    return make_pipeline(KBinsDiscretizer(5), SelectKBest(f_regression, k=6), ElasticNet(alpha=0.01))


def nearest_imputer_voting():
    from sklearn.ensemble import VotingRegressor
    from sklearn.impute import KNNImputer
    from sklearn.linear_model import LinearRegression, Ridge
    from sklearn.pipeline import make_pipeline

    return make_pipeline(KNNImputer(), VotingRegressor([("ridge", Ridge()), ("linear", LinearRegression())]))


def words_ridge():
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    words = ColumnTransformer([("words", TfidfVectorizer(), "zone"), ("numbers", "passthrough", list(NUMBERS))])
    return make_pipeline(words, Ridge())


def calibrated_classifier():
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.linear_model import LogisticRegression

    return CalibratedClassifierCV(LogisticRegression(max_iter=2000), cv=3)


KINDS = {
    # kind: (how it is made, the features it reads, what it learns)
    "pair-linear": (dict_pair, RECORD, "minutes"),
    "dict-linear": (dict_linear, RECORD, "minutes"),
    "dict-ridge": (dict_ridge, RECORD, "minutes"),
    "dict-logistic": (dict_logistic, RECORD, "label"),
    "dict-gradient-boosting": (dict_gradient_boosting, RECORD, "minutes"),
    "one-hot-ridge": (one_hot_ridge, ("zone", *NUMBERS), "minutes"),
    "one-hot-missing-text": (one_hot_missing_text, ("payment", *NUMBERS), "minutes"),
    "ordinal-random-forest": (ordinal_random_forest, ("zone", *NUMBERS), "minutes"),
    "gradient-boosting": (gradient_boosting, NUMBERS, "minutes"),
    "gradient-boosting-classifier": (gradient_boosting_classifier, NUMBERS, "label"),
    "hist-gradient-boosting": (hist_gradient_boosting, TABLE, "minutes"),
    "hist-gradient-boosting-numbers": (hist_gradient_boosting_numbers, TABLE[1:], "minutes"),
    "imputer-scaler-lasso": (imputer_scaler_lasso, TABLE[1:], "minutes"),
    "decision-tree-classifier": (decision_tree_classifier, NUMBERS, "label"),
    "random-forest-classifier": (random_forest_classifier, NUMBERS, "label"),
    "extra-trees": (extra_trees, NUMBERS, "minutes"),
    "k-neighbors": (k_neighbors, NUMBERS, "minutes"),
    "k-neighbors-brute": (k_neighbors_brute, NUMBERS, "minutes"),
    "transformed-target": (transformed_target, NUMBERS, "minutes"),
    "ada-boost-classifier": (ada_boost_classifier, NUMBERS, "label"),
    "bagging": (bagging, NUMBERS, "minutes"),
    "stacking": (stacking, NUMBERS, "minutes"),
    "partial-least-squares": (partial_least_squares, NUMBERS, "minutes"),
    "partial-least-squares-of-one": (partial_least_squares_of_one, ("fare",), "minutes"),
    "support-vectors": (support_vectors, NUMBERS, "minutes"),
    "support-vector-classifier": (support_vector_classifier, NUMBERS, "label"),
    "neural-network": (neural_network, NUMBERS, "minutes"),
    "gaussian-process": (gaussian_process, NUMBERS, "minutes"),
    "naive-bayes": (naive_bayes, NUMBERS, "label"),
    "discriminant": (discriminant, NUMBERS, "label"),
    "isolation-forest": (isolation_forest, NUMBERS, "minutes"),
    "spline-quantile-ridge": (spline_quantile_ridge, NUMBERS, "minutes"),
    "polynomial-pca-huber": (polynomial_pca_huber, NUMBERS, "minutes"),
    "bins-k-best-elastic": (bins_k_best_elastic, NUMBERS, "minutes"),
    "nearest-imputer-voting": (nearest_imputer_voting, TABLE[1:], "minutes"),
    "words-ridge": (words_ridge, ("zone", *NUMBERS), "minutes"),
    "calibrated-classifier": (calibrated_classifier, NUMBERS, "label"),
}


def trained(model, inputs, target):
    """Fits a model, and the function that predicts all rows with it."""
    if not isinstance(model, tuple):
        model.fit(inputs[:TRAINED_ON], target[:TRAINED_ON])
        return model, model.predict(inputs)
    vectorizer, estimator = model
    estimator.fit(vectorizer.fit_transform(inputs[:TRAINED_ON]), target[:TRAINED_ON])
    return model, estimator.predict(vectorizer.transform(inputs))


def sizes(model, inputs):
    """For a linear model |intercept| + sum |coef * x| of each row: what its rounding errors are relative to."""
    import numpy as np

    before, last = (model[0], model[1]) if isinstance(model, tuple) else (None, model)
    if hasattr(model, "steps"):
        before, last = model[:-1], model[-1]
    if before is None or np.ndim(getattr(last, "coef_", None)) != 1 or not hasattr(last, "intercept_"):
        return None
    return (abs(before.transform(inputs)) @ abs(last.coef_) + np.abs(last.intercept_)).ravel().tolist()


def write(kind, table, folder):
    """Trains one kind, and writes its model and what it predicts."""
    import joblib

    make, names, learns = KINDS[kind]
    inputs = table[list(names)].to_dict("records") if names is RECORD else table[list(names)]
    model, predicted = trained(make(), inputs, table[learns].to_numpy())
    (folder / (kind + ".pkl")).write_bytes(pickle.dumps(model, protocol=4))
    joblib.dump(model, str(folder / (kind + ".joblib")))
    said = {"features": names, "predicted": predicted.ravel().tolist(), "sizes": sizes(model, inputs)}
    (folder / (kind + ".json")).write_text(json.dumps(said))


def main(rows, folder):
    """Writes all kinds, and ``versions.json``."""
    import joblib
    import numpy
    import pandas
    import scipy
    import sklearn

    warnings.simplefilter("ignore")  # of a version about its own future
    form = json.loads(Path(rows).read_text())
    table = pandas.DataFrame({name: pandas.Series(values) for name, values in form.items()})
    for kind in KINDS:
        write(kind, table, folder)
    versions = {"scikit-learn": sklearn, "numpy": numpy, "scipy": scipy, "pandas": pandas, "joblib": joblib}
    (folder / "versions.json").write_text(json.dumps({name: one.__version__ for name, one in versions.items()}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
