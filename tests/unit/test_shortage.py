"""Errors that mean that memory ran out, as libraries raise them, and others."""

import numpy as np
import pyarrow as pa
import pytest

from scoreline.errors import InputInvalid, ModelFailed
from scoreline.shortage import ran_short


def raised(call, *arguments):
    try:
        call(*arguments)
    except Exception as error:  # noqa: BLE001 - whatever it is
        return error
    raise AssertionError("nothing was raised")


def wrapped(error, *, told=True):
    outer = ModelFailed("the model raised")
    if told:
        outer.__cause__ = error
    else:  # as where code of users raises another error while it handles one
        outer.__context__ = error
    return outer


def huge():
    return np.empty(2**62, dtype=np.uint8)


def test_real_ones_are_known():
    assert ran_short(raised(huge))
    assert ran_short(raised(bytearray, 2**62))
    assert ran_short(raised(pa.allocate_buffer, 2**62))


@pytest.mark.parametrize("told", [True, False])
def test_so_are_those_that_an_adapter_has_wrapped(told):
    assert ran_short(wrapped(raised(huge), told=told))
    assert ran_short(
        wrapped(RuntimeError("[ONNXRuntimeError] : 6 : Failed to allocate memory for requested buffer of"))
    )
    assert ran_short(wrapped(RuntimeError("std::bad_alloc"), told=told))


def test_others_are_none():
    assert not ran_short(ModelFailed("the model raised"))
    assert not ran_short(wrapped(ValueError("odd")))
    assert not ran_short(InputInvalid("x"))


def test_errors_that_come_from_each_other_in_a_ring_are_looked_at_once():
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert not ran_short(one)
