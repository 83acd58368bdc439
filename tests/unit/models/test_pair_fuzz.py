"""Damaged pairs: read as pickle itself would read them, or refused; never a traceback, never other numbers."""

import hashlib
import io
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, LogisticRegression
from tests.unit.models.test_pair import fitted, joblibs

from scoreline.errors import ModelInvalid
from scoreline.models.kept import KeptModel
from scoreline.models.pair import read_pair

MODEL = fitted(LinearRegression())
LABELLED = fitted(LogisticRegression(), np.array(list("abc") * 10))
WHOLE = [pickle.dumps(model, protocol) for model in (MODEL, LABELLED) for protocol in range(6)]
JOBLIB = [joblibs(MODEL), joblibs(MODEL, 3)]
PATIENT = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


class SklearnOnly(pickle._Unpickler):
    """Python's own unpickler, for classes and functions that an undamaged pair names."""

    def find_class(self, module, name):
        if module.split(".")[0] not in {"sklearn", "numpy", "copyreg", "copy_reg", "_codecs", "__builtin__"}:
            raise pickle.UnpicklingError(name)
        return super().find_class(module, name)


def read(content):
    try:
        return read_pair(content, "m")
    except ModelInvalid:
        return None


def require_as_pickle_says(content):
    """Whatever is read is what the bytes say: the unpickler, which the digest lets see whole files only, agrees."""
    found = read(content)
    if found is None:
        return
    try:
        vectorizer, estimator = SklearnOnly(io.BytesIO(content)).load()
        then = vectorizer.vocabulary_, vectorizer.feature_names_, estimator.coef_, estimator.intercept_
    except Exception:  # noqa: BLE001 - a damaged pickle breaks Python's unpickler in many ways
        return
    now = (
        *(found.vectorizer[name] for name in ("vocabulary_", "feature_names_")),
        *(found.estimator[name] for name in ("coef_", "intercept_")),
    )
    assert now[:2] == then[:2]
    for mine, theirs in zip(now[2:], then[2:], strict=True):
        assert np.array_equal(np.asarray(mine, dtype=float), np.asarray(theirs, dtype=float), equal_nan=True)


@PATIENT
@given(st.sampled_from(WHOLE), st.data())
def test_flipped_bytes_are_read_as_they_are_or_refused(content, data):
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    require_as_pickle_says(bytes(damaged))


@PATIENT
@given(st.sampled_from(WHOLE), st.data())
def test_a_piece_left_out_or_said_twice_is_read_as_it_is_or_refused(content, data):
    start = data.draw(st.integers(0, len(content) - 1))
    end = data.draw(st.integers(start, min(len(content), start + 60)))
    piece = content[start:end] * data.draw(st.sampled_from([0, 2]))
    require_as_pickle_says(content[:start] + piece + content[end:])


@pytest.mark.parametrize("content", [*WHOLE, *JOBLIB])
def test_no_beginning_of_a_pair_is_a_pair(content):
    step = max(1, len(content) // 400)
    assert all(read(content[:end]) is None for end in range(0, len(content) - 1, step))


@PATIENT
@given(st.sampled_from(JOBLIB), st.data())
def test_damaged_files_of_joblib_are_read_or_refused(content, data):
    damaged = bytearray(content)
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    read(bytes(damaged))


@PATIENT
@given(st.binary(max_size=300))
@example(b"DictVectorizer sklearn.linear_model")
def test_any_bytes_are_no_pair(content):
    assert read(content) is None
    assert read(b"\x8c\x0eDictVectorizer\x8c\x14sklearn.linear_model" + content) is None


@PATIENT
@given(st.data())
def test_the_digest_lets_no_damaged_byte_be_read_at_all(tmp_path_factory, data):
    content = bytearray(WHOLE[4])
    path = tmp_path_factory.getbasetemp() / "damaged.pkl"
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(ModelInvalid, match="was changed"):
        KeptModel(str(path), hashlib.sha256(WHOLE[4]).hexdigest()).load(["r", "d"])
