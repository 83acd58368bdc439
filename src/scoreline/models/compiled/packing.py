"""Packing: trees as libraries keep them, in the layout that the kernel walks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scoreline.models.compiled.form import NoForm
from scoreline.models.compiled.keys import Keys, float_keys, rounded_down
from scoreline.models.compiled.trees import SPLIT_WORDS, Trees, column_bits

LEAF = -1


@dataclass(frozen=True)
class Tree:
    """One tree, before it is packed; the root is its first node, and children come behind their parents.

    Attributes:
        left: (nodes,) int64, where a row goes whose value is at most the threshold; `LEAF` in a leaf.
        right: (nodes,) int64, where all others go.
        feature: (nodes,) int64, the column that is compared; any in a leaf.
        threshold: (nodes,) float64.
        missing_left: (nodes,) bool, whether a missing value goes left.
        values: (nodes, values) float64, what a leaf adds.
        split: (nodes,) int64, the number of a split by categories; -1 where numbers are compared.
    """

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    values: np.ndarray
    split: np.ndarray

    @property
    def leaf(self) -> np.ndarray:
        """(nodes,) bool."""
        return np.asarray(self.left == LEAF)


@dataclass(frozen=True)
class Ensemble:
    """How trees are added up, and what their categories are.

    Attributes:
        firsts: (trees,) uint64, the first of the outputs that a tree adds to.
        base: (outputs,) float64, the scores before any tree.
        divisor: of the sums.
        splits: (splits, 9) uint32, which categories go right.
        texts: matrix column -> its categories, where these are text.
    """

    firsts: np.ndarray
    base: np.ndarray
    divisor: int = 1
    splits: np.ndarray | None = None
    texts: dict[int, tuple[str, ...]] | None = None


def compared(trees: Sequence[Tree]) -> dict[int, np.ndarray]:
    """Column -> (thresholds,) float64, ascending, of the columns that trees compare as numbers, in order."""
    asks = [~tree.leaf & (tree.split < 0) for tree in trees]
    column = np.concatenate([tree.feature[those] for tree, those in zip(trees, asks, strict=True)])
    threshold = np.concatenate([tree.threshold[those] for tree, those in zip(trees, asks, strict=True)])
    order = np.argsort(column, kind="stable")
    columns, starts = np.unique(column[order], return_index=True)
    found = np.split(threshold[order], starts[1:])
    return {int(one): np.unique(some[~np.isnan(some)]) for one, some in zip(columns, found, strict=False)}


def pack_trees(trees: Sequence[Tree], keys: Keys, ensemble: Ensemble) -> Trees:
    """The trees in the kernel's layout.

    Raises:
        NoForm: one is too large for it.
    """
    bits = column_bits(keys)
    if bits > 30 or any(_size(tree) > 1 << (32 - bits) for tree in trees):
        raise NoForm("a tree has more nodes, or more columns, than a packed node can tell apart")
    starts = np.concatenate([[0], np.cumsum([int(tree.leaf.sum()) for tree in trees])])
    parts = [_words(tree, keys, bits, int(start)) for tree, start in zip(trees, starts, strict=False)]
    roots = np.concatenate([[0], np.cumsum([len(words) for words in parts])]).astype(np.uint64)
    leaves = np.concatenate([tree.values[tree.leaf] for tree in trees])
    arrays = {
        "nodes": np.concatenate(parts),
        "roots": roots,
        "leaves": np.ascontiguousarray(leaves, dtype=np.float64),
        "firsts": ensemble.firsts,
        "splits": np.empty((0, SPLIT_WORDS), dtype=np.uint32) if ensemble.splits is None else ensemble.splits,
        "base": ensemble.base,
    }
    return Trees.checked(keys, arrays, ensemble.divisor, ensemble.texts)


def _size(tree: Tree) -> int:
    return 2 * (1 + int((~tree.leaf).sum()))


def _words(tree: Tree, keys: Keys, bits: int, first_leaf: int) -> np.ndarray:
    """(nodes,) uint64. Pairs of children lie in the order of their parents, which is nearly that of a walk.

    The root is alone in the first pair; what is beside it is a leaf that nothing leads to. A child of several parents
    is there several times, and the pair of its own children once.
    """
    leaf = tree.leaf
    inner = np.flatnonzero(~leaf)
    pair = np.zeros(len(leaf), dtype=np.int64)
    pair[inner] = 2 * (1 + np.arange(len(inner)))
    node = np.empty(_size(tree), dtype=np.int64)
    node[0], node[1] = 0, np.flatnonzero(leaf)[0]
    node[pair[inner]], node[pair[inner] + 1] = tree.left[inner], tree.right[inner]
    column, low = _questions(tree, keys)
    column = np.where(leaf, keys.constant, column)
    low = np.where(leaf, first_leaf + np.cumsum(leaf) - 1, low)
    left = np.where(leaf[node], np.arange(len(node)), pair[node])
    high = (left.astype(np.uint64) << np.uint64(bits)) | column[node].astype(np.uint64)
    return np.asarray((high << np.uint64(32)) | (low[node] & 0xFFFFFFFF).astype(np.uint64))


def _questions(tree: Tree, keys: Keys) -> tuple[np.ndarray, np.ndarray]:
    """(nodes,) key columns, with the bit that sends missing values left, and (nodes,) keys, or numbers of splits."""
    place = np.zeros(keys.width, dtype=np.int64)
    place[keys.numbers] = np.arange(len(keys.numbers))
    place[keys.categories] = keys.constant + 1 + np.arange(len(keys.categories))
    column = place[tree.feature]
    if keys.cuts is None:
        asked = float_keys(rounded_down(tree.threshold)).astype(np.int64)
    else:
        asked = tree.split.astype(np.int64)
        for at, cuts in enumerate(keys.cuts):
            mine = (column == at) & (tree.split < 0)
            found = tree.threshold[mine]
            # Between -inf and inf lies NaN as a threshold, and nothing is at most NaN: everything is above -1.
            asked[mine] = np.where(np.isnan(found), -1, np.searchsorted(cuts, found))
    return column + keys.half * tree.missing_left, asked
