"""The walk through trees as machine code, made by Numba when it is first needed and kept on disk.

A node is one word of 64 bits, and one layout does for all kinds of trees:

    bits 0..31    a threshold, in an inner node; the number of the leaf, in a leaf
    then          the column that is compared, as many bits as a forest needs; the highest of them tells missing values
                  to go left
    above         the left child, counted from the tree's root; the right child follows it

Values are compared as 32-bit keys that keep their order (`scoreline.models.compiled.keys`), so that a step is a load, a
comparison and an addition. A leaf is its own left child, and compares a column whose keys are below all thresholds:
a row that has arrived stays, and several rows walk a fixed number of steps side by side without a branch between them.
All indices are unsigned, since Numba would count a signed one from the end where it is negative, and that costs as
much as the rest of the step.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core import config

_U = np.uint64
_HALF = np.uint64(32)


@numba.njit(nogil=True, forceinline=True)
def _step(nodes, root, at, keys, row, shift, mask, splits, numbers, kinds):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, PLR0913, PLR0917
    """The child of node ``at`` that a row goes to.

    The ``kinds`` columns behind ``numbers`` and the constant hold categories. Where ``splits`` is None their branch is
    not compiled at all.
    """
    word = nodes[at]
    column = (word >> _HALF) & mask
    key = keys[row + column]
    if splits is None:  # noqa: SIM114 - a branch of its own is what Numba leaves the others out for
        right = _U(key > np.int32(word))
    elif column - numbers - _U(1) >= kinds:
        right = _U(key > np.int32(word))
    else:
        code = _U(np.uint32(key))
        right = _U((splits[_U(np.uint32(word)), code >> _U(5)] >> np.uint32(code & _U(31))) & np.uint32(1))
    return root + (word >> shift) + right


@numba.njit(nogil=True, forceinline=True)
def _add(leaves, word, width, out, at):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    start = _U(np.uint32(word)) * width
    for k in range(width):
        out[at + k] += leaves[start + k]


def _walk(nodes, roots, rounds, leaves, firsts, keys, mask, shift, splits, numbers, kinds, out):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, PLR0913, PLR0915, PLR0917
    """Adds every tree's leaf to ``out``, tree by tree, so that a row's sum has one order whatever its neighbours."""
    stride = _U(keys.shape[1])
    outputs = _U(out.shape[1])
    width = _U(leaves.shape[1])
    flat, values, sums = keys.ravel(), leaves.ravel(), out.ravel()
    rows = keys.shape[0]
    for t in range(len(roots) - 1):
        root = roots[t]
        first = firsts[t]
        sure = rounds[t, 0]
        most = rounds[t, 1]
        for r in range(0, rows - 7, 8):
            ra = _U(r) * stride
            rb, rc, rd = ra + stride, ra + _U(2) * stride, ra + _U(3) * stride
            re, rf, rg, rh = ra + _U(4) * stride, ra + _U(5) * stride, ra + _U(6) * stride, ra + _U(7) * stride
            a = b = c = d = e = f = g = h = root
            for _ in range(sure):
                a = _step(nodes, root, a, flat, ra, shift, mask, splits, numbers, kinds)
                b = _step(nodes, root, b, flat, rb, shift, mask, splits, numbers, kinds)
                c = _step(nodes, root, c, flat, rc, shift, mask, splits, numbers, kinds)
                d = _step(nodes, root, d, flat, rd, shift, mask, splits, numbers, kinds)
                e = _step(nodes, root, e, flat, re, shift, mask, splits, numbers, kinds)
                f = _step(nodes, root, f, flat, rf, shift, mask, splits, numbers, kinds)
                g = _step(nodes, root, g, flat, rg, shift, mask, splits, numbers, kinds)
                h = _step(nodes, root, h, flat, rh, shift, mask, splits, numbers, kinds)
            for _ in range(sure, most):
                was = (a, b, c, d, e, f, g, h)
                a = _step(nodes, root, a, flat, ra, shift, mask, splits, numbers, kinds)
                b = _step(nodes, root, b, flat, rb, shift, mask, splits, numbers, kinds)
                c = _step(nodes, root, c, flat, rc, shift, mask, splits, numbers, kinds)
                d = _step(nodes, root, d, flat, rd, shift, mask, splits, numbers, kinds)
                e = _step(nodes, root, e, flat, re, shift, mask, splits, numbers, kinds)
                f = _step(nodes, root, f, flat, rf, shift, mask, splits, numbers, kinds)
                g = _step(nodes, root, g, flat, rg, shift, mask, splits, numbers, kinds)
                h = _step(nodes, root, h, flat, rh, shift, mask, splits, numbers, kinds)
                moved = (was[0] ^ a) | (was[1] ^ b) | (was[2] ^ c) | (was[3] ^ d)
                if moved | (was[4] ^ e) | (was[5] ^ f) | (was[6] ^ g) | (was[7] ^ h) == _U(0):
                    break
            at = _U(r) * outputs + first
            _add(values, nodes[a], width, sums, at)
            _add(values, nodes[b], width, sums, at + outputs)
            _add(values, nodes[c], width, sums, at + _U(2) * outputs)
            _add(values, nodes[d], width, sums, at + _U(3) * outputs)
            _add(values, nodes[e], width, sums, at + _U(4) * outputs)
            _add(values, nodes[f], width, sums, at + _U(5) * outputs)
            _add(values, nodes[g], width, sums, at + _U(6) * outputs)
            _add(values, nodes[h], width, sums, at + _U(7) * outputs)
        for r in range(rows - rows % 8, rows):
            a = root
            for _ in range(most):
                a = _step(nodes, root, a, flat, _U(r) * stride, shift, mask, splits, numbers, kinds)
            _add(values, nodes[a], width, sums, _U(r) * outputs + first)


def _survey(nodes, roots, leaves, mask, shift, splits, numbers, columns, rounds):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, PLR0913, PLR0917
    """Fills ``rounds``: (trees, 2) steps that are taken in any case, and at most. False where a walk could go astray.

    Children lie behind their parents, which makes every walk end.
    """
    for t in range(len(roots) - 1):
        root, size = roots[t], np.int64(roots[t + 1] - roots[t])
        depth = np.zeros(size, np.int64)
        seen = np.zeros(size, np.bool_)
        seen[0] = True
        usual = 0.0
        for i in range(size):
            word = nodes[root + _U(i)]
            left = np.int64(word >> shift)
            tag = (word >> _HALF) & mask
            column = tag & (mask >> _U(1))
            low = np.int64(np.uint32(word))
            if left == i:
                if tag != numbers or low >= leaves:
                    return False
                continue
            if left < i or left + 1 >= size or column == numbers or column >= columns:
                return False
            if column > numbers and (low >= splits or tag != column):
                return False
            if seen[i]:
                seen[left] = seen[left + 1] = True
                depth[left] = max(depth[left], depth[i] + 1)
                depth[left + 1] = max(depth[left + 1], depth[i] + 1)
                usual += 0.5 ** min(depth[i], 1000)
        rounds[t, 1] = depth.max()
        # A row that goes either way with the same chance takes this many steps, and of eight rows one takes more.
        rounds[t, 0] = min(np.int64(usual), rounds[t, 1])
    return True


def walk(*, by_category: bool) -> Callable[..., None]:
    """`_walk` as machine code, with or without splits by categories."""
    splits = types.Array(types.uint32, 2, "C") if by_category else types.none
    return _compiled(
        _walk,
        (
            *_FOREST[:2],
            types.Array(types.int64, 2, "C"),
            types.Array(types.float64, 2, "C"),
            types.Array(types.uint64, 1, "C"),
            types.Array(types.int32, 2, "C"),
            types.uint64,
            types.uint64,
            splits,
            types.uint64,
            types.uint64,
            types.Array(types.float64, 2, "C"),
        ),
    )


def survey() -> Callable[..., bool]:
    """`_survey` as machine code."""
    return _compiled(
        _survey,
        (
            *_FOREST[:2],
            types.int64,
            types.uint64,
            types.uint64,
            types.int64,
            types.uint64,
            types.uint64,
            types.Array(types.int64, 2, "C"),
        ),
    )


def keep_in(folder: Path | None) -> None:
    """Names the folder where machine code is kept for the next process; of what is compiled from now on.

    Where ``NUMBA_CACHE_DIR`` is set, it lies there; without either, beside this module or in the user's cache. What
    cannot be read or kept there is compiled again: that takes a few seconds and never fails. A folder that others may
    write is not used, since machine code from there would be run.
    """
    _KEPT["folder"] = folder


_FOREST = (types.Array(types.uint64, 1, "C"), types.Array(types.uint64, 1, "C"))
_KEPT: dict[str, Path | None] = {"folder": None}
_MADE: dict[Any, Any] = {}
_LOCK = threading.RLock()


def _compiled(function: Callable[..., Any], signature: tuple[Any, ...]) -> Callable[..., Any]:
    key = function.__name__, signature
    made = _MADE.get(key)
    if made is None:
        with _LOCK:
            made = _MADE.get(key) or _made(function, signature)
            _MADE[key] = made
    return made  # type: ignore[no-any-return]


def _made(function: Callable[..., Any], signature: tuple[Any, ...]) -> Any:
    """Loaded, or compiled and kept. A damaged cache, or a full disk, raises anything: then it is emptied, then left."""
    # Where its user has told Numba a folder, that is the one.
    folder = None if os.environ.get("NUMBA_CACHE_DIR") else _own_folder(_KEPT["folder"])
    for clean in (False, True) if folder else (False,):
        with contextlib.suppress(Exception):
            if clean and folder:
                _empty(folder)
            with _cache_in(folder):
                made = numba.njit(nogil=True, cache=True)(function)
            made.compile(signature)
            return made
    made = numba.njit(nogil=True)(function)
    made.compile(signature)
    return made


def _own_folder(folder: Path | None) -> Path | None:
    """A subfolder for exactly this code; None where nothing can be kept, or where others might have put something.

    Numba compares the source file on disk, which an upgrade may have replaced under a running process.
    """
    if folder is None:
        return None
    codes = [part.__code__ for part in (_step.py_func, _add.py_func, _walk, _survey)]
    told = repr([(code.co_code, code.co_consts, code.co_names) for code in codes])
    own = folder / f"numba-{numba.__version__}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    try:
        # One by one: parents that are made along have the mode that the user's mask leaves.
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True, mode=0o700)
        own.mkdir(exist_ok=True, mode=0o700)
        safe = all(one.st_uid == os.geteuid() and not one.st_mode & 0o022 for one in (folder.stat(), own.stat()))
    except OSError:
        return None
    return own if safe else None


@contextlib.contextmanager
def _cache_in(folder: Path | None) -> Iterator[None]:
    """Numba asks for the folder once, when a function is decorated."""
    settings: Any = config
    before = settings.CACHE_DIR
    settings.CACHE_DIR = str(folder) if folder else before
    try:
        yield
    finally:
        settings.CACHE_DIR = before


def _empty(folder: Path) -> None:
    for path in [*folder.rglob("*.nbi"), *folder.rglob("*.nbc")]:
        path.unlink(missing_ok=True)
