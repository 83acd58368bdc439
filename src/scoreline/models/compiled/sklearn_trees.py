"""scikit-learn's trees and their ensembles, read into `Trees` and the `Link` of what they predict.

Whatever is not known to be reproduced exactly has no compiled form, and says why: subclasses, classifiers of several
outputs, boosting that starts from a model of its own, categories that are neither plain text nor numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from scoreline.models.compiled.form import NoForm
from scoreline.models.compiled.keys import MISSING_CATEGORY, Keys
from scoreline.models.compiled.link import Kind, Link
from scoreline.models.compiled.one_hot import by_place
from scoreline.models.compiled.packing import LEAF, Ensemble, Tree, compared, pack_trees
from scoreline.models.compiled.places import Places
from scoreline.models.compiled.trees import SPLIT_WORDS, Trees

_TREES = ("DecisionTreeRegressor", "DecisionTreeClassifier", "ExtraTreeRegressor", "ExtraTreeClassifier")
_FORESTS = ("RandomForestRegressor", "RandomForestClassifier", "ExtraTreesRegressor", "ExtraTreesClassifier")
_FAST = ("xgboost", "lightgbm")
_EXACT = 2.0**53


def read_trees(estimator: Any, places: Places | None = None) -> tuple[Trees, Link]:
    """The compiled form of a fitted estimator.

    Nothing of it is called but what tells whether it takes missing values, and where boosting starts.

    Args:
        estimator: of scikit-learn.
        places: where its input columns are found; each is its own, if not given.

    Raises:
        NoForm: there is no exact one; or Numba is not installed, which walks the trees.
    """
    name = type(estimator).__name__
    reader = next((read for kinds, read in _READERS.items() if _is(estimator, kinds)), None)
    if type(estimator).__module__.partition(".")[0] in _FAST:
        raise NoForm(f"{name} predicts through its own library")
    if reader is None and not type(estimator).__module__.startswith("sklearn."):
        raise NoForm(f"{name} is a class of its own, which may predict anything")
    if reader is None:
        raise NoForm(f"{name} is not known to be reproduced exactly")
    if not hasattr(estimator, "n_features_in_"):
        raise NoForm(f"{name} was never fitted")
    if find_spec("numba") is None:
        raise NoForm("numba is not installed, and trees need it: pip install 'scoreline[trees]'")
    places = places or Places.each_its_own(estimator.n_features_in_)
    if len(places.column) != estimator.n_features_in_:
        raise NoForm("the estimator reads another number of columns than the features make")
    try:
        return reader(estimator, places)
    except (AttributeError, IndexError, KeyError, ValueError) as error:
        raise NoForm(f"{name} was made by a version that kept its trees in another way") from error


def _is(part: Any, kinds: tuple[str, ...]) -> bool:
    """Whether it is exactly of one of scikit-learn's classes: a subclass may predict something else."""
    return type(part).__name__ in kinds and type(part).__module__.startswith("sklearn.")


# ---------------------------------------------------------------------------------------- trees of 32-bit floats


def _of_tree(estimator: Any, places: Places) -> tuple[Trees, Link]:
    return _of_forest(estimator, places, [estimator])


def _of_forest(estimator: Any, places: Places, members: Sequence[Any] | None = None) -> tuple[Trees, Link]:
    link = _forest_link(estimator)
    members = estimator.estimators_ if members is None else members
    if not members or not all(_is(member, _TREES) for member in members):
        raise NoForm(f"{type(estimator).__name__} is not made of plain trees")
    single = members[0] is estimator
    # scikit-learn asks the first tree whether missing values are allowed.
    takes_missing = not places.sparse and bool(members[0]._support_missing_values(np.empty((0, 0))))  # noqa: SLF001
    trees = [member.tree_ for member in members]
    values = [tree.value.reshape(tree.node_count, -1) for tree in trees]
    # A single tree's values are taken as they are; -0.0 is what adding changes nothing of.
    base = np.full(values[0].shape[1], -0.0 if single else 0.0)
    firsts = np.zeros(len(trees), dtype=np.uint64)
    ensemble = Ensemble(firsts, base, len(trees))
    return _of_floats(estimator, places, trees, values, ensemble, takes_missing=takes_missing), link


def _forest_link(estimator: Any) -> Link:
    if not hasattr(estimator, "classes_"):
        return Link("identity")
    if estimator.n_outputs_ != 1:
        raise NoForm(f"{type(estimator).__name__} predicts labels of several outputs")
    return _labels("mean", estimator)


def _labels(kind: Kind, estimator: Any, zero: int = 0) -> Link:
    link = Link.to_labels(kind, estimator.classes_, zero)
    if link is None:
        raise NoForm(f"the labels of {type(estimator).__name__} are neither all texts, nor numbers, nor booleans")
    return link


def _of_boosting(estimator: Any, places: Places) -> tuple[Trees, Link]:
    link, base = _boosting_link(estimator), _start(estimator)
    members = estimator.estimators_
    if not all(_is(member, _TREES[:1]) for member in members.flat):
        raise NoForm(f"{type(estimator).__name__} is not made of plain trees")
    # The exponential loss has half the log odds as its score. Twice a float is exact, and so is the sum of such.
    factor = 2.0 if type(estimator._loss).__name__ == "ExponentialLoss" else 1.0  # noqa: SLF001
    trees = [member.tree_ for member in members.flat]
    values = [factor * (estimator.learning_rate * tree.value.reshape(tree.node_count, 1)) for tree in trees]
    firsts = np.tile(np.arange(members.shape[1], dtype=np.uint64), members.shape[0])
    ensemble = Ensemble(firsts, factor * base)
    return _of_floats(estimator, places, trees, values, ensemble, takes_missing=False), link


def _boosting_link(estimator: Any) -> Link:
    loss = type(estimator._loss).__name__  # noqa: SLF001
    labels = hasattr(estimator, "classes_")
    if not labels and loss in {"HalfSquaredError", "AbsoluteError", "HuberLoss", "PinballLoss"}:
        return Link("identity")
    if labels and loss in {"HalfBinomialLoss", "ExponentialLoss"} and len(estimator.classes_) == 2:
        return _labels("logistic", estimator, zero=1)
    if labels and loss == "HalfMultinomialLoss":
        return _labels("softmax", estimator)
    raise NoForm(f"{type(estimator).__name__} with the loss {loss} is not known to be reproduced exactly")


_CONSTANT = {"prior", "most_frequent", "constant", "mean", "median", "quantile"}


def _start(estimator: Any) -> np.ndarray:
    """(outputs,) the scores before any tree, where they depend neither on the row nor on chance."""
    outputs, init = estimator.estimators_.shape[1], estimator.init_
    if isinstance(init, str) and init == "zero":
        return np.zeros(outputs)
    if not _is(init, ("DummyRegressor", "DummyClassifier")) or init.strategy not in _CONSTANT:
        raise NoForm(f"{type(estimator).__name__} starts from {type(init).__name__}, not from a constant")
    start = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), dtype=np.float32))  # noqa: SLF001
    if np.size(start) != outputs:
        raise NoForm(f"{type(estimator).__name__} starts from another number of scores than it gives")
    return np.asarray(start, dtype=np.float64).reshape(-1)


def _of_floats(
    estimator: Any,
    places: Places,
    trees: Sequence[Any],
    values: Sequence[np.ndarray],
    ensemble: Ensemble,
    *,
    takes_missing: bool,
) -> Trees:
    """Trees whose thresholds are compared with 32-bit floats."""
    if any(np.isnan(tree.threshold).any() for tree in trees):
        raise NoForm(f"{type(estimator).__name__} has a threshold that is no number")
    nothing = np.full(max(tree.node_count for tree in trees), -1)
    read = [
        by_place(
            Tree(
                tree.children_left,
                tree.children_right,
                np.maximum(tree.feature, 0),
                tree.threshold,
                tree.missing_go_to_left.astype(bool),
                value,
                nothing[: tree.node_count],
            ),
            places,
            np.float32,
        )
        for tree, value in zip(trees, values, strict=True)
    ]
    numbers = np.array([*compared(read)], dtype=np.int64)
    return pack_trees(read, Keys(places.count, numbers, takes_missing=takes_missing), ensemble)


# ---------------------------------------------------------------------------------------- trees of histograms


def _of_histograms(estimator: Any, places: Places) -> tuple[Trees, Link]:
    base = np.asarray(estimator._baseline_prediction)  # noqa: SLF001
    link, columns = _histogram_link(estimator), _categorical(estimator)
    if base.dtype != np.float64:
        raise NoForm(f"{type(estimator).__name__} starts from {base.dtype}, not from 64-bit floats")
    is_category, known, texts = columns
    if places.sparse or (places.code[is_category] >= 0).any():
        raise NoForm(f"{type(estimator).__name__} reads neither sparse matrices nor categories of encoded columns")
    predictors = [predictor for iteration in estimator._predictors for predictor in iteration]  # noqa: SLF001
    outputs = estimator.n_trees_per_iteration_
    # The encoder's columns come first.
    order = np.concatenate([np.flatnonzero(is_category), np.flatnonzero(~is_category)])
    read, splits = [], [np.empty((0, SPLIT_WORDS), dtype=np.uint32)]
    for predictor in predictors:
        read.append(by_place(_of_predictor(predictor.nodes, order, sum(map(len, splits))), places, np.float64))
        splits.append(_rightward(predictor))
    firsts = np.tile(np.arange(outputs, dtype=np.uint64), len(predictors) // outputs)
    start = np.broadcast_to(base.reshape(-1), (outputs,)).copy()
    named = {int(places.column[one]): those for one, those in texts.items()}
    cuts = compared(read)
    keys = Keys(
        places.count,
        np.array([*cuts], dtype=np.int64),
        # Of a category an infinite value is refused, whether a tree asks for it or not.
        places.column[np.flatnonzero(is_category)],
        tuple(known[one] for one in np.flatnonzero(is_category).tolist()),
        tuple(cuts.values()),
    )
    return pack_trees(read, keys, Ensemble(firsts, start, 1, np.concatenate(splits), named)), link


_LINKS: dict[str, Kind] = {"IdentityLink": "identity", "LogLink": "log"}


def _histogram_link(estimator: Any) -> Link:
    link = type(estimator._loss.link).__name__  # noqa: SLF001
    labels = hasattr(estimator, "classes_")
    if not labels and link in _LINKS:
        return Link(_LINKS[link])
    if labels and link == "LogitLink" and len(estimator.classes_) == 2:
        return _labels("logistic", estimator)
    if labels and link == "MultinomialLogit":
        return _labels("softmax", estimator)
    raise NoForm(f"{type(estimator).__name__} with the {link} is not known to be reproduced exactly")


def _categorical(estimator: Any) -> tuple[np.ndarray, dict[int, np.ndarray], dict[int, tuple[str, ...]]]:
    """Which columns are categories; column -> their values as floats; column -> their texts."""
    if not hasattr(estimator, "_preprocessor"):
        raise NoForm(f"{type(estimator).__name__} was made by a version that encoded categories in another way")
    if estimator._preprocessor is None:  # noqa: SLF001
        return np.zeros(estimator.n_features_in_, dtype=bool), {}, {}
    is_category = np.asarray(estimator.is_categorical_, dtype=bool)
    encoder = estimator._preprocessor.named_transformers_["encoder"]  # noqa: SLF001
    known, texts = {}, {}
    for column, categories in zip(np.flatnonzero(is_category).tolist(), encoder.categories_, strict=True):
        values = _without_nan(categories)
        if all(isinstance(value, str) for value in values):
            texts[column] = tuple(map(str, values))
            known[column] = np.arange(len(values), dtype=np.float64)
        elif np.asarray(categories).dtype.kind in "biuf" and all(abs(value) < _EXACT for value in values):
            known[column] = np.array(values, dtype=np.float64)
        else:
            raise NoForm(
                f"{type(estimator).__name__} has learned categories that are neither all texts nor plain numbers"
            )
    return is_category, known, texts


def _without_nan(categories: Any) -> list[Any]:
    listed = np.asarray(categories).tolist()
    return listed[:-1] if listed and isinstance(listed[-1], float) and np.isnan(listed[-1]) else list(listed)


def _of_predictor(nodes: Any, order: np.ndarray, splits: int) -> Tree:
    leaf = nodes["is_leaf"] == 1
    by_category = nodes["is_categorical"] == 1
    return Tree(
        np.where(leaf, LEAF, nodes["left"].astype(np.int64)),
        nodes["right"].astype(np.int64),
        order[np.where(leaf, 0, nodes["feature_idx"])],
        nodes["num_threshold"],
        (nodes["missing_go_to_left"] == 1) & ~by_category,
        nodes["value"][:, None],
        np.where(by_category, splits + nodes["bitset_idx"].astype(np.int64), -1),
    )


def _rightward(predictor: Any) -> np.ndarray:
    """(splits, 9) which of a predictor's categories go right; the last word is of missing and unknown ones."""
    leftward = np.asarray(predictor.raw_left_cat_bitsets, dtype=np.uint32)
    nodes = predictor.nodes
    mine = nodes[(nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 1)]
    splits = np.zeros((len(leftward), SPLIT_WORDS), dtype=np.uint32)
    splits[:, : MISSING_CATEGORY // 32] = ~leftward
    splits[mine["bitset_idx"], MISSING_CATEGORY // 32] = mine["missing_go_to_left"] == 0
    return splits


_READERS: dict[tuple[str, ...], Callable[[Any, Places], tuple[Trees, Link]]] = {
    _TREES: _of_tree,
    _FORESTS: _of_forest,
    ("GradientBoostingRegressor", "GradientBoostingClassifier"): _of_boosting,
    ("HistGradientBoostingRegressor", "HistGradientBoostingClassifier"): _of_histograms,
}
