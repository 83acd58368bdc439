"""One-hot columns: what a tree asks of thousands of them becomes what it asks of one number.

A category's columns are 1 where the category is theirs, and a tree that looks at one of them asks "is it number 7?". It
asks so many times in a row, 7, then 4711, then 12, since one column tells no more. Such a chain leads to as many places
as it has questions, and to one more for all other categories. Here the numbers are put in order, and the chain becomes
a search among them by halves: of a hundred steps, about eight are left. Every row arrives where it did before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scoreline.models.compiled.form import NoForm
from scoreline.models.compiled.packing import LEAF, Tree
from scoreline.models.compiled.places import Places

_MOST = 1 << 22
"""Categories whose halves are 32-bit floats too."""


def by_place(tree: Tree, places: Places, floats: Any) -> Tree:
    """The tree that asks of a form's columns what one asks of an estimator's.

    Args:
        tree: whose features are the estimator's input columns.
        places: where these are found.
        floats: the type in which thresholds are compared, ``numpy.float32`` or ``numpy.float64``.

    Returns:
        A tree whose features are the form's columns, of which several nodes may have the same child.

    Raises:
        NoForm: it asks something else of a one-hot column than which category it is.
    """
    code = np.where(tree.leaf, -1, places.code[tree.feature])
    low, high = (ends[tree.feature].astype(floats) for ends in (places.low, places.high))
    tree = replace(tree, feature=places.column[tree.feature])
    if not (code >= 0).any():
        return tree
    if not ((low <= tree.threshold) & (tree.threshold < high))[code >= 0].all():
        raise NoForm("a tree asks something else of a one-hot column than whether the category is its own")
    if code.max() >= _MOST:
        raise NoForm("a one-hot encoded feature has too many categories")
    return _joined(tree, code, _searches(_chains(tree, code), len(code)))


@dataclass(frozen=True)
class _Chains:
    """Questions for categories of one column, each the left child of the one before, as intervals of numbers.

    Attributes:
        head: (chains,) the first node of each.
        first: (chains + 1,) where each begins among the intervals, and where the last ends.
        above: (intervals,) what an interval's numbers are above; in a chain these ascend, from -inf.
        target: (intervals,) the node that its numbers lead to.
    """

    head: np.ndarray
    first: np.ndarray
    above: np.ndarray
    target: np.ndarray


def _chains(tree: Tree, code: np.ndarray) -> _Chains:
    nodes = np.flatnonzero(code >= 0)
    below = tree.left[nodes]
    goes_on = (code[below] >= 0) & (tree.feature[below] == tree.feature[nodes])
    head = np.arange(len(code))
    head[below[goes_on]] = nodes[goes_on]
    head = _followed(head)[nodes]
    order = np.lexsort((code[nodes], head))
    nodes, below, goes_on = nodes[order], below[order], goes_on[order]
    heads, starts, chain = np.unique(head[order], return_index=True, return_inverse=True)
    ends = np.append(starts[1:], len(nodes)) - 1
    rest = np.empty(len(heads), dtype=np.int64)
    rest[chain[~goes_on]] = below[~goes_on]  # the left child of the last
    number = code[nodes].astype(np.float64)
    before = np.append(-np.inf, number[:-1])
    before[starts] = -np.inf
    if (before == number).any():
        raise NoForm("a tree asks twice for one category")
    apart = before < number - 1
    where = np.concatenate([chain, chain[apart], np.arange(len(heads))])
    above = np.concatenate([number - 0.5, before[apart] + 0.5, number[ends] + 0.5])
    target = np.concatenate([tree.right[nodes], rest[chain[apart]], rest])
    order = np.lexsort((above, where))
    first = np.searchsorted(where[order], np.arange(len(heads) + 1))
    return _Chains(heads, first, above[order], target[order])


def _followed(towards: np.ndarray) -> np.ndarray:
    """(nodes,) where each arrives that goes on and on to the node that it names."""
    while True:
        further = towards[towards]
        if (further == towards).all():
            return towards
        towards = further


@dataclass(frozen=True)
class _Searches:
    """Chains as searches by halves; nodes are numbered behind those of their tree.

    Attributes:
        head: (nodes,) the first node of the chain that one belongs to; the searches' first nodes are in the order of
            the chains, and come first.
        threshold: (nodes,) what it compares.
        left: (nodes,) its left child.
        right: (nodes,) its right one.
    """

    head: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray


def _searches(chains: _Chains, number: int) -> _Searches:
    """All of them at once, level by level; ``number`` is that of the first node."""
    head, low, high = chains.head, chains.first[:-1], chains.first[1:]
    levels = []
    while len(head):
        number += len(head)
        middle = (low + high) // 2
        lows, highs = np.concatenate([low, middle]), np.concatenate([middle, high])
        is_one = highs - lows == 1
        children = np.where(is_one, chains.target[lows], number + np.cumsum(~is_one) - 1)
        levels.append((head, chains.above[middle], children[: len(head)], children[len(head) :]))
        head, low, high = np.tile(head, 2)[~is_one], lows[~is_one], highs[~is_one]
    return _Searches(*(np.concatenate(parts) for parts in zip(*levels, strict=True)))


def _joined(tree: Tree, code: np.ndarray, searches: _Searches) -> Tree:
    """The tree with searches in the stead of chains, numbered anew: children behind their parents."""
    kept, count = np.flatnonzero(code < 0), len(searches.head)
    origin = np.concatenate([kept, searches.head])
    order = np.lexsort((np.concatenate([np.zeros(len(kept)), np.arange(count)]), origin))
    old = np.concatenate([kept, len(code) + np.arange(count)])[order]
    number = np.zeros(len(code) + count, dtype=np.int64)
    number[old] = np.arange(len(old))
    heads, firsts = np.unique(searches.head, return_index=True)
    number[heads] = number[len(code) + firsts]

    def beside(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
        return np.concatenate([mine[kept], theirs])[order]

    leaf = beside(tree.leaf, np.zeros(count, dtype=bool))
    none = np.zeros((count, tree.values.shape[1]))
    return Tree(
        np.where(leaf, LEAF, number[beside(tree.left, searches.left)]),
        np.where(leaf, LEAF, number[beside(tree.right, searches.right)]),
        beside(tree.feature, tree.feature[searches.head]),
        beside(tree.threshold, searches.threshold),
        beside(tree.missing_left, np.zeros(count, dtype=bool)),
        beside(tree.values, none),
        beside(tree.split, np.full(count, -1)),
    )
