"""Missing text reaches a model of named columns as it had it in training: None where it learned None, else NaN."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from scoreline.models import dict_model, frame_model
from scoreline.models.sklearn import adapt

AREAS = ["a", None, "b", None, "a", "c", "b", "c"]
MILES = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
MINUTES = np.array([1.0, 20.0, 4.0, 21.0, 2.0, 9.0, 5.0, 8.0])
MISSING = {"None": None, "NaN": float("nan")}


def trips(areas, miles, missing):
    """A frame of objects, with missing areas as None or as NaN."""
    known = pd.Series([missing if area is None else area for area in areas], dtype=object)
    return pd.DataFrame({"area": known, "miles": miles})


def fitted(missing, *, handle_unknown="error"):
    encoder = OneHotEncoder(handle_unknown=handle_unknown)
    columns = ColumnTransformer([("areas", encoder, ["area"])], remainder="passthrough")
    return make_pipeline(columns, LinearRegression()).fit(trips(AREAS, MILES, missing), MINUTES)


def predicted(pipeline, areas, miles):
    frame = pl.DataFrame({"area": areas, "miles": miles}, schema={"area": pl.String, "miles": pl.Float64})
    return adapt(pipeline, ("area", "miles"), {}).predict(frame).values.to_numpy()


@pytest.mark.parametrize("missing", MISSING.values(), ids=MISSING)
@pytest.mark.parametrize("areas", [["a", None, "c"], ["a", "b", "c"], [None, None, None]], ids=str)
def test_missing_text_is_predicted_as_by_hand(missing, areas):
    pipeline, miles = fitted(missing), [1.5, 2.5, 3.5]
    by_hand = pipeline.predict(trips(areas, miles, missing))
    np.testing.assert_allclose(predicted(pipeline, areas, miles), by_hand, rtol=1e-12)


@pytest.mark.parametrize("missing", MISSING.values(), ids=MISSING)
def test_missing_text_is_the_category_that_was_learned_and_not_an_unknown_one(missing):
    pipeline = fitted(missing, handle_unknown="ignore")
    unknown = pipeline.predict(trips(["never seen"], [2.0], missing))
    np.testing.assert_allclose(predicted(pipeline, [None], [2.0]), pipeline.predict(trips([None], [2.0], missing)))
    assert abs(predicted(pipeline, [None], [2.0]) - unknown) > 1


@pytest.mark.parametrize("missing", MISSING.values(), ids=MISSING)
@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_predictions_in_slices_are_those_at_once(missing, rows, monkeypatch):
    pipeline = fitted(missing)
    areas = [None, None, None, "a", "b", "c", "a", None, "b", "a", "c", None]
    miles = [0.5 * row for row in range(len(areas))]
    at_once = predicted(pipeline, areas, miles)
    for module in (dict_model, frame_model):
        monkeypatch.setattr(module, "AT_ONCE", rows)
    np.testing.assert_allclose(predicted(pipeline, areas, miles), at_once, rtol=1e-12)
    np.testing.assert_allclose(at_once, pipeline.predict(trips(areas, miles, missing)), rtol=1e-12)
