"""Trains one model of each kind with the scikit-learn at hand and says what it predicts: for a throw-away environment.

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
from types import SimpleNamespace

TRAINED_ON = 300
"""The model learns from so many rows and is then asked for all: some of the others hold categories it never saw."""

RECORD = ("route", "distance")
NUMBERS = ("distance", "fare", "hour")
HOLES = ("distance", "passengers", "fare", "hour")
TABLE = ("zone", *HOLES)
"""Features that kinds read; ``passengers`` has missing numbers, ``payment`` missing text."""


def by_column(sk, encoder, texts, rest):
    """Encodes some columns and passes the others through."""
    return sk.ColumnTransformer([("texts", encoder, texts), ("numbers", "passthrough", list(rest))])


def behind_dict(sk, estimator, **options):
    """A pipeline that reads dictionaries."""
    return sk.Pipeline([("dict", sk.DictVectorizer(**options)), ("model", estimator)])


def chain(sk, *steps):
    """A pipeline of unnamed steps."""
    return sk.Pipeline([(str(position), step) for position, step in enumerate(steps)])


def unknown_is(sk, value):
    """An OrdinalEncoder that gives unseen categories this number."""
    return sk.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=value)


def log_target(sk):
    """Learns the logarithm of its target."""
    import numpy as np

    return sk.TransformedTargetRegressor(sk.LinearRegression(), func=np.log1p, inverse_func=np.expm1)


def smooth(sk):
    """A Gaussian process with a fixed kernel."""
    from sklearn.gaussian_process.kernels import RBF, WhiteKernel

    return sk.GaussianProcessRegressor(RBF() + WhiteKernel(), optimizer=None, normalize_y=True)


LINEAR = {
    # kind: (how it is made of all of scikit-learn's classes, the features it reads)
    "pair-linear": (lambda sk: (sk.DictVectorizer(), sk.LinearRegression()), RECORD),
    "dict-linear": (lambda sk: behind_dict(sk, sk.LinearRegression()), RECORD),
    "dict-dense-linear": (lambda sk: behind_dict(sk, sk.LinearRegression(), sparse=False), RECORD),
    "dict-ridge": (lambda sk: behind_dict(sk, sk.Ridge()), RECORD),
    "dict-lasso": (lambda sk: behind_dict(sk, sk.Lasso(alpha=0.01), sparse=False), RECORD),
    "linear": (lambda sk: sk.LinearRegression(), NUMBERS),
    "ridge-cv": (lambda sk: sk.RidgeCV(), NUMBERS),
    "bayesian-ridge": (lambda sk: sk.BayesianRidge(), NUMBERS),
    "relevance": (lambda sk: sk.ARDRegression(), NUMBERS),
    "least-angle": (lambda sk: sk.LassoLars(alpha=0.01), NUMBERS),
    "theil-sen": (lambda sk: sk.TheilSenRegressor(random_state=0, max_subpopulation=100), NUMBERS),
    "ransac": (lambda sk: sk.RANSACRegressor(random_state=0), NUMBERS),
    "gradient-descent": (lambda sk: chain(sk, sk.StandardScaler(), sk.SGDRegressor(random_state=0)), NUMBERS),
    "one-hot-ridge": (
        lambda sk: chain(sk, by_column(sk, sk.OneHotEncoder(handle_unknown="ignore"), ["zone"], NUMBERS), sk.Ridge()),
        ("zone", *NUMBERS),
    ),
    "one-hot-missing-text": (
        lambda sk: chain(sk, by_column(sk, sk.OneHotEncoder(), ["payment"], NUMBERS), sk.Ridge()),
        ("payment", *NUMBERS),
    ),
    "words-ridge": (
        lambda sk: chain(sk, by_column(sk, sk.TfidfVectorizer(), "zone", NUMBERS), sk.Ridge()),
        ("zone", *NUMBERS),
    ),
    "imputer-scaler-lasso": (
        lambda sk: chain(sk, sk.SimpleImputer(), sk.StandardScaler(), sk.Lasso(alpha=0.01)),
        HOLES,
    ),
    "polynomial-pca-huber": (
        lambda sk: chain(sk, sk.StandardScaler(), sk.PolynomialFeatures(2), sk.PCA(4), sk.HuberRegressor()),
        NUMBERS,
    ),
    "bins-k-best-ridge": (lambda sk: chain(sk, sk.KBinsDiscretizer(5), sk.SelectKBest(k=6), sk.Ridge()), NUMBERS),
    "robust-normal-ridge": (lambda sk: chain(sk, sk.RobustScaler(), sk.Normalizer(), sk.Ridge()), NUMBERS),
    "quantile-power-ridge": (
        lambda sk: chain(sk, sk.QuantileTransformer(n_quantiles=50), sk.PowerTransformer(), sk.Ridge()),
        NUMBERS,
    ),
    "spline-ridge": (lambda sk: chain(sk, sk.SplineTransformer(), sk.Ridge()), NUMBERS),
}

REGRESSORS = {
    "poisson": (lambda sk: chain(sk, sk.StandardScaler(), sk.PoissonRegressor()), NUMBERS),
    "tweedie": (lambda sk: chain(sk, sk.StandardScaler(), sk.TweedieRegressor(power=1.5)), NUMBERS),
    "transformed-target": (log_target, NUMBERS),
    "decision-tree": (lambda sk: sk.DecisionTreeRegressor(max_depth=6, random_state=0), NUMBERS),
    "ordinal-random-forest": (
        lambda sk: chain(
            sk,
            by_column(sk, unknown_is(sk, -1), ["zone"], NUMBERS),
            sk.RandomForestRegressor(10, random_state=0),
        ),
        ("zone", *NUMBERS),
    ),
    "extra-trees": (lambda sk: sk.ExtraTreesRegressor(10, random_state=0), NUMBERS),
    "dict-gradient-boosting": (
        lambda sk: behind_dict(sk, sk.GradientBoostingRegressor(n_estimators=10, random_state=0)),
        RECORD,
    ),
    "gradient-boosting": (lambda sk: sk.GradientBoostingRegressor(n_estimators=20, random_state=0), NUMBERS),
    "hist-gradient-boosting": (lambda sk: sk.HistGradientBoostingRegressor(max_iter=20, random_state=0), HOLES),
    "hist-gradient-boosting-categories": (
        lambda sk: chain(
            sk,
            by_column(sk, unknown_is(sk, float("nan")), ["zone"], HOLES),
            sk.HistGradientBoostingRegressor(max_iter=20, categorical_features=[0], random_state=0),
        ),
        TABLE,
    ),
    "ada-boost": (lambda sk: sk.AdaBoostRegressor(n_estimators=10, random_state=0), NUMBERS),
    "bagging": (lambda sk: sk.BaggingRegressor(n_estimators=5, random_state=0), NUMBERS),
    "stacking": (lambda sk: sk.StackingRegressor([("ridge", sk.Ridge()), ("near", sk.KNeighborsRegressor())]), NUMBERS),
    "nearest-imputer-voting": (
        lambda sk: chain(
            sk, sk.KNNImputer(), sk.VotingRegressor([("ridge", sk.Ridge()), ("linear", sk.LinearRegression())])
        ),
        HOLES,
    ),
    "k-neighbors": (
        lambda sk: chain(sk, sk.StandardScaler(), sk.KNeighborsRegressor(4, weights="distance")),
        NUMBERS,
    ),
    "k-neighbors-brute": (lambda sk: sk.KNeighborsRegressor(4, algorithm="brute"), NUMBERS),
    "partial-least-squares": (lambda sk: sk.PLSRegression(n_components=2), NUMBERS),
    "partial-least-squares-of-one": (lambda sk: sk.PLSRegression(n_components=1), ("fare",)),
    "support-vectors": (lambda sk: chain(sk, sk.StandardScaler(), sk.SVR()), NUMBERS),
    "kernel-ridge": (lambda sk: chain(sk, sk.StandardScaler(), sk.KernelRidge(kernel="rbf")), NUMBERS),
    "kernel-map-ridge": (lambda sk: chain(sk, sk.Nystroem(n_components=20, random_state=0), sk.Ridge()), NUMBERS),
    "neural-network": (
        lambda sk: chain(
            sk, sk.MinMaxScaler(), sk.MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", max_iter=50, random_state=0)
        ),
        NUMBERS,
    ),
    "gaussian-process": (smooth, NUMBERS),
    "isotonic": (lambda sk: sk.IsotonicRegression(out_of_bounds="clip"), ("fare",)),
    "isolation-forest": (lambda sk: sk.IsolationForest(n_estimators=10, contamination=0.2, random_state=0), NUMBERS),
    "k-means": (lambda sk: sk.KMeans(4, n_init=2, random_state=0), NUMBERS),
    "gaussian-mixture": (lambda sk: sk.GaussianMixture(3, random_state=0), NUMBERS),
}

CLASSIFIERS = {
    "dict-logistic": (lambda sk: behind_dict(sk, sk.LogisticRegression(max_iter=2000)), RECORD),
    "logistic": (lambda sk: sk.LogisticRegression(max_iter=2000), NUMBERS),
    "gradient-descent-classifier": (
        lambda sk: chain(sk, sk.StandardScaler(), sk.SGDClassifier(random_state=0)),
        NUMBERS,
    ),
    "ridge-classifier": (lambda sk: sk.RidgeClassifier(), NUMBERS),
    "linear-support-vectors": (lambda sk: chain(sk, sk.StandardScaler(), sk.LinearSVC(random_state=0)), NUMBERS),
    "support-vector-classifier": (lambda sk: sk.SVC(), NUMBERS),
    "decision-tree-classifier": (lambda sk: sk.DecisionTreeClassifier(max_depth=6, random_state=0), NUMBERS),
    "random-forest-classifier": (lambda sk: sk.RandomForestClassifier(10, random_state=0), NUMBERS),
    "extra-trees-classifier": (lambda sk: sk.ExtraTreesClassifier(10, max_depth=5, random_state=0), NUMBERS),
    "gradient-boosting-classifier": (lambda sk: sk.GradientBoostingClassifier(n_estimators=5, random_state=0), NUMBERS),
    "hist-gradient-boosting-classifier": (
        lambda sk: sk.HistGradientBoostingClassifier(max_iter=5, random_state=0),
        HOLES,
    ),
    "ada-boost-classifier": (lambda sk: sk.AdaBoostClassifier(n_estimators=20, random_state=0), NUMBERS),
    "bagging-trees-classifier": (
        lambda sk: sk.BaggingClassifier(sk.DecisionTreeClassifier(max_depth=4), n_estimators=5, random_state=0),
        NUMBERS,
    ),
    "voting-trees-classifier": (
        lambda sk: sk.VotingClassifier(
            [("tree", sk.DecisionTreeClassifier(max_depth=3, random_state=0)), ("bayes", sk.GaussianNB())],
            voting="soft",
        ),
        NUMBERS,
    ),
    "stacking-trees-classifier": (
        lambda sk: sk.StackingClassifier([("tree", sk.DecisionTreeClassifier(max_depth=3, random_state=0))]),
        NUMBERS,
    ),
    "calibrated-classifier": (lambda sk: sk.CalibratedClassifierCV(sk.LogisticRegression(max_iter=2000)), NUMBERS),
    "calibrated-trees-classifier": (
        lambda sk: sk.CalibratedClassifierCV(sk.DecisionTreeClassifier(max_depth=3, random_state=0)),
        NUMBERS,
    ),
    "one-vs-rest-trees": (
        lambda sk: sk.OneVsRestClassifier(sk.DecisionTreeClassifier(max_depth=3, random_state=0)),
        NUMBERS,
    ),
    "self-training-trees": (
        lambda sk: sk.SelfTrainingClassifier(sk.RandomForestClassifier(5, max_depth=4, random_state=0)),
        NUMBERS,
    ),
    "k-neighbors-classifier": (lambda sk: sk.KNeighborsClassifier(), NUMBERS),
    "nearest-centroid": (lambda sk: sk.NearestCentroid(), NUMBERS),
    "naive-bayes": (lambda sk: sk.GaussianNB(), NUMBERS),
    "multinomial-bayes": (lambda sk: sk.MultinomialNB(), NUMBERS),
    "discriminant": (lambda sk: sk.LinearDiscriminantAnalysis(), NUMBERS),
    "quadratic-discriminant": (lambda sk: sk.QuadraticDiscriminantAnalysis(), NUMBERS),
    "neural-network-classifier": (
        lambda sk: chain(sk, sk.MinMaxScaler(), sk.MLPClassifier(hidden_layer_sizes=(8,), random_state=0)),
        NUMBERS,
    ),
}

KINDS = {**LINEAR, **REGRESSORS, **CLASSIFIERS}


def everything():
    """All of scikit-learn's estimators by name."""
    from sklearn.utils import all_estimators

    return SimpleNamespace(**dict(all_estimators()))


def trained(model, inputs, target):
    """(the fitted model, its predictions for all rows)."""
    if not isinstance(model, tuple):
        model.fit(inputs[:TRAINED_ON], target[:TRAINED_ON])
        return model, model.predict(inputs)
    vectorizer, estimator = model
    estimator.fit(vectorizer.fit_transform(inputs[:TRAINED_ON]), target[:TRAINED_ON])
    return model, estimator.predict(vectorizer.transform(inputs))


def sizes(model, inputs):
    """|intercept| + sum |coef * x| of each row: what the rounding errors of a linear model are relative to."""
    import numpy as np

    steps = list(model) if isinstance(model, tuple) else [step for _, step in getattr(model, "steps", [("", model)])]
    for step in steps[:-1]:
        inputs = step.transform(inputs)
    last = getattr(steps[-1], "estimator_", steps[-1])
    return (np.ravel(abs(inputs) @ np.ravel(abs(last.coef_))) + abs(np.ravel(last.intercept_)[0])).tolist()


def write(kind, sk, table, folder):
    """Trains one kind, and writes its model and what it predicts."""
    import joblib

    make, names = KINDS[kind]
    inputs = table[list(names)].to_dict("records") if names is RECORD else table[list(names)]
    learned = table["label" if kind in CLASSIFIERS else "minutes"].to_numpy()
    model, predicted = trained(make(sk), inputs, learned)
    (folder / (kind + ".pkl")).write_bytes(pickle.dumps(model, protocol=4))
    joblib.dump(model, str(folder / (kind + ".joblib")))
    said = {"predicted": predicted.ravel().tolist(), "sizes": sizes(model, inputs) if kind in LINEAR else None}
    (folder / (kind + ".json")).write_text(json.dumps(said))


def main(rows, folder):
    """Writes all kinds, and at last ``versions.json``."""
    import joblib
    import numpy as np
    import pandas as pd
    import scipy
    import sklearn

    warnings.simplefilter("ignore")  # of a version about its own future
    form = json.loads(Path(rows).read_text())
    table = pd.DataFrame({name: pd.Series(values) for name, values in form.items()})
    sk = everything()
    for kind in KINDS:
        write(kind, sk, table, folder)
    versions = {"scikit-learn": sklearn, "numpy": np, "scipy": scipy, "pandas": pd, "joblib": joblib}
    (folder / "versions.json").write_text(json.dumps({name: one.__version__ for name, one in versions.items()}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
