"""Links against scikit-learn's own arithmetic of labels and probabilities."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from scoreline.errors import ModelInvalid
from scoreline.models.compiled.link import Link

numbers = st.floats(-800, 800) | st.sampled_from([0.0, -0.0, 1e-300, -1e-300, 1e300, -1e300])


def table(columns, at_least=1):
    return st.lists(st.lists(numbers, min_size=columns, max_size=columns), min_size=at_least, max_size=9).map(np.array)


@given(table(1))
def test_one_logistic_score_gives_label_and_both_probabilities(scores):
    for zero in (0, 1):
        link = Link("logistic", ("no", "yes"), "String", zero)
        second = scores[:, 0] >= 0 if zero else scores[:, 0] > 0
        assert link.values(scores, "value").to_list() == ["yes" if one else "no" for one in second]
        assert np.allclose(link.values(scores, "probability"), expit(scores[:, 0]), rtol=1e-15, atol=0)
        both = link.values(scores, "probabilities").struct.unnest()
        assert both.columns == ["no", "yes"]
        assert np.allclose(both["no"], 1 - expit(scores[:, 0]), rtol=0, atol=1e-15)
        assert (link.margins(scores) == np.abs(scores[:, 0])).all()


@given(table(3))
def test_the_largest_of_several_scores_is_the_label_and_the_first_of_equal_ones(scores):
    link = Link("softmax", (7, 8, 9), "Int64")
    assert link.values(scores, "value").to_list() == [(7, 8, 9)[at] for at in scores.argmax(axis=1)]
    chances = link.values(scores, "probabilities").struct.unnest()
    assert chances.columns == ["7", "8", "9"]
    assert np.allclose(chances.to_numpy(), softmax(scores, axis=1), rtol=1e-14, atol=0)
    ordered = np.sort(scores, axis=1)
    assert (link.margins(scores) == ordered[:, 2] - ordered[:, 1]).all()


@given(table(3))
def test_one_against_the_rest_is_divided_by_the_sum(scores):
    with np.errstate(invalid="ignore"):
        want = expit(scores) / expit(scores).sum(axis=1, keepdims=True)
    chances = Link("one-vs-rest", ("a", "b", "c"), "String").probabilities(scores)
    assert np.allclose(chances, want, rtol=1e-14, atol=0, equal_nan=True)


def test_means_are_probabilities_already():
    link = Link("mean", (False, True), "Boolean")
    scores = np.array([[0.25, 0.75], [0.5, 0.5]])
    assert link.values(scores, "value").to_list() == [True, False]
    assert link.values(scores, "probability").to_list() == [0.75, 0.5]
    assert link.margins(scores).tolist() == [0.5, 0.0]
    assert np.isinf(Link("mean", ("only",), "String").margins(np.ones((2, 1)))).all()


def test_numbers_come_as_they_are_or_as_exponentials_several_by_position():
    scores = np.array([[1.5], [-2.0]])
    assert Link("identity").values(scores, "value").to_list() == [1.5, -2.0]
    assert Link("log").values(scores, "value").to_list() == np.exp([1.5, -2.0]).tolist()
    several = Link("identity").values(np.array([[1.0, 2.0]]), "value")
    assert several.to_list() == [{"0": 1.0, "1": 2.0}]
    assert several.name == "prediction"


@pytest.mark.parametrize(
    ("classes", "dtype"),
    [
        (np.array([3, 5]), pl.Int64),
        (np.array([3, 5], dtype=np.uint8), pl.UInt8),
        (np.array([1.0, 2.5]), pl.Float64),
        (np.array([False, True]), pl.Boolean),
        (np.array(["a", "bb"]), pl.String),
        (np.array(["a", "bb"], dtype=object), pl.String),
    ],
)
def test_labels_keep_their_type(classes, dtype):
    link = Link.to_labels("mean", classes)
    again = Link.of(json.loads(json.dumps(link.header())))
    labels = again.values(np.array([[0.0, 1.0], [1.0, 0.0]]), "value")
    assert again == link
    assert labels.dtype == dtype
    assert labels.to_list() == classes[::-1].tolist()


@pytest.mark.parametrize(
    "classes", [np.array([1, "a"], dtype=object), np.array([b"a"]), np.array([np.nan]), np.array([])]
)
def test_labels_without_a_plain_type_have_no_link(classes):
    assert Link.to_labels("mean", classes) is None


@pytest.mark.parametrize(
    ("link", "wanted"),
    [
        (Link("identity"), "probability"),
        (Link("log"), "probabilities"),
        (Link("softmax", (1, 2, 3), "Int64"), "probability"),
    ],
)
def test_what_a_model_does_not_have_is_refused(link, wanted):
    with pytest.raises(ModelInvalid):
        link.values(np.zeros((1, 3)), wanted)


def test_numbers_have_no_margin():
    with pytest.raises(ValueError, match="margin"):
        Link("identity").margins(np.zeros((1, 1)))


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"kind": "magic", "classes": [], "dtype": "Float64", "zero": 0},
        {"kind": "mean", "classes": [], "dtype": "Int64", "zero": 0},
        {"kind": "identity", "classes": [1], "dtype": "Int64", "zero": 0},
        {"kind": "logistic", "classes": [1, 2, 3], "dtype": "Int64", "zero": 0},
        {"kind": "mean", "classes": [1, 1], "dtype": "Int64", "zero": 0},
        {"kind": "mean", "classes": ["a"], "dtype": "Int64", "zero": 0},
        {"kind": "mean", "classes": ["a"], "dtype": "Object", "zero": 0},
        {"kind": "logistic", "classes": [1, 2], "dtype": "Int64", "zero": 7},
    ],
)
def test_a_damaged_header_is_refused(header):
    with pytest.raises(ValueError, match="no link"):
        Link.of(header)
