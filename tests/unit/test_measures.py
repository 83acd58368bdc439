import numpy as np
import polars as pl
import pytest

from scoreline.errors import TrainingFailed
from scoreline.measures import Errors


def measured(*parts):
    found = Errors()
    for predicted, actual in parts:
        found.add(pl.Series(predicted), pl.Series(actual))
    return found.metrics()


def test_errors_of_numbers_are_those_of_their_definitions():
    predicted, actual = np.array([1.0, 2.5, 4.0]), np.array([2.0, 2.0, 1.0])
    error = predicted - actual
    expected = {"rmse": np.sqrt((error**2).mean()), "mae": np.abs(error).mean(), "bias": error.mean(), "rows": 3}
    assert measured((predicted, actual)) == pytest.approx(expected)


def test_a_model_without_bias_is_not_taken_for_a_good_one():
    found = measured(([0.0, 20.0], [10.0, 10.0]))
    assert (found["bias"], found["rmse"], found["mae"]) == (0.0, 10.0, 10.0)


def test_slices_add_up_to_the_whole():
    whole = measured(([1.0, 2.0, 3.0], [1, 1, 5]))
    assert measured(([1.0], [1]), ([2.0, 3.0], [1, 5])) == pytest.approx(whole)


def test_labels_are_measured_by_accuracy():
    assert measured((["a", "b", "a"], ["a", "b", "b"])) == {"accuracy": 2 / 3, "rows": 3.0}


def test_no_rows_have_no_error():
    assert measured() == {"rows": 0.0}


def test_a_slice_without_rows_says_nothing_of_types():
    assert measured((pl.Series(dtype=pl.Float64), pl.Series(dtype=pl.String)), (["a"], ["a"]))["accuracy"] == 1.0


def test_numbers_predicted_for_labels_are_refused():
    with pytest.raises(TrainingFailed, match="predicts Float64, and the target is String"):
        measured(([1.0], ["a"]))
