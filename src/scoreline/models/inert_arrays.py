"""Inert arrays: NumPy's arrays and numbers out of the things that a pickle holds, made from their bytes alone.

Names of NumPy 1 and 2, protocols 0 to 5, and joblib's way of putting an array's bytes between the instructions. Only
booleans, integers, floats and texts; of arrays of objects only such as hold plain labels.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from scoreline.models.inert import Name, Take, Thing, Unreadable

_CORES = ("numpy.core", "numpy._core")  # NumPy 1 and 2
ARRAY, DTYPE = Name("numpy", "ndarray"), Name("numpy", "dtype")
_RECONSTRUCT = {Name(f"{core}.multiarray", "_reconstruct") for core in _CORES}
_SCALAR = {Name(f"{core}.multiarray", "scalar") for core in _CORES}
_FROM_BUFFER = {Name(f"{core}.numeric", "_frombuffer") for core in _CORES}
_ENCODE = Name("_codecs", "encode")
WRAPPER = Name("joblib.numpy_pickle", "NumpyArrayWrapper")
_BITS = ("8", "16", "32", "64")
_NUMBERS = ("float32", "float64", *(f"int{bits}" for bits in _BITS), *(f"uint{bits}" for bits in _BITS))
_TYPES = {Name("numpy", name) for name in _NUMBERS}

NAMES = {ARRAY, DTYPE, _ENCODE, WRAPPER, *_RECONSTRUCT, *_SCALAR, *_FROM_BUFFER, *_TYPES}
"""All names that mean something here."""

_KIND = re.compile(r"[|<>=]?(?:b1|[iu][1248]|f[48]|U[1-9][0-9]{0,5}|O8?)")
_LABELS = {str, int, bool, float}
_MAX_DIMENSIONS = 2


def array_of(value: Any) -> np.ndarray:
    """The array that a thing stands for.

    Raises:
        Unreadable: it is none, or its bytes do not fit its shape.
    """
    if isinstance(value, np.ndarray):  # joblib's, which was read on the way
        return value
    if not isinstance(value, Thing):
        raise Unreadable(f"a {type(value).__name__} stands where an array belongs")
    if value.callee in _RECONSTRUCT:
        return _reconstructed(value)
    if value.callee in _FROM_BUFFER and value.state is None and len(value.arguments) == 4:
        content, dtype, shape, order = value.arguments
        return _filled(_bytes(content), dtype_of(dtype), _shape(shape), fortran=_is_fortran(order))
    raise Unreadable(f"{value.callee} is no array")


def number_of(value: Any) -> float | np.ndarray:
    """A float, NumPy's or Python's, or an array of them."""
    if type(value) in {float, int}:
        try:
            return float(value)
        except OverflowError as error:
            raise Unreadable("a number is too large") from error
    if isinstance(value, Thing) and value.callee in _SCALAR and len(value.arguments) == 2 and value.state is None:
        dtype, content = value.arguments
        made: np.ndarray = _filled(_bytes(content), dtype_of(dtype), (), fortran=False)
        return made[()]
    return array_of(value)


def dtype_of(value: Any) -> np.dtype:
    """The element type that ``numpy.float64``, or a pickled dtype, stands for."""
    if isinstance(value, Name) and value in _TYPES:
        return np.dtype(value.name)
    if not isinstance(value, Thing) or value.callee != DTYPE or not value.arguments:
        raise Unreadable("an element type is not NumPy's")
    code = value.arguments[0]
    if type(code) is not str or not _KIND.fullmatch(code):
        raise Unreadable("an element type is none of booleans, integers, floats and texts")
    state = value.state
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
    if type(order) is not str or order not in {"<", ">", "=", "|"}:
        raise Unreadable("an element type has no order of bytes")
    return np.dtype(code).newbyteorder(">" if order == ">" else "=")


def embedded(thing: Thing, take: Take) -> Any:
    """See `scoreline.models.inert.Built`: the array whose bytes joblib has put behind its wrapper.

    Raises:
        Unreadable: the bytes are not there. An array of objects is a pickle of its own, and is not followed.
    """
    if thing.callee != WRAPPER:
        return thing
    state = thing.state
    if not isinstance(state, dict) or state.get("subclass") != ARRAY:
        raise Unreadable("joblib's wrapper holds no array")
    dtype, shape = dtype_of(state.get("dtype")), _shape(state.get("shape"))
    if dtype.hasobject:
        raise ObjectsWithin("an array of objects lies in joblib's file")
    if type(state.get("numpy_array_alignment_bytes")) is int:
        (padding,) = take(1)
        take(padding)
    return _filled(take(_size(dtype, shape)), dtype, shape, fortran=_is_fortran(state.get("order")))


class ObjectsWithin(Unreadable):
    """What follows is no damage, and only an unpickler can read it."""


def _reconstructed(value: Thing) -> np.ndarray:
    # _reconstruct(ndarray, (0,), b"b") makes an empty array, and the state fills it.
    if not value.arguments or value.arguments[0] != ARRAY:
        raise Unreadable("an array is of a class that is not NumPy's")
    state = value.state
    if not isinstance(state, tuple) or len(state) != 5:
        raise Unreadable("an array has no content")
    _, shape, dtype, fortran, content = state
    made = dtype_of(dtype)
    if made.hasobject:
        return _labels(content, _shape(shape))
    return _filled(_bytes(content), made, _shape(shape), fortran=fortran is True)


def _labels(content: Any, shape: tuple[int, ...]) -> np.ndarray:
    if type(content) is not list or shape != (len(content),) or not {type(one) for one in content} <= _LABELS:
        raise Unreadable("an array of objects holds something else than labels")
    made = np.empty(len(content), dtype=object)
    made[:] = content
    return made


def _filled(content: bytes, dtype: np.dtype, shape: tuple[int, ...], *, fortran: bool) -> np.ndarray:
    if dtype.hasobject or len(content) != _size(dtype, shape):
        raise Unreadable(f"an array of shape {shape} has {len(content)} bytes")
    try:
        flat = np.frombuffer(content, dtype=dtype).astype(dtype.newbyteorder("="))  # a copy, aligned and writable
        return flat.reshape(shape, order="F" if fortran else "C")
    except (ValueError, OverflowError) as error:
        raise Unreadable(f"an array cannot be read: {error}") from error


def _size(dtype: np.dtype, shape: tuple[int, ...]) -> int:
    return math.prod(shape) * dtype.itemsize


def _shape(value: Any) -> tuple[int, ...]:
    sizes = value if type(value) is tuple else (value,)
    if len(sizes) > _MAX_DIMENSIONS or not all(type(size) is int and size >= 0 for size in sizes):
        raise Unreadable("an array has no usable shape")
    return sizes


def _is_fortran(order: Any) -> bool:
    if type(order) is not str or order not in {"C", "F"}:
        raise Unreadable("an array is ordered neither by row nor by column")
    return order == "F"


def _bytes(value: Any) -> bytes:
    """Bytes; the protocols before 3 write them as a text to be encoded."""
    if isinstance(value, Thing) and value.callee == _ENCODE and value.arguments[1:] == ("latin1",):
        (text, _) = value.arguments
        if type(text) is str:
            try:
                return text.encode("latin1")
            except UnicodeEncodeError as error:
                raise Unreadable("an array's bytes are none") from error
    if type(value) not in {bytes, bytearray}:
        raise Unreadable(f"a {type(value).__name__} stands where bytes belong")
    return bytes(value)
